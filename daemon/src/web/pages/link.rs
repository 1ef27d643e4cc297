//! A link in a message that answers one approval once, without signing in. Opening it shows what is
//! asked and changes nothing: programs that read mail open links.

use axum::Router;
use axum::extract::{Path, State};
use axum::response::Response;
use axum::routing::get;

use super::Pages;
use super::approval::{Beside, Seen, command, headline, write};
use super::form::{Fields, Sent};
use super::layout::{Answer, Shell, Turned, refused_page};
use crate::broker::{ApprovalView, Code, LinkVisit, Refused};

pub(super) fn routes() -> Router<Pages> {
    Router::new().route("/link/{token}", get(show).post(vote))
}

async fn show(State(pages): State<Pages>, Path(token): Path<String>) -> Answer {
    let (visit, view) = visit(&pages, &token).await?;
    Ok(link_page(&pages, &visit, &view, &token, None, &Fields::default()))
}

async fn vote(State(pages): State<Pages>, Path(token): Path<String>, sent: Sent) -> Answer {
    let (visit, view) = visit(&pages, &token).await?;
    let fields = sent.fields;
    let broker = &pages.broker;
    if !broker.form_mark_stands(&visit.user, "csrf", "", fields.one("csrf")) {
        let refused = Refused::new(
            Code::NotYours,
            "this form was not sent by the page that the link shows",
            "Open the link again and answer there; nothing was changed.",
        );
        broker.refuse_door("web", &refused);
        return Err(Turned::outside(&refused));
    }
    let command = command(broker, &visit.user, &view, &fields);
    let counted = match command {
        Ok(command) => broker.vote(&visit.user, command).await,
        Err(refused) => Err(refused),
    };
    match counted {
        // The link is used up, so that there is no page to go on to: this one says what came of it.
        Ok((view, _)) => {
            let seen = Seen {
                broker,
                user: &visit.user,
                shell: Shell::outside(&headline(view.approval.ask())),
                action: None,
                link: true,
            };
            Ok(write(seen, &view, None, &fields, Beside::default()))
        }
        Err(refused) => Ok(link_page(&pages, &visit, &view, &token, Some(&refused), &fields)),
    }
}

/// Who opened it, and what it answers as that person sees it now.
async fn visit(pages: &Pages, token: &str) -> Result<(LinkVisit, ApprovalView), Turned> {
    let found = async {
        let visit = pages.broker.visit_link(token).await?;
        let id = visit.approval.to_string();
        let view = pages.broker.show_approval(&visit.user, &id).await?;
        if view.approval.ask().digest() != visit.digest {
            return Err(Refused::new(
                Code::StaleDigest,
                "something else is asked now than when this link was sent",
                "Sign in to see it.",
            ));
        }
        Ok((visit, view))
    };
    found.await.map_err(|refused| dead(&refused).into())
}

/// A link that is good for nothing says so, and where to go.
fn dead(refused: &Refused) -> Response {
    refused_page(Shell::outside("This link is over"), refused)
}

fn link_page(
    pages: &Pages,
    visit: &LinkVisit,
    view: &ApprovalView,
    token: &str,
    problem: Option<&Refused>,
    typed: &Fields,
) -> Response {
    let seen = Seen {
        broker: &pages.broker,
        user: &visit.user,
        shell: Shell::outside(&headline(view.approval.ask())),
        action: view.may_vote.is_ok().then(|| format!("/link/{token}")),
        link: true,
    };
    write(seen, view, problem, typed, Beside::default())
}
