//! Leases: what agents may use now, what they might, and taking it back.

mod view;

use askama::Template;
use axum::Router;
use axum::extract::Path;
use axum::http::StatusCode;
use axum::routing::{get, post};
use vouchsafe_core::lease::Ending;

use self::view::{LeaseRow, SessionRow};
use super::Pages;
use super::filters::{Tab, given, next, page as page_of, pattern};
use super::form::{Fields, Posted, Query};
use super::gate::Place;
use super::layout::{Answer, Shell, page, see_other, status};
use super::projects::{Projects, reaching};
use super::session::Visitor;
use crate::broker::{LeaseFilter, LeaseStatus, Paged, Refused, Which};

/// The longest reason, in characters.
const REASON_CHARS_MAX: usize = 500;
/// The parts of the list.
const TABS: [(&str, &str); 3] = [("active", "Active"), ("ended", "Ended"), ("all", "All")];

#[derive(Template)]
#[template(path = "pages/leases.html")]
struct LeasesPage<'a> {
    shell: Shell,
    fields: &'a Fields,
    status: &'static str,
    tabs: Vec<Tab>,
    projects: Projects,
    leases: Vec<LeaseRow>,
    sessions: Vec<SessionRow>,
    may_revoke: bool,
    next: Option<String>,
    problem: Option<Refused>,
}

#[derive(Template)]
#[template(path = "pages/lease.html")]
struct LeasePage {
    shell: Shell,
    csrf: String,
    lease: LeaseRow,
    /// It can be revoked by whoever looks: how many sessions end with it.
    revocable: Option<u32>,
}

pub(super) fn routes() -> Router<Pages> {
    Router::new()
        .route("/leases", get(list))
        .route("/leases/{id}", get(show))
        .route("/leases/{id}/revoke", post(revoke))
}

async fn list(visitor: Visitor, Query(fields): Query) -> Answer {
    let user = visitor.at(Place::Leases).await?;
    let broker = &visitor.broker;
    let here = TABS.iter().find(|(status, _)| *status == fields.one("status"));
    let here = here.map_or("active", |(status, _)| status);
    let projects = Projects::or_all(&visitor, &user, &fields).await?;
    let found = match filter(&fields, &projects, here) {
        Ok(filter) => broker.list_leases(&user, filter, page_of(&fields)).await,
        Err(refused) => Err(refused),
    };
    let (found, problem) = match found {
        Ok(found) => (found, None),
        Err(refused) => (Paged { items: Vec::new(), next: String::new() }, Some(refused)),
    };
    let sessions = if here == "active" && problem.is_none() {
        let key = given(&fields, "key").unwrap_or_default();
        let sessions = broker.list_sessions(&user, projects.chosen.clone(), key).await;
        sessions.map_err(|refused| visitor.turned(&refused))?
    } else {
        Vec::new()
    };
    let now = broker.now();
    let template = LeasesPage {
        shell: Shell::inside("Leases", &visitor, Place::Leases),
        status: here,
        tabs: Tab::all("/leases", &TABS, here),
        projects,
        leases: found.items.iter().map(|lease| LeaseRow::of(lease, &now)).collect(),
        sessions: sessions.iter().map(|session| SessionRow::of(session, &now)).collect(),
        may_revoke: visitor.may(Place::Revoke),
        next: next("/leases", &fields, &["status", "project", "key", "resource"], &found.next),
        fields: &fields,
        problem,
    };
    let code = template.problem.as_ref().map_or(StatusCode::OK, |it| status(it.code.kind()));
    Ok(page(code, &template))
}

async fn show(visitor: Visitor, Path(id): Path<String>) -> Answer {
    let user = visitor.at(Place::Leases).await?;
    let broker = &visitor.broker;
    let lease = broker.show_lease(&user, &id).await;
    let lease = lease.map_err(|refused| visitor.turned(&refused))?;
    let lease = LeaseRow::of(&lease, &broker.now());
    let revocable = match reaching(&visitor, Place::Revoke) {
        Some(user) if lease.is_active() => {
            let which = Which::Id(lease.id.clone());
            // Where it ended in this moment, or is beyond their reach, there is nothing to revoke.
            let meant = broker.leases_to_revoke(&user, None, which).await;
            meant.ok().map(|revoked| revoked.sessions)
        }
        Some(_) | None => None,
    };
    let shell = Shell::inside("Lease", &visitor, Place::Leases);
    Ok(page(StatusCode::OK, &LeasePage { shell, csrf: visitor.csrf(), lease, revocable }))
}

async fn revoke(Path(id): Path<String>, posted: Posted) -> Answer {
    let Posted { visitor, fields } = posted;
    let user = visitor.at(Place::Revoke).await?;
    let reason = reason(&fields).map_err(|refused| visitor.turned(&refused))?;
    let revoked = visitor.broker.revoke_leases(&user, None, Which::Id(id), reason).await;
    let revoked = revoked.map_err(|refused| visitor.turned(&refused))?;
    let one = revoked.leases.first().map(|lease| format!("/leases/{}", lease.terms().id));
    Ok(see_other(one.as_deref().unwrap_or("/leases")))
}

fn reason(fields: &Fields) -> Result<String, Refused> {
    let reason = fields.one("reason");
    if reason.chars().count() > REASON_CHARS_MAX {
        return Err(Refused::invalid(
            "the reason is too long",
            format!("Write {REASON_CHARS_MAX} characters at most; nothing was revoked."),
        ));
    }
    Ok(reason.to_owned())
}

fn filter(fields: &Fields, projects: &Projects, status: &str) -> Result<LeaseFilter, Refused> {
    let ended = [Ending::Expired, Ending::Revoked, Ending::Released, Ending::Exhausted];
    Ok(LeaseFilter {
        project: projects.chosen.clone(),
        statuses: match status {
            "ended" => ended.into_iter().map(LeaseStatus::Ended).collect(),
            "all" => Vec::new(),
            _ => vec![LeaseStatus::Active],
        },
        key: given(fields, "key")?,
        resource: pattern(fields, "resource", "vouchsafe://")?,
        since: None,
    })
}

impl LeasesPage<'_> {
    /// What is said of a list with nothing in it.
    fn nothing(&self) -> &'static str {
        let filtered =
            ["project", "key", "resource"].iter().any(|it| !self.fields.one(it).is_empty());
        match self.status {
            _ if self.problem.is_some() => "",
            _ if filtered => "No lease is like that.",
            "active" => "No agent holds anything now.",
            "ended" => "No lease has ended yet.",
            _ => "There has been no lease yet.",
        }
    }
}
