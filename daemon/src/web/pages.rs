//! The pages: signing in, the inbox, approvals and their answers, and what operators look at.

use axum::Router;

use crate::broker::Broker;

/// Everything that a browser asks for.
pub(super) fn router(_broker: &Broker) -> Router {
    Router::new()
}
