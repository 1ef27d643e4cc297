//! Between the messages of the contract and the words of the core and the broker.
//!
//! On the way in everything has a limit, and what is not known is refused by the name of its field.
//! On the way out whatever somebody else wrote is made safe to show.

mod approvals;
mod audit;
mod emergency;
mod evidence;
mod keys;
mod leases;
mod notify;
mod policy;
mod projects;
mod secrets;
mod status;
mod time;
mod users;

use vouchsafe_core::resource::{Operation, Pattern};
use vouchsafe_core::text::{self, REASON_CHARS_MAX};
use vouchsafe_proto::v1;

pub(super) use self::approvals::{approval, approval_event, approval_filter, vote_command};
pub(super) use self::audit::{
    audit_entry, audit_groups, audit_query, export_part, group_by, tail_last,
};
pub(super) use self::emergency::{
    broken_glass, glass_command, resumed, review, stop, stop_of, stopped,
};
pub(super) use self::evidence::{stats, stats_wanted, suggestions, suggestions_wanted};
pub(super) use self::keys::{key, key_change, key_with_value, new_key};
pub(super) use self::leases::{lease, lease_filter, session, which};
pub(super) use self::notify::{
    channel, channel_name, channel_test, delivery, delivery_query, which_deliveries,
};
pub(super) use self::policy::{
    checked, explain_ask, explained, policy_files, reloaded, replay_ask, replayed, shown_policy,
    tested,
};
pub(super) use self::projects::{archived, monthly, project};
pub(super) use self::secrets::{
    deleted_secret, generate_secret, import_items, imported, put_secret, secret, secret_filter,
    secret_path, secret_settings, secret_version,
};
pub(super) use self::status::{check_result, sign_in_code, status, who_am_i};
pub(super) use self::users::{roles, user, user_change, user_with_token};
use crate::broker::{Page, Refused};

/// The longest name, id or page token, in bytes.
const NAME_BYTES_MAX: usize = 200;
/// The longest resource, pattern or path, in bytes: `vouchsafe://secrets/` and 17 segments.
const RESOURCE_BYTES_MAX: usize = 1_200;
/// The most names in one list.
const NAMES_MAX: usize = 50;
/// The largest page.
const PAGE_SIZE_MAX: u32 = 500;

type Taken<T> = Result<T, Refused>;

/// Which page is wanted.
pub(super) fn page(request: Option<v1::PageRequest>) -> Taken<Page> {
    let v1::PageRequest { size, token } = request.unwrap_or_default();
    if size > PAGE_SIZE_MAX {
        let message = format!("page.size is {size}, and a page has {PAGE_SIZE_MAX} at most");
        return Err(Refused::invalid(message, "Ask for less, then for the next page."));
    }
    Ok(Page { size, token: at_most("page.token", token, RESOURCE_BYTES_MAX)? })
}

/// A name that has to be there; what names look like is the core's to say.
pub(super) fn name(field: &str, value: String) -> Taken<String> {
    if value.is_empty() {
        return Err(missing(field));
    }
    at_most(field, value, NAME_BYTES_MAX)
}

/// An id that has to be there, whole or shortened.
pub(super) fn id(field: &str, value: String) -> Taken<String> {
    name(field, value)
}

/// A text that may be empty, which says that it is not given.
pub(super) fn optional(field: &str, value: String) -> Taken<Option<String>> {
    if value.is_empty() { Ok(None) } else { name(field, value).map(Some) }
}

/// A resource or something like it, that has to be there.
pub(super) fn text(field: &str, value: String) -> Taken<String> {
    if value.is_empty() {
        return Err(missing(field));
    }
    at_most(field, value, RESOURCE_BYTES_MAX)
}

/// Several names.
pub(super) fn names(field: &str, values: Vec<String>) -> Taken<Vec<String>> {
    few(field, values.len(), NAMES_MAX)?;
    values.into_iter().map(|value| name(field, value)).collect()
}

/// The project and the name of something in it.
pub(super) fn project_and_name(project: String, value: String) -> Taken<(Option<String>, String)> {
    Ok((optional("project", project)?, name("name", value)?))
}

/// Why somebody does something; may be empty.
pub(super) fn reason(value: String) -> Taken<String> {
    let chars = value.chars().count();
    if chars > REASON_CHARS_MAX {
        let message = format!("the reason has {chars} characters, and may have {REASON_CHARS_MAX}");
        return Err(Refused::invalid(message, "Say it in fewer words."));
    }
    Ok(value)
}

/// An operation that has to be there.
pub(super) fn operation(field: &str, value: i32) -> Taken<Operation> {
    match v1::Operation::try_from(value) {
        Ok(v1::Operation::List) => Ok(Operation::List),
        Ok(v1::Operation::Use) => Ok(Operation::Use),
        Ok(v1::Operation::Read) => Ok(Operation::Read),
        Ok(v1::Operation::Write) => Ok(Operation::Write),
        Ok(v1::Operation::Delete) => Ok(Operation::Delete),
        Ok(v1::Operation::Call) => Ok(Operation::Call),
        Ok(v1::Operation::Unspecified) => Err(missing(field)),
        Err(_) => Err(unknown(field, value)),
    }
}

const fn operation_out(operation: Operation) -> v1::Operation {
    match operation {
        Operation::List => v1::Operation::List,
        Operation::Use => v1::Operation::Use,
        Operation::Read => v1::Operation::Read,
        Operation::Write => v1::Operation::Write,
        Operation::Delete => v1::Operation::Delete,
        Operation::Call => v1::Operation::Call,
    }
}

fn pattern(field: &str, value: &str) -> Taken<Option<Pattern>> {
    if value.is_empty() {
        return Ok(None);
    }
    parse(field, value).map(Some)
}

/// Reads a text that says itself what is wrong with it.
fn parse<T>(field: &str, value: &str) -> Taken<T>
where
    T: std::str::FromStr<Err: std::fmt::Display>,
{
    value.parse().map_err(|error| Refused::invalid(format!("{field}: {error}"), ""))
}

fn at_most(field: &str, value: String, max: usize) -> Taken<String> {
    if value.len() > max {
        let message = format!("{field} has {} bytes, and may have {max}", value.len());
        return Err(Refused::invalid(message, "Write less."));
    }
    Ok(value)
}

fn few(field: &str, count: usize, max: usize) -> Taken<()> {
    if count > max {
        let message = format!("{field} has {count} entries, and may have {max}");
        return Err(Refused::invalid(message, "Give fewer of them."));
    }
    Ok(())
}

fn missing(field: &str) -> Refused {
    Refused::invalid(format!("{field} is missing"), format!("Give {field}."))
}

/// A value of an enum that this daemon does not know.
fn unknown(field: &str, value: i32) -> Refused {
    Refused::invalid(
        format!("{field} has the value {value}, which this daemon does not know"),
        "Use a client of the daemon's version.",
    )
}

/// Somebody's words, safe to show.
fn shown(words: &str) -> String {
    text::escape_untrusted(words).text
}

#[cfg(test)]
mod tests;
