//! Slack's requests and our bots, put together.

use std::sync::Arc;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use serde_json::Value;
use vouchsafe_core::route::{ChannelName, Undelivered};

use crate::notify::SlackBots;
use crate::tasks::Tasks;
use crate::web::{Slack, SlackApp, SlackApps, SlackForm};

/// What the HTTP door needs of the bots; none where there are none.
pub(super) fn of(bots: &SlackBots, tasks: &Tasks) -> Option<Slack> {
    let apps = (!bots.is_empty()).then(|| Arc::new(bots.clone()))?;
    Some(Slack { apps, tasks: tasks.clone() })
}

impl SlackApps for SlackBots {
    fn signed_by(&self, timestamp: &str, body: &[u8], signature: &str) -> Vec<SlackApp> {
        let signed = Self::signed_by(self, timestamp, body, signature);
        signed.into_iter().map(|(channel, team)| SlackApp { channel, team }).collect()
    }

    fn ask_reason<'a>(
        &'a self,
        app: &'a ChannelName,
        trigger: &'a str,
        form: &'a SlackForm,
    ) -> BoxFuture<'a, Result<(), Undelivered>> {
        let shown = (form.headline.as_str(), form.digest.as_str());
        Self::ask_reason(self, app, trigger, shown, &form.ticket).boxed()
    }

    fn tell<'a>(
        &'a self,
        app: &'a ChannelName,
        url: &'a str,
        text: &'a str,
    ) -> BoxFuture<'a, Result<(), Undelivered>> {
        Self::tell(self, app, url, text).boxed()
    }

    fn close<'a>(
        &'a self,
        app: &'a ChannelName,
        url: &'a str,
        blocks: Vec<Value>,
        outcome: &'a str,
    ) -> BoxFuture<'a, Result<(), Undelivered>> {
        Self::close(self, app, url, blocks, outcome).boxed()
    }
}
