//! Somebody with a browser that runs no script.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a page that is not as it should be fails the test"
)]

use form_urlencoded::Serializer;
use reqwest::header::{CONTENT_TYPE, COOKIE, HeaderMap, LOCATION, ORIGIN, SET_COOKIE};
use reqwest::redirect::Policy;
use reqwest::{Client, Method, RequestBuilder};

use vouchsafe_core::route::LOCAL_NAME;

use crate::daemon::TestDaemon;

/// The cookie of the pages.
pub const COOKIE_NAME: &str = "__Host-vouchsafe";

/// A browser, with the cookie that it holds.
#[derive(Clone, Debug)]
pub struct Browser {
    client: Client,
    base: String,
    /// The cookie's value; none: it has none.
    pub cookie: Option<String>,
}

/// What it was answered.
#[derive(Clone, Debug)]
pub struct Shown {
    /// The HTTP status.
    pub status: u16,
    /// The headers.
    pub headers: HeaderMap,
    /// The page.
    pub html: String,
}

/// Names and values.
pub type Fields = Vec<(String, String)>;

impl Browser {
    /// One that nobody has signed in with.
    pub fn new(daemon: &TestDaemon) -> Self {
        // An error means that another test of this binary was first.
        drop(rustls::crypto::ring::default_provider().install_default());
        // As browsers do by themselves.
        let here = ([127, 0, 0, 1], 0).into();
        let client = Client::builder().redirect(Policy::none()).resolve(LOCAL_NAME, here);
        Self { client: client.build().unwrap(), base: daemon.page(""), cookie: None }
    }

    /// One that somebody has signed in with, by their token.
    pub async fn signed_in(daemon: &TestDaemon, name: &str) -> Self {
        let mut browser = Self::new(daemon);
        let shown = browser.post("/signin", &fields(&[("token", daemon.token(name))])).await;
        assert_eq!(shown.status, 303, "{}", shown.html);
        browser
    }

    /// Goes to the same daemon at its new address.
    pub fn moved(&mut self, daemon: &TestDaemon) {
        self.base = daemon.page("");
    }

    /// Where the pages are.
    pub fn base(&self) -> &str {
        &self.base
    }

    /// A request with the cookie.
    pub fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let request = self.client.request(method, format!("{}{path}", self.base));
        match &self.cookie {
            Some(cookie) => request.header(COOKIE, format!("{COOKIE_NAME}={cookie}")),
            None => request,
        }
    }

    /// Opens a page.
    pub async fn get(&self, path: &str) -> Shown {
        shown(self.request(Method::GET, path)).await
    }

    /// Sends a form from one of our own pages, and keeps the cookie that comes back.
    pub async fn post(&mut self, path: &str, fields: &Fields) -> Shown {
        let answered = shown(self.form(path, fields).header(ORIGIN, &self.base)).await;
        if let Some(cookie) = answered.cookie() {
            self.cookie = Some(cookie).filter(|cookie| !cookie.is_empty());
        }
        answered
    }

    /// A form that says nothing of where it comes from.
    pub fn form(&self, path: &str, fields: &Fields) -> RequestBuilder {
        let body = Serializer::new(String::new()).extend_pairs(fields).finish();
        let kind = "application/x-www-form-urlencoded";
        self.request(Method::POST, path).header(CONTENT_TYPE, kind).body(body)
    }
}

impl Shown {
    /// Where it leads.
    pub fn location(&self) -> &str {
        self.headers.get(LOCATION).map_or("", |to| to.to_str().unwrap())
    }

    /// The cookie that it sets: its value.
    pub fn cookie(&self) -> Option<String> {
        let line = self.headers.get(SET_COOKIE)?.to_str().unwrap();
        let (pair, _) = line.split_once(';').unwrap();
        let (name, value) = pair.split_once('=').unwrap();
        assert_eq!(name, COOKIE_NAME);
        Some(value.to_owned())
    }

    /// The hidden fields of the form with this id.
    pub fn form(&self, id: &str) -> Fields {
        let mark = format!("id=\"{id}\"");
        let from = self.html.find(&mark).unwrap_or_else(|| panic!("no {id} in {}", self.html));
        let form = self.html.get(from..).unwrap().split("</form>").next().unwrap();
        let hidden = form.split("<input type=\"hidden\" name=\"").skip(1);
        hidden
            .map(|input| {
                let (name, rest) = input.split_once("\" value=\"").unwrap();
                (name.to_owned(), rest.split('"').next().unwrap().to_owned())
            })
            .collect()
    }

    /// What is between these two texts, the first time.
    pub fn between(&self, from: &str, to: &str) -> &str {
        let rest =
            self.html.split_once(from).unwrap_or_else(|| panic!("no {from} in {}", self.html));
        rest.1.split_once(to).unwrap().0
    }
}

/// Sends a request and reads the whole answer.
pub async fn shown(request: RequestBuilder) -> Shown {
    let response = request.send().await.unwrap();
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    let html = String::from_utf8(response.bytes().await.unwrap().to_vec()).unwrap_or_default();
    Shown { status, headers, html }
}

/// Fields of a form.
pub fn fields(given: &[(&str, &str)]) -> Fields {
    given.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

/// The same, with these besides; what is there already is replaced.
pub fn with(mut fields: Fields, more: &[(&str, &str)]) -> Fields {
    for (name, value) in more {
        fields.retain(|(given, _)| given != name);
        fields.push(((*name).to_owned(), (*value).to_owned()));
    }
    fields
}
