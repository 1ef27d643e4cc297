//! The daemon's approvals as an endless stream that survives the daemon.

use std::time::Duration;

use futures_util::Stream;
use futures_util::stream;
use tonic::Streaming;
use vouchsafe_proto::v1::{Approval, ApprovalEvent, WatchApprovalsRequest};

use crate::context::Context;
use crate::error::{CliError, Exit};

const BACKOFF_MIN: Duration = Duration::from_millis(200);
const BACKOFF_MAX: Duration = Duration::from_secs(5);

/// Something to know.
#[derive(Debug)]
pub(super) enum Change {
    /// The daemon answers; all that is pending comes next.
    Joined,
    Approval(Box<Approval>),
    /// All that is pending has come.
    CaughtUp,
    /// The daemon does not answer; it will be tried again.
    Lost(CliError),
}

/// Never ends. Dropping a `next` loses nothing.
pub(super) fn changes(context: &Context) -> impl Stream<Item = Change> {
    let feed = Feed { context, events: None, caught_up: false, delay: Duration::ZERO };
    stream::unfold(feed, |mut feed| async move { Some((feed.next().await, feed)) })
}

struct Feed<'a> {
    context: &'a Context,
    events: Option<Streaming<ApprovalEvent>>,
    /// To be told after the approval of the same event.
    caught_up: bool,
    /// Before the next attempt.
    delay: Duration,
}

impl Feed<'_> {
    async fn next(&mut self) -> Change {
        loop {
            if std::mem::take(&mut self.caught_up) {
                return Change::CaughtUp;
            }
            let Some(events) = &mut self.events else {
                return self.join().await;
            };
            match events.message().await {
                Ok(Some(event)) => {
                    self.delay = Duration::ZERO;
                    self.caught_up = event.caught_up;
                    if let Some(approval) = event.approval {
                        return Change::Approval(Box::new(approval));
                    }
                }
                Ok(None) => {
                    let error = CliError::new(Exit::Unreachable, "the daemon ended the stream");
                    return self.lost(error);
                }
                Err(status) => return self.lost(status.into()),
            }
        }
    }

    async fn join(&mut self) -> Change {
        tokio::time::sleep(self.delay).await;
        match self.watch().await {
            Ok(events) => {
                self.events = Some(events);
                Change::Joined
            }
            Err(error) => self.lost(error),
        }
    }

    async fn watch(&self) -> Result<Streaming<ApprovalEvent>, CliError> {
        let daemon = self.context.daemon().await?;
        let request = WatchApprovalsRequest { project: self.context.project.clone() };
        Ok(daemon.approvals().watch_approvals(request).await?.into_inner())
    }

    fn lost(&mut self, error: CliError) -> Change {
        self.events = None;
        self.delay = self.delay.saturating_mul(2).clamp(BACKOFF_MIN, BACKOFF_MAX);
        Change::Lost(error)
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;

    use clap::Parser as _;
    use futures_util::StreamExt as _;

    use super::*;
    use crate::cli::Cli;
    use crate::fake;

    #[tokio::test]
    async fn the_feed_goes_on_after_the_daemon_ended_the_stream() {
        let dir = tempfile::tempdir().unwrap();
        let home = dir.path().to_str().unwrap();
        let cli = Cli::try_parse_from(["vouchsafe", "--home", home, "watch"]).unwrap();
        let context = cli.context().unwrap();
        let fake = fake::start(&context.home);
        let seen: Vec<Change> = pin!(changes(&context)).take(8).collect().await;
        let round = |seen: &[Change]| {
            matches!(seen, [Change::Joined, Change::Approval(_), Change::CaughtUp, Change::Lost(_)])
        };
        let (first, second) = seen.split_at(4);
        assert!(round(first) && round(second), "{seen:?}");
        drop(fake);
    }
}
