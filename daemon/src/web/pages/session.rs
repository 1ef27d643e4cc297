//! Who looks at a page: whoever their cookie says, as long as their session lasts.

use std::fmt;

use askama::Template;
use axum::extract::FromRequestParts;
use axum::http::header::COOKIE;
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, Uri};
use axum::response::{IntoResponse as _, Response};
use vouchsafe_core::caller::{User, UserRecord};
use zeroize::Zeroizing;

use super::Pages;
use super::form::encoded;
use super::gate::Place;
use super::layout::{Shell, Turned, page, refused_page, see_other};
use crate::broker::{Broker, Code, Refused};
use crate::web::guard::FETCH_SITE;

/// The cookie: ours alone, over TLS or to this very machine, for no script, and for requests from
/// our own pages only.
const COOKIE_NAME: &str = "__Host-vouchsafe";
/// As long as a session lasts at most, in seconds.
const COOKIE_SECONDS: u32 = 12 * 60 * 60;
/// The longest path that somebody is sent back to.
const PATH_BYTES_MAX: usize = 300;

/// Somebody who has signed in.
#[derive(Clone)]
pub(super) struct Visitor {
    /// Who; what they reach is narrowed by [`Self::at`].
    pub(super) user: User,
    /// All that is stored of them.
    pub(super) record: UserRecord,
    /// Who knows everything else.
    pub(super) broker: Broker,
    cookie: Zeroizing<String>,
}

/// A page that asks for another one of ours, as our own page.
#[derive(Template)]
#[template(path = "pages/onward.html")]
struct Onward {
    shell: Shell,
    path: String,
}

impl Visitor {
    /// The visitor as somebody who may look at this, or do this: reaching what their roles for it
    /// reach. Otherwise a page that says why not, and an entry.
    pub(super) async fn at(&self, place: Place) -> Result<User, Turned> {
        match place.check(&self.record) {
            Ok(reach) => Ok(User { reach, ..self.user.clone() }),
            Err(refused) => {
                let refused = self.broker.refuse_user(&self.user, place.label(), refused).await;
                Err(self.turned(&refused))
            }
        }
    }

    /// Whether they may look at this, or do this, somewhere.
    pub(super) fn may(&self, place: Place) -> bool {
        place.check(&self.record).is_ok()
    }

    /// The page that says why not, in its frame.
    pub(super) fn turned(&self, refused: &Refused) -> Turned {
        refused_page(Shell::inside("Refused", self, Place::Approval), refused).into()
    }

    /// What their forms carry, so that nobody else's page can send one.
    pub(super) fn csrf(&self) -> String {
        self.broker.form_mark(&self.user, "csrf", "")
    }

    /// Whether a form carried it.
    pub(super) fn sent(&self, mark: &str) -> bool {
        self.broker.form_mark_stands(&self.user, "csrf", "", mark)
    }

    /// Whether their session lasts still, for a page that stays open.
    pub(super) async fn still_here(&self) -> bool {
        self.broker.session_user(&self.cookie).await.is_ok()
    }

    async fn find(pages: &Pages, parts: &Parts) -> Result<Self, Refused> {
        let broker = pages.broker.clone();
        let cookie = cookie(&parts.headers).ok_or_else(nobody)?;
        let (user, record) = broker.session_user(cookie).await?;
        // What a page asks for by itself keeps no session alive.
        if parts.uri.query() != Some(LIVE) && parts.uri.path() != EVENTS {
            broker.uses_session(&user);
        }
        let cookie = Zeroizing::new(cookie.to_owned());
        Ok(Self { user, record, broker, cookie })
    }
}

/// Whoever may have signed in.
#[derive(Debug)]
pub(super) struct Perhaps(pub(super) Option<Visitor>);

impl fmt::Debug for Visitor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Visitor").field("user", &self.user.name).finish_non_exhaustive()
    }
}

/// The query of what a page asks for by itself.
pub(super) const LIVE: &str = "live";
/// Where a page that stays open is told that something has changed.
pub(super) const EVENTS: &str = "/events";

impl FromRequestParts<Pages> for Visitor {
    type Rejection = Turned;

    async fn from_request_parts(parts: &mut Parts, pages: &Pages) -> Result<Self, Turned> {
        match Self::find(pages, parts).await {
            Ok(visitor) => Ok(visitor),
            Err(refused) if refused.code != Code::Unauthenticated => Err(Turned::outside(&refused)),
            Err(refused) => Err(not_signed_in(parts, &refused).into()),
        }
    }
}

impl FromRequestParts<Pages> for Perhaps {
    type Rejection = Turned;

    async fn from_request_parts(parts: &mut Parts, pages: &Pages) -> Result<Self, Turned> {
        match Visitor::find(pages, parts).await {
            Ok(visitor) => Ok(Self(Some(visitor))),
            Err(refused) if refused.code != Code::Unauthenticated => Err(Turned::outside(&refused)),
            Err(_) => Ok(Self(None)),
        }
    }
}

