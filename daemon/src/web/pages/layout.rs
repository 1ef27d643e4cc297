//! What every page is made of: the frame around it, and how it is answered.

use askama::Template;
use axum::body::Body;
use axum::http::header::{CONTENT_TYPE, LOCATION, RETRY_AFTER};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};

use super::assets;
use super::gate::{MENU, Place};
use super::session::Visitor;
use crate::broker::{Code, Kind, Refused};

/// What a page answers with: itself, or another page that says why not.
pub(super) type Answer = Result<Response, Turned>;

/// An answer instead of the one that was asked for.
#[derive(Debug)]
pub(super) struct Turned(Box<Response>);

/// The frame around a page: every template that extends `pages/layout.html` has one as `shell`.
#[derive(Debug)]
pub(super) struct Shell {
    /// What the browser calls the page.
    pub(super) title: String,
    /// Where the files are that the page loads.
    pub(super) assets: &'static str,
    /// Who looks at it; none: nobody has signed in.
    pub(super) me: Option<Me>,
    /// The menu: what they may look at.
    pub(super) menu: Vec<Entry>,
}

/// Who looks at a page.
#[derive(Debug)]
pub(super) struct Me {
    /// Their name.
    pub(super) name: String,
    /// What a form carries that is theirs.
    pub(super) csrf: String,
}

/// One entry of the menu.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) label: &'static str,
    pub(super) href: &'static str,
    pub(super) current: bool,
}

/// A page that says what did not work, and what to do.
#[derive(Template)]
#[template(path = "pages/refused.html")]
struct RefusedPage<'a> {
    shell: Shell,
    heading: &'a str,
    message: String,
    next: &'a str,
    sign_in: bool,
}

impl Shell {
    /// For somebody who has signed in, at this place of the menu.
    pub(super) fn inside(title: &str, visitor: &Visitor, at: Place) -> Self {
        let menu = MENU.iter().filter(|(place, _)| place.check(&visitor.record).is_ok());
        let entry = |(place, href): &(Place, &'static str)| Entry {
            label: place.label(),
            href,
            current: *place == at,
        };
        let me = Me { name: visitor.user.name.clone(), csrf: visitor.csrf() };
        Self { me: Some(me), menu: menu.map(entry).collect(), ..Self::outside(title) }
    }

    /// For nobody in particular.
    pub(super) fn outside(title: &str) -> Self {
        let assets = assets::BASE.as_str();
        Self { title: title.to_owned(), assets, me: None, menu: Vec::new() }
    }
}

/// A page.
pub(super) fn page(status: StatusCode, template: &impl Template) -> Response {
    match template.render() {
        Ok(html) => html_page(status, html),
        Err(error) => {
            tracing::error!(%error, "a page could not be written");
            let answer = (StatusCode::INTERNAL_SERVER_ERROR, "internal error\n");
            answer.into_response()
        }
    }
}

fn html_page(status: StatusCode, html: String) -> Response {
    let mut response = Response::new(Body::from(html));
    *response.status_mut() = status;
    let html = HeaderValue::from_static("text/html; charset=utf-8");
    response.headers_mut().insert(CONTENT_TYPE, html);
    response
}

/// On to another page of ours, by a GET. The path is one of ours.
pub(super) fn see_other(path: &str) -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::SEE_OTHER;
    let location = HeaderValue::from_str(path);
    let location = location.unwrap_or_else(|_| HeaderValue::from_static("/inbox"));
    response.headers_mut().insert(LOCATION, location);
    response
}

/// The page that says why not.
pub(super) fn refused_page(shell: Shell, refused: &Refused) -> Response {
    let kind = refused.code.kind();
    let heading = match kind {
        Kind::Conflict if refused.code == Code::OtherUser => "Somebody else is signed in",
        Kind::Unauthenticated => "You are not signed in",
        Kind::Forbidden => "This is not for you",
        Kind::NotFound => "There is nothing here",
        Kind::Invalid => "That does not make sense here",
        Kind::Conflict | Kind::Exists => "That is not so any more",
        Kind::Busy => "Too much at once",
        Kind::Unavailable => "Not now",
        Kind::Unknown => "It is not known what came of it",
        Kind::Internal => "Something went wrong here",
    };
    let mut message = refused.message.clone();
    message.push('.');
    let sign_in = kind == Kind::Unauthenticated;
    let template = RefusedPage { shell, heading, message, next: &refused.next, sign_in };
    let mut response = page(status(kind), &template);
    if let Some(wait) = refused.retry_after {
        response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(wait.as_secs()));
    }
    response
}

/// The HTTP status of a refusal.
pub(super) const fn status(kind: Kind) -> StatusCode {
    match kind {
        Kind::Unauthenticated => StatusCode::UNAUTHORIZED,
        Kind::Forbidden => StatusCode::FORBIDDEN,
        Kind::NotFound => StatusCode::NOT_FOUND,
        Kind::Invalid => StatusCode::BAD_REQUEST,
        Kind::Conflict | Kind::Exists => StatusCode::CONFLICT,
        Kind::Busy => StatusCode::TOO_MANY_REQUESTS,
        Kind::Unavailable | Kind::Unknown => StatusCode::SERVICE_UNAVAILABLE,
        Kind::Internal => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

impl Turned {
    /// The page that says why not, to nobody in particular.
    pub(super) fn outside(refused: &Refused) -> Self {
        refused_page(Shell::outside("Refused"), refused).into()
    }
}

impl From<Response> for Turned {
    fn from(response: Response) -> Self {
        Self(Box::new(response))
    }
}

impl IntoResponse for Turned {
    fn into_response(self) -> Response {
        *self.0
    }
}
