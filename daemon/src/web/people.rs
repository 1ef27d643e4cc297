//! What people reach over HTTP, in one place.

use axum::Router;

use super::{Slack, pages, respond, slack};
use crate::broker::Broker;

/// The pages, Slack's buttons, and the call that answers an approval.
pub fn people(broker: &Broker, slack: Option<Slack>) -> Router {
    Router::new()
        .merge(pages::router(broker))
        .merge(slack::router(broker, slack))
        .merge(respond::router(broker))
}
