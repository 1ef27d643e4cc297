//! The HTTP call that answers an approval: `POST /v1/approvals/{id}/respond`.

use axum::Router;

use crate::broker::Broker;

/// The one route.
pub(super) fn router(_broker: &Broker) -> Router {
    Router::new()
}
