//! Signing in and out.

use askama::Template;
use axum::Router;
use axum::extract::State;
use axum::http::header::SET_COOKIE;
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use vouchsafe_core::caller::User;

use super::Pages;
use super::form::{Posted, Query, Sent};
use super::layout::{Answer, Shell, Turned, page, see_other, status};
use super::session::{Perhaps, clear_cookie, local, set_cookie};
use crate::broker::{Code, Kind, Refused, SignedIn};

/// The ways in.
#[derive(Template)]
#[template(path = "pages/sign_in.html")]
struct SignInPage<'a> {
    shell: Shell,
    /// Where to go afterwards.
    next: String,
    /// There is a way to send codes.
    codes: bool,
    /// A code was asked for: for this name.
    asked: &'a str,
    /// What went wrong.
    problem: Option<&'a Refused>,
}

pub(super) fn routes() -> Router<Pages> {
    Router::new()
        .route("/signin", get(show).post(sign_in))
        .route("/signin/code", post(send_code))
        .route("/signout", post(sign_out))
}

async fn show(State(pages): State<Pages>, Query(query): Query) -> Response {
    sign_in_page(&pages, query.one("next"), "", None)
}

/// Nobody takes the place of somebody else who is signed in: it may be a link that wants it.
async fn sign_in(State(pages): State<Pages>, Perhaps(visitor): Perhaps, sent: Sent) -> Answer {
    let next = sent.fields.one("next");
    let present = visitor.as_ref().map(|visitor| &visitor.user);
    match (prove(&pages, &sent, present).await, &visitor) {
        (Ok(SignedIn { cookie, .. }), _) => {
            let mut response = see_other(&local(next).unwrap_or_else(|| "/inbox".to_owned()));
            let cookie = HeaderValue::from_str(&set_cookie(&cookie));
            let mut cookie = cookie.map_err(|_| Turned::outside(&Refused::internal()))?;
            cookie.set_sensitive(true);
            response.headers_mut().insert(SET_COOKIE, cookie);
            Ok(response)
        }
        (Err(refused), Some(visitor)) if refused.code == Code::OtherUser => {
            Err(visitor.turned(&refused))
        }
        (Err(refused), _) => {
            let fields = &sent.fields;
            let asked = if fields.one("code").is_empty() { "" } else { fields.one("name") };
            Ok(sign_in_page(&pages, next, asked, Some(&refused)))
        }
    }
}

async fn prove(pages: &Pages, sent: &Sent, present: Option<&User>) -> Result<SignedIn, Refused> {
    let Sent { fields, address } = sent;
    let [token, code, name] = ["token", "code", "name"].map(|field| fields.one(field));
    match (token, code, name) {
        (_, "", _) => pages.broker.sign_in_by_token(token, present).await,
        ("", code, "") => pages.broker.sign_in_by_dashboard(code, present).await,
        ("", code, name) => pages.broker.sign_in_by_code(name, code, address, present).await,
        _ => Err(Refused::invalid("there are two ways in at once", "Use one of them.")),
    }
}

/// The same page whoever the name is of.
async fn send_code(State(pages): State<Pages>, sent: Sent) -> Response {
    let Sent { fields, address } = sent;
    let (name, next) = (fields.one("name"), fields.one("next"));
    if name.is_empty() || !pages.broker.sends_codes() {
        return sign_in_page(&pages, next, "", None);
    }
    match pages.broker.send_code(name, &address) {
        Ok(()) => sign_in_page(&pages, next, name, None),
        Err(refused) => sign_in_page(&pages, next, "", Some(&refused)),
    }
}

async fn sign_out(posted: Posted) -> Answer {
    let Posted { visitor, .. } = posted;
    let out = visitor.broker.sign_out(&visitor.user).await;
    out.map_err(|refused| visitor.turned(&refused))?;
    let mut response = see_other("/signin");
    if let Ok(cookie) = HeaderValue::from_str(&clear_cookie()) {
        response.headers_mut().insert(SET_COOKIE, cookie);
    }
    Ok(response.into_response())
}

fn sign_in_page(pages: &Pages, next: &str, asked: &str, problem: Option<&Refused>) -> Response {
    let next = local(next).unwrap_or_default();
    let codes = pages.broker.sends_codes();
    let template = SignInPage { shell: Shell::outside("Sign in"), next, codes, asked, problem };
    let status = match problem.map(|refused| refused.code.kind()) {
        None => StatusCode::OK,
        // Without a challenge, and so that no browser takes it for one.
        Some(Kind::Unauthenticated) => StatusCode::FORBIDDEN,
        Some(kind) => status(kind),
    };
    page(status, &template)
}
