//! MCP keys: whose they are, what they may do, and what they have done.

mod view;

use askama::Template;
use axum::Router;
use axum::http::StatusCode;
use axum::routing::get;

use self::view::KeyRow;
use super::Pages;
use super::filters::{next, page as page_of};
use super::form::Query;
use super::gate::Place;
use super::layout::{Answer, Shell, page};
use super::projects::Projects;
use super::session::Visitor;

#[derive(Template)]
#[template(path = "pages/keys.html")]
struct KeysPage {
    shell: Shell,
    projects: Projects,
    keys: Vec<KeyRow>,
    next: Option<String>,
}

pub(super) fn routes() -> Router<Pages> {
    Router::new().route("/keys", get(list))
}

async fn list(visitor: Visitor, Query(fields): Query) -> Answer {
    let user = visitor.at(Place::Keys).await?;
    let projects = Projects::one(&visitor, &user, &fields).await?;
    let project = projects.chosen.clone();
    let found = visitor.broker.list_keys(&user, project, page_of(&fields)).await;
    let found = found.map_err(|refused| visitor.turned(&refused))?;
    let template = KeysPage {
        shell: Shell::inside("Keys", &visitor, Place::Keys),
        projects,
        keys: found.items.iter().map(KeyRow::from).collect(),
        next: next("/keys", &fields, &["project"], &found.next),
    };
    Ok(page(StatusCode::OK, &template))
}
