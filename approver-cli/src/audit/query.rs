//! `audit query`: entries, or counts of them.

use clap::Args;
use vouchsafe_proto::v1::{GroupAuditRequest, QueryAuditRequest};

use super::{COLUMNS, Filter, record};
use crate::context::Context;
use crate::error::CliError;
use crate::pages;
use crate::record::Record;

#[derive(Args, Debug, Default, PartialEq)]
pub(super) struct Query {
    #[command(flatten)]
    filter: Filter,
    /// Count entries by actor, action, resource, outcome or day instead of listing them
    #[arg(
        long,
        value_name = "FIELD",
        value_parser = ["actor", "action", "resource", "outcome", "day"],
        hide_possible_values = true,
        conflicts_with = "limit"
    )]
    group_by: Option<String>,
    /// At most this many; 0 for all [default: 100]
    #[arg(long, value_name = "N")]
    limit: Option<u32>,
}

pub(super) async fn run(query: Query, context: &Context) -> Result<(), CliError> {
    let daemon = context.daemon().await?;
    let filter = query.filter.to_proto(context);
    if let Some(by) = query.group_by {
        let request = GroupAuditRequest { filter: Some(filter), by: by.clone() };
        let answer = daemon.audit().group_audit(request).await?.into_inner();
        let groups: Vec<Record> = answer
            .groups
            .into_iter()
            .map(|group| Record::new().text("value", group.value).number("count", group.count))
            .collect();
        let title: &'static str = match by.as_str() {
            "actor" => "ACTOR",
            "action" => "ACTION",
            "resource" => "RESOURCE",
            "outcome" => "OUTCOME",
            _ => "DAY",
        };
        return context.out.list(&[(title, "value"), ("COUNT", "count")], &groups, "no entries");
    }
    let page = pages::gather(query.limit.unwrap_or(pages::LIMIT), async |page| {
        let request = QueryAuditRequest { filter: Some(filter.clone()), page: Some(page) };
        let answer = daemon.audit().query_audit(request).await?.into_inner();
        Ok((answer.entries, answer.next_token))
    })
    .await?;
    let is_json = context.out.is_json();
    context.out.page(&COLUMNS, &page.map(|entry| record(&entry, is_json)), "no entries")
}