/// What somebody gets who has no session: the way to one, and back.
fn not_signed_in(parts: &Parts, refused: &Refused) -> Response {
    if parts.method != Method::GET && parts.method != Method::HEAD {
        return refused_page(Shell::outside("Signed out"), refused);
    }
    if parts.uri.path() == EVENTS {
        // No page: whatever listens here would take another page for a stream that broke off.
        return StatusCode::UNAUTHORIZED.into_response();
    }
    let path = local(&path_of(&parts.uri)).unwrap_or_else(|| "/inbox".to_owned());
    // From a mail or another page a browser sends no strict cookie. Asked for once more by a page
    // of ours, it does; who has none then has to sign in.
    let from_elsewhere = parts
        .headers
        .get(FETCH_SITE)
        .is_some_and(|site| site == "cross-site" || site == "same-site");
    if from_elsewhere && cookie(&parts.headers).is_none() {
        return page(StatusCode::OK, &Onward { shell: Shell::outside("One moment"), path });
    }
    let sign_in = if path == "/inbox" {
        "/signin".to_owned()
    } else {
        format!("/signin?next={}", encoded(&path))
    };
    if parts.headers.contains_key("hx-request") {
        // A part of a page is asked for; the whole page has to go.
        let mut response = StatusCode::UNAUTHORIZED.into_response();
        if let Ok(sign_in) = HeaderValue::from_str(&sign_in) {
            response.headers_mut().insert("hx-redirect", sign_in);
        }
        return response;
    }
    see_other(&sign_in)
}

/// A path of ours that somebody may be sent to; none: it leads elsewhere, or nowhere.
pub(super) fn local(path: &str) -> Option<String> {
    let plain = path.bytes().all(|b| b.is_ascii_graphic() && !b"\\\"'<>#".contains(&b));
    let ours = path.starts_with('/') && !path.starts_with("//") && path.len() <= PATH_BYTES_MAX;
    let page = !["/signin", "/signout", "/events", "/assets", "/link"]
        .iter()
        .any(|other| path.starts_with(other));
    (plain && ours && page && path != "/").then(|| path.to_owned())
}

fn path_of(uri: &Uri) -> String {
    match uri.query() {
        Some(query) if query != LIVE => format!("{}?{query}", uri.path()),
        _ => uri.path().to_owned(),
    }
}

/// The cookie that begins a session.
pub(super) fn set_cookie(value: &str) -> String {
    format!(
        "{COOKIE_NAME}={value}; Path=/; Max-Age={COOKIE_SECONDS}; Secure; HttpOnly; SameSite=Strict"
    )
}

/// The cookie that ends one.
pub(super) fn clear_cookie() -> String {
    format!("{COOKIE_NAME}=; Path=/; Max-Age=0; Secure; HttpOnly; SameSite=Strict")
}

/// The one cookie of ours; none where there are several.
fn cookie(headers: &HeaderMap) -> Option<&str> {
    let lines = headers.get_all(COOKIE).iter().filter_map(|line| line.to_str().ok());
    let pairs = lines.flat_map(|line| line.split(';')).filter_map(|pair| pair.split_once('='));
    let mut ours = pairs.filter(|(name, _)| name.trim() == COOKIE_NAME);
    let (_, value) = ours.next()?;
    ours.next().is_none().then(|| value.trim())
}

fn nobody() -> Refused {
    Refused::new(Code::Unauthenticated, "nobody is signed in, or no more", "Sign in.")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_is_sent_elsewhere() {
        for path in ["/inbox", "/approvals/ap_1", "/audit?actor=jane&since=1d"] {
            assert_eq!(local(path).as_deref(), Some(path));
        }
        for path in [
            "",
            "/",
            "//evil.example",
            "/\\evil.example",
            "https://evil.example",
            "javascript:alert(1)",
            "/signin",
            "/signout",
            "/x\r\nSet-Cookie: a=b",
            "/a b",
            "/<script>",
        ] {
            assert_eq!(local(path), None, "{path}");
        }
    }

    #[test]
    fn a_cookie_is_ours_and_there_is_one() {
        let found = |lines: &[&'static str]| {
            let mut headers = HeaderMap::new();
            for line in lines {
                headers.append(COOKIE, HeaderValue::from_static(line));
            }
            cookie(&headers).map(str::to_owned)
        };
        assert_eq!(found(&["a=b; __Host-vouchsafe=x.y"]).as_deref(), Some("x.y"));
        assert_eq!(found(&["a=b", "__Host-vouchsafe=x.y"]).as_deref(), Some("x.y"));
        assert_eq!(found(&["__Host-vouchsafe=x; __Host-vouchsafe=y"]), None);
        assert_eq!(found(&["__host-vouchsafe=x"]), None);
        assert_eq!(found(&[]), None);
    }
}
