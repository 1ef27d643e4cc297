//! Notifications of ntfy, <https://docs.ntfy.sh/publish/#publish-as-json>.
//!
//! Its text is plain: nothing in it is markup as long as nobody says that it is Markdown.

use serde_json::{Value, json};
use vouchsafe_core::route::Message;

use super::told::{Weight, fit, lines, plain, weight};
use crate::notify::guard::Address;

/// The longest title, in bytes: apps show one line.
const TITLE_BYTES_MAX: usize = 250;
/// The longest message, in bytes: the server makes a file of a longer one.
const MESSAGE_BYTES_MAX: usize = 4_000;

/// The topic of an address, and where its server is told of messages; a query stays, for a login may
/// be in it.
pub(super) fn topic(address: &Address) -> Option<(String, Address)> {
    let path = address.url().path().trim_matches('/');
    let fits = (1..=64).contains(&path.len())
        && path.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b));
    fits.then(|| (path.to_owned(), address.root()))
}

/// The body; none for a code that is one person's.
pub(super) fn body(message: &Message, topic: &str) -> Option<Value> {
    let text: Vec<_> =
        lines(message)?.iter().map(|line| format!("{}: {}", line.label, line.text)).collect();
    let (priority, tag) = match weight(message) {
        Weight::News => (2, "information_source"),
        Weight::Good => (3, "white_check_mark"),
        Weight::Bad => (3, "no_entry"),
        Weight::Asks => (4, "key"),
        Weight::Urgent => (5, "rotating_light"),
    };
    let mut body = json!({
        "topic": topic,
        "title": fit(&message.headline, TITLE_BYTES_MAX, str::len, plain),
        "message": fit(&text.join("\n"), MESSAGE_BYTES_MAX, str::len, plain),
        "priority": priority,
        "tags": [tag],
    });
    if let (Some(link), Some(members)) = (&message.link, body.as_object_mut()) {
        members.insert("click".to_owned(), json!(link));
        let view = json!([{ "action": "view", "label": "Open", "url": link }]);
        members.insert("actions".to_owned(), view);
    }
    Some(body)
}
