//! Embeds of Discord. Nothing in them is markup, nobody is pinged, and no text becomes a link.

use serde_json::{Value, json};
use vouchsafe_core::route::Message;

use super::told::{Told, Weight, fit, lines, weight};

/// The limits of an embed, in the units that JavaScript counts in.
const TITLE_MAX: usize = 256;
const NAME_MAX: usize = 256;
const VALUE_MAX: usize = 1_024;
const FIELDS_MAX: usize = 25;
/// Of all text in it.
const EMBED_MAX: usize = 6_000;
/// Kept for what says that there is more.
const MORE_MAX: usize = 100;

/// The body; none for a code that is one person's.
pub(super) fn body(message: &Message) -> Option<Value> {
    let color = match weight(message) {
        Weight::News => 0x80_8080,
        Weight::Good => 0x2e_a043,
        Weight::Bad => 0xa0_4040,
        Weight::Asks => 0x45_6fe5,
        Weight::Urgent => 0xd2_2f27,
    };
    let title = text(&message.headline, TITLE_MAX);
    let all = lines(message)?;
    let mut left = EMBED_MAX - MORE_MAX - units(&title);
    let mut fields = Vec::new();
    // One place is kept for what says that there is more.
    for Told { label, text: said, .. } in all.iter().take(FIELDS_MAX - 1) {
        let (name, value) = (text(label, NAME_MAX), text(said, VALUE_MAX));
        let size = units(&name) + units(&value);
        if size > left {
            break;
        }
        left -= size;
        // An empty value is refused, and the whole message with it.
        let value = if value.is_empty() { "-".to_owned() } else { value };
        fields.push(json!({ "name": name, "value": value }));
    }
    if fields.len() < all.len() {
        let more = format!("{} more on the page", all.len() - fields.len());
        fields.push(json!({ "name": "… (cut)", "value": more }));
    }
    Some(json!({
        "allowed_mentions": { "parse": [] },
        "embeds": [{
            "title": title,
            "url": message.link,
            "color": color,
            "timestamp": message.at.rfc3339(),
            "fields": fields,
        }],
    }))
}

/// With a backslash before whatever could mean something: Discord leaves any sign alone after one.
fn text(text: &str, max: usize) -> String {
    fit(text, max, units, |c, out| {
        if c.is_ascii_punctuation() && c != ',' && c != '\'' {
            out.push('\\');
        }
        out.push(c);
    })
}

fn units(text: &str) -> usize {
    text.encode_utf16().count()
}
