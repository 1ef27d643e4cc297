//! An incoming webhook: one address, one place, and nobody who hears what is pressed.

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use http::HeaderMap;
use serde_json::json;
use vouchsafe_core::route::{Channel, Message, Receipt, Undelivered};

use super::api::Wire;
use super::blocks::{Kind, Rendered, render};
use crate::notify::Carrier;
use crate::notify::guard::Address;

/// The channel `slack:NAME` where it is a webhook.
#[derive(Debug)]
pub(super) struct Incoming {
    channel: Channel,
    wire: Wire,
    /// Whoever knows it can post, so it is a secret.
    address: Address,
}

impl Incoming {
    pub(super) const fn new(channel: Channel, wire: Wire, address: Address) -> Self {
        Self { channel, wire, address }
    }

    async fn send(&self, message: &Message) -> Result<Receipt, Undelivered> {
        let Rendered { text, blocks } = render(message, Kind::Links);
        let body = json!({
            "text": text,
            "blocks": blocks,
            "mrkdwn": false,
            "parse": "none",
            "link_names": false,
            "unfurl_links": false,
            "unfurl_media": false,
        });
        self.wire.post(&self.address, HeaderMap::new(), &body).await?;
        Ok(Receipt { handle: None, said: "Slack took it".to_owned() })
    }
}

impl Carrier for Incoming {
    fn channel(&self) -> &Channel {
        &self.channel
    }

    fn deliver<'a>(&'a self, message: &'a Message) -> BoxFuture<'a, Result<Receipt, Undelivered>> {
        self.send(message).boxed()
    }
}
