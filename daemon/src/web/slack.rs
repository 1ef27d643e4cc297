//! What people do in Slack: `POST /slack/actions`.

use axum::Router;

use crate::broker::Broker;

/// The one route.
pub(super) fn router(_broker: &Broker) -> Router {
    Router::new()
}
