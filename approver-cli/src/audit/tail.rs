//! `audit tail`: the log as it grows.

use clap::Args;
use vouchsafe_proto::v1::TailAuditRequest;

use super::{Filter, entry};
use crate::context::Context;
use crate::error::{CliError, Exit};

#[derive(Args, Debug)]
pub(super) struct Tail {
    #[command(flatten)]
    filter: Filter,
    /// How many of the newest entries come first; 100 at most
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u32).range(..=100))]
    last: u32,
}

pub(super) async fn run(tail: &Tail, context: &Context) -> Result<(), CliError> {
    let daemon = context.daemon().await?;
    let filter = Some(tail.filter.to_proto(context));
    let request = TailAuditRequest { filter, last: tail.last };
    let mut entries = daemon.audit().tail_audit(request).await?.into_inner();
    while let Some(entry) = entries.message().await? {
        let record = entry::record(&entry, context.out.is_json());
        context.out.event(&record, &entry::line(&entry))?;
    }
    Err(CliError::new(Exit::Unreachable, "the daemon ended the stream")
        .with_next("see whether it runs with `vouchsafe status`, then tail again"))
}
