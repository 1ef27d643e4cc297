//! The log: who touched what, with whose blessing, and how often.

mod chart;
mod view;

use askama::Template;
use axum::Router;
use axum::http::StatusCode;
use axum::routing::get;
use vouchsafe_core::audit::{Action, Outcome};

use self::chart::Chart;
use self::view::EntryRow;
use super::Pages;
use super::filters::{Choice, given, next, page as page_of, time};
use super::form::{Fields, Query};
use super::gate::Place;
use super::layout::{Answer, Shell, page, status};
use super::projects::Projects;
use super::session::Visitor;
use crate::broker::{AuditQuery, Paged, Refused};

/// What can be asked for.
const FILTERS: [&str; 8] =
    ["since", "until", "actor", "action", "resource", "approval", "outcome", "project"];

#[derive(Template)]
#[template(path = "pages/audit.html")]
struct AuditPage<'a> {
    shell: Shell,
    fields: &'a Fields,
    filtered: bool,
    actions: Vec<String>,
    outcomes: Vec<Choice>,
    projects: Projects,
    /// On the first page, where something can be drawn.
    chart: Option<Chart>,
    entries: Vec<EntryRow>,
    next: Option<String>,
    problem: Option<Refused>,
}

pub(super) fn routes() -> Router<Pages> {
    Router::new().route("/audit", get(list))
}

async fn list(visitor: Visitor, Query(fields): Query) -> Answer {
    let user = visitor.at(Place::Audit).await?;
    let broker = &visitor.broker;
    let projects = Projects::or_all(&visitor, &user, &fields).await?;
    let first = fields.one("page").is_empty();
    let found = match query(&fields) {
        // The picture is the same on every page: it is on the first one.
        Ok(query) if first => {
            let found = broker.survey_audit(&user, query, page_of(&fields)).await;
            found.map(|(accesses, entries)| (Some(accesses), entries))
        }
        Ok(query) => {
            let found = broker.query_audit(&user, query, page_of(&fields)).await;
            found.map(|entries| (None, entries))
        }
        Err(refused) => Err(refused),
    };
    let ((accesses, found), problem) = match found {
        Ok(found) => (found, None),
        Err(refused) => ((None, Paged { items: Vec::new(), next: String::new() }), Some(refused)),
    };
    let template = AuditPage {
        shell: Shell::inside("Audit", &visitor, Place::Audit),
        filtered: FILTERS.iter().any(|name| !fields.one(name).is_empty()),
        actions: actions(),
        outcomes: outcomes(fields.one("outcome")),
        projects,
        chart: accesses.as_ref().map(Chart::of),
        entries: found.items.iter().map(EntryRow::from).collect(),
        next: next("/audit", &fields, &FILTERS, &found.next),
        fields: &fields,
        problem,
    };
    let code = template.problem.as_ref().map_or(StatusCode::OK, |it| status(it.code.kind()));
    Ok(page(code, &template))
}

fn query(fields: &Fields) -> Result<AuditQuery, Refused> {
    Ok(AuditQuery {
        since: time(fields, "since")?,
        until: time(fields, "until")?,
        actor: given(fields, "actor")?,
        action: given(fields, "action")?,
        resource: given(fields, "resource")?,
        approval: given(fields, "approval")?,
        outcome: given(fields, "outcome")?,
        project: given(fields, "project")?,
    })
}

/// All actions, by kind, each kind first as a whole.
fn actions() -> Vec<String> {
    let mut all: Vec<String> = Vec::new();
    for action in Action::ALL {
        let kind = action.as_str().split('.').next().unwrap_or_default();
        let whole = format!("{kind}.*");
        if !all.contains(&whole) {
            all.push(whole);
        }
        all.push(action.as_str().to_owned());
    }
    all.sort_unstable();
    all
}

fn outcomes(chosen: &str) -> Vec<Choice> {
    let all = [Outcome::Ok, Outcome::Refused, Outcome::Failed];
    let all = all.map(|outcome| (outcome.as_str(), outcome.as_str()));
    Choice::all([("", "any")].into_iter().chain(all), chosen)
}
