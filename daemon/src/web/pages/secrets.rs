//! Secrets: what is said of them, and never what they are.

mod view;

use std::collections::BTreeMap;

use askama::Template;
use axum::Router;
use axum::extract::Path;
use axum::http::StatusCode;
use axum::routing::get;

use self::view::{SecretRow, VersionRow};
use super::Pages;
use super::filters::{Tab, given, next, page as page_of, pattern};
use super::form::{Fields, Query};
use super::gate::Place;
use super::layout::{Answer, Shell, page, status};
use super::projects::Projects;
use super::session::Visitor;
use crate::broker::{Paged, Refused, SecretFilter};

/// The parts of the list.
const TABS: [(&str, &str); 2] = [("live", "Held"), ("deleted", "Deleted")];

#[derive(Template)]
#[template(path = "pages/secrets.html")]
struct SecretsPage<'a> {
    shell: Shell,
    fields: &'a Fields,
    status: &'static str,
    tabs: Vec<Tab>,
    projects: Projects,
    secrets: Vec<SecretRow>,
    next: Option<String>,
    problem: Option<Refused>,
}

#[derive(Template)]
#[template(path = "pages/secret.html")]
struct SecretPage {
    shell: Shell,
    secret: SecretRow,
    versions: Vec<VersionRow>,
}

pub(super) fn routes() -> Router<Pages> {
    Router::new().route("/secrets", get(list)).route("/secrets/{project}/{*path}", get(show))
}

async fn list(visitor: Visitor, Query(fields): Query) -> Answer {
    let user = visitor.at(Place::Secrets).await?;
    let broker = &visitor.broker;
    let here = TABS.iter().find(|(status, _)| *status == fields.one("status"));
    let here = here.map_or("live", |(status, _)| status);
    let projects = Projects::one(&visitor, &user, &fields).await?;
    let found = match filter(&fields, &projects, here) {
        Ok(filter) => broker.list_secrets(&user, filter, page_of(&fields)).await,
        Err(refused) => Err(refused),
    };
    let (found, problem) = match found {
        Ok(found) => (found, None),
        Err(refused) => (Paged { items: Vec::new(), next: String::new() }, Some(refused)),
    };
    let now = broker.now().wall;
    let template = SecretsPage {
        shell: Shell::inside("Secrets", &visitor, Place::Secrets),
        status: here,
        tabs: Tab::all("/secrets", &TABS, here),
        projects,
        secrets: found.items.iter().map(|secret| SecretRow::of(secret, now)).collect(),
        next: next("/secrets", &fields, &["status", "project", "path", "label"], &found.next),
        fields: &fields,
        problem,
    };
    let code = template.problem.as_ref().map_or(StatusCode::OK, |it| status(it.code.kind()));
    Ok(page(code, &template))
}

async fn show(visitor: Visitor, Path((project, path)): Path<(String, String)>) -> Answer {
    let user = visitor.at(Place::Secrets).await?;
    let broker = &visitor.broker;
    let turned = |refused| visitor.turned(&refused);
    let secret = broker.show_secret(&user, Some(project.clone()), &path).await.map_err(turned)?;
    let versions = broker.list_secret_versions(&user, Some(project), &path).await;
    let versions = versions.map_err(turned)?;
    let secret = SecretRow::of(&secret, broker.now().wall);
    let shell = Shell::inside(&secret.path, &visitor, Place::Secrets);
    let versions = versions.iter().map(VersionRow::from).collect();
    Ok(page(StatusCode::OK, &SecretPage { shell, secret, versions }))
}

fn filter(fields: &Fields, projects: &Projects, status: &str) -> Result<SecretFilter, Refused> {
    let label = given(fields, "label")?.map(|label| match label.split_once('=') {
        Some((name, value)) => (name.to_owned(), value.to_owned()),
        None => (label, String::new()),
    });
    Ok(SecretFilter {
        project: projects.chosen.clone(),
        pattern: pattern(fields, "path", "vouchsafe://secrets/")?,
        deleted: status == "deleted",
        labels: label.into_iter().collect::<BTreeMap<_, _>>(),
    })
}

impl SecretsPage<'_> {
    /// What is said of a list with nothing in it.
    fn nothing(&self) -> &'static str {
        let filtered = ["path", "label"].iter().any(|it| !self.fields.one(it).is_empty());
        match self.status {
            _ if self.problem.is_some() => "",
            _ if filtered => "No secret is like that.",
            "deleted" => "No secret is deleted that could come back.",
            _ => "There is no secret in this project. `vouchsafe secrets put` puts one.",
        }
    }
}
