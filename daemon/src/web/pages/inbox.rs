//! What waits for people.

use askama::Template;
use axum::Router;
use axum::http::StatusCode;
use axum::routing::get;

use super::Pages;
use super::gate::Place;
use super::layout::{Answer, Shell, page};
use super::session::Visitor;

#[derive(Template)]
#[template(path = "pages/inbox.html")]
struct InboxPage {
    shell: Shell,
}

pub(super) fn routes() -> Router<Pages> {
    Router::new().route("/inbox", get(show))
}

async fn show(visitor: Visitor) -> Answer {
    visitor.at(Place::Inbox).await?;
    let shell = Shell::inside("Inbox", &visitor, Place::Inbox);
    Ok(page(StatusCode::OK, &InboxPage { shell }))
}
