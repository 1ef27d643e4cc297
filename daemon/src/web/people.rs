//! What people reach over HTTP, in one place.

use axum::Router;

use super::{pages, respond, slack};
use crate::broker::Broker;

/// The pages, Slack's buttons, and the call that answers an approval.
pub fn people(broker: &Broker) -> Router {
    Router::new()
        .merge(pages::router(broker))
        .merge(slack::router(broker))
        .merge(respond::router(broker))
}
