//! What pages send: small, plain forms, from our own pages.

use std::fmt;

use axum::body::to_bytes;
use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::http::header::{CONTENT_TYPE, ORIGIN};
use axum::http::request::Parts;
use form_urlencoded::byte_serialize;

use super::Pages;
use super::layout::Turned;
use super::session::Visitor;
use crate::broker::{Code, Refused};
use crate::web::guard::comes_from_us;
use crate::web::whence::Whence;

/// The largest form, in bytes.
const FORM_BYTES_MAX: usize = 64 * 1024;
/// The most fields of one.
const FIELDS_MAX: usize = 200;

/// The fields of a form, or of an address. Its `Debug` tells their names: tokens and codes are
/// among the values.
#[derive(Clone, Default)]
pub(super) struct Fields(Vec<(String, String)>);

/// A form of somebody who has signed in: it came from our own page, and carried their mark.
#[derive(Debug)]
pub(super) struct Posted {
    pub(super) visitor: Visitor,
    pub(super) fields: Fields,
}

/// A form of anybody, from our own page.
#[derive(Debug)]
pub(super) struct Sent {
    pub(super) fields: Fields,
    /// Where it came from.
    pub(super) address: String,
}

/// The fields of an address.
#[derive(Debug)]
pub(super) struct Query(pub(super) Fields);

impl Fields {
    pub(super) fn parse(text: &[u8]) -> Result<Self, Refused> {
        let fields: Vec<_> = form_urlencoded::parse(text)
            .take(FIELDS_MAX + 1)
            .map(|(name, value)| (name.into_owned(), value.into_owned()))
            .collect();
        if fields.len() > FIELDS_MAX {
            return Err(Refused::invalid("the form has too many fields", "Go back and try again."));
        }
        Ok(Self(fields))
    }

    /// A field's value, without white space around it; empty where there is none, or several.
    pub(super) fn one<'a>(&'a self, name: &str) -> &'a str {
        let named = self.0.iter().filter(|(field, _)| field == name);
        let mut found = named.map(|(_, value)| value.as_str());
        match (found.next(), found.next()) {
            (Some(value), None) => value.trim(),
            _ => "",
        }
    }

    /// All values of a field.
    pub(super) fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        let named = self.0.iter().filter(move |(field, _)| field == name);
        named.map(|(_, value)| value.as_str())
    }
}

impl fmt::Debug for Fields {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Fields")?;
        f.debug_list().entries(self.0.iter().map(|(name, _)| name)).finish()
    }
}

impl FromRequest<Pages> for Sent {
    type Rejection = Turned;

    async fn from_request(request: Request, pages: &Pages) -> Result<Self, Turned> {
        let (parts, fields) =
            read(request, pages).await.map_err(|refused| Turned::outside(&refused))?;
        Ok(Self { fields, address: address(&parts) })
    }
}

impl FromRequest<Pages> for Posted {
    type Rejection = Turned;

    async fn from_request(request: Request, pages: &Pages) -> Result<Self, Turned> {
        let (mut parts, fields) =
            read(request, pages).await.map_err(|refused| Turned::outside(&refused))?;
        let visitor = Visitor::from_request_parts(&mut parts, pages).await?;
        if !visitor.sent(fields.one("csrf")) {
            let refused = foreign();
            pages.broker.refuse_door("web", &refused);
            return Err(visitor.turned(&refused));
        }
        Ok(Self { visitor, fields })
    }
}

impl<S: Sync> FromRequestParts<S> for Query {
    type Rejection = Turned;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Turned> {
        let text = parts.uri.query().unwrap_or_default();
        Fields::parse(text.as_bytes()).map(Self).map_err(|refused| Turned::outside(&refused))
    }
}

/// A form that one of our own pages has sent.
async fn read(request: Request, pages: &Pages) -> Result<(Parts, Fields), Refused> {
    let (parts, body) = request.into_parts();
    if !comes_from_us(&parts.uri, &parts.headers) || is_downgraded(&parts, pages) {
        return Err(foreign());
    }
    let kind = parts.headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
    let kind = kind.and_then(|kind| kind.split(';').next()).unwrap_or_default();
    if !kind.trim().eq_ignore_ascii_case("application/x-www-form-urlencoded") {
        return Err(Refused::invalid("this is no form of ours", "Go back and try again."));
    }
    let bytes = to_bytes(body, FORM_BYTES_MAX).await;
    let bytes = bytes.map_err(|_| {
        Refused::invalid("a form has 64 KiB at most, and half a minute", "Write less.")
    })?;
    Ok((parts, Fields::parse(&bytes)?))
}

/// Whether it comes from our name without TLS, where that name is served with TLS: whoever can
/// write into such a page is not us.
fn is_downgraded(parts: &Parts, pages: &Pages) -> bool {
    let base = pages.broker.base_url();
    let plain = base.strip_prefix("https://").map(|name| format!("http://{name}"));
    plain.is_some_and(|plain| parts.headers.get(ORIGIN).is_some_and(|origin| *origin == plain))
}

/// Where a request comes from.
fn address(parts: &Parts) -> String {
    let whence = parts.extensions.get::<Whence>().map(|whence| whence.address());
    whence.unwrap_or_else(|| "unknown".to_owned())
}

/// A value as it stands in an address.
pub(super) fn encoded(value: &str) -> String {
    byte_serialize(value.as_bytes()).collect()
}

fn foreign() -> Refused {
    Refused::new(
        Code::NotYours,
        "this form was not sent by a page that you were shown",
        "Open the page again and answer there; nothing was changed.",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_that_is_there_twice_has_no_value() {
        let fields = Fields::parse(b"a=1&b=2&b=3&c=%20x+y%20").unwrap();
        assert_eq!([fields.one("a"), fields.one("b"), fields.one("c")], ["1", "", "x y"]);
        assert_eq!(fields.all("b").collect::<Vec<_>>(), ["2", "3"]);
        assert_eq!(format!("{:?}", Fields::parse(b"token=vs_x").unwrap()), "Fields[\"token\"]");
        assert!(Fields::parse("a&".repeat(FIELDS_MAX + 1).as_bytes()).is_err());
    }
}
