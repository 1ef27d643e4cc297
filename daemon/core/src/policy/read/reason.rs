//! Reading what a rule says of reasons.

use super::super::regexp::{Regexp, RegexpError};
use super::super::rule::ReasonPattern;
use super::super::source::{Fields, Given, Reported, Value, Wrong, echo, truth, wrong};
use crate::text::{self, REASON_CHARS_MAX};

/// The longest hint, in characters.
const HINT_CHARS_MAX: usize = 200;
/// The most kinds of reason.
const KINDS_MAX: usize = 20;
/// The longest kind, in characters.
const KIND_CHARS_MAX: usize = 40;
const EXAMPLE_HINT: &str = "reason_hint = \"begin with the incident: INC-1234\"";
const EXAMPLE_KINDS: &str = "reason_kinds = [\"incident\", \"maintenance\"]";

/// What a rule says of reasons.
pub(super) struct ReasonRules {
    pub(super) required: bool,
    /// In visible characters; 0 where none is required.
    pub(super) min_length: u32,
    pub(super) pattern: Option<ReasonPattern>,
    pub(super) kinds: Vec<String>,
}

/// What an ask's reason must be like.
pub(super) fn reason(fields: &mut Fields<'_, '_, '_>) -> Result<ReasonRules, Reported> {
    let most = u32::try_from(REASON_CHARS_MAX).unwrap_or(u32::MAX);
    let required = fields.read("require_reason", truth);
    let length = fields.read("min_reason_length", |value| value.number(1, most));
    let pattern = pattern(fields);
    let kinds = kinds(fields);

    let required = required?.unwrap_or(false);
    let (length, pattern) = (length?, pattern?);
    let mut meaningless = Ok(());
    for key in ["min_reason_length", "reason_pattern", "reason_hint"] {
        if !required && fields.has(key) {
            let message = format!("`{key}` means nothing on a rule that requires no reason");
            let mend = "write require_reason = true, or remove it";
            meaningless = Err(fields.report_at(key, wrong(message, mend)));
        }
    }
    meaningless?;
    let min_length = if required { length.unwrap_or(1) } else { 0 };
    Ok(ReasonRules { required, min_length, pattern, kinds: kinds? })
}

fn pattern(fields: &mut Fields<'_, '_, '_>) -> Given<ReasonPattern> {
    let regex = fields.read("reason_pattern", |value| {
        let text = value.text("reason_pattern = \"^INC-[0-9]+\"")?;
        text.parse::<Regexp>().map_err(|error: RegexpError| {
            let message = format!("`{}` is not a regular expression: {error}", echo(text));
            wrong(message, "write one such as ^INC-[0-9]+")
        })
    });
    let hint = fields.read("reason_hint", hint);
    match (regex?, hint?) {
        (None, None) => Ok(None),
        (Some(regex), Some(hint)) => Ok(Some(ReasonPattern { regex, hint })),
        (Some(_), None) => {
            let message = "`reason_pattern` does not say what to write instead";
            let mend = format!("write {EXAMPLE_HINT}");
            Err(fields.report_key("reason_pattern", wrong(message, mend)))
        }
        (None, Some(_)) => {
            let message = "`reason_hint` is shown only where `reason_pattern` does not match";
            let mend = "write reason_pattern = \"^INC-[0-9]+\", or remove it";
            Err(fields.report_key("reason_hint", wrong(message, mend)))
        }
    }
}

fn hint(value: Value<'_, '_>) -> Result<String, Wrong> {
    let hint = value.text(EXAMPLE_HINT)?;
    let fits = (1..=HINT_CHARS_MAX).contains(&hint.chars().count())
        && hint.trim() == hint
        && text::escape_untrusted(hint).text == hint;
    if fits {
        return Ok(hint.to_owned());
    }
    let message = format!("`{}` cannot be a hint", echo(hint));
    Err(wrong(message, format!("write 1 to {HINT_CHARS_MAX} visible characters")))
}

fn kinds(fields: &mut Fields<'_, '_, '_>) -> Result<Vec<String>, Reported> {
    let Some(kinds) = fields.read_each("reason_kinds", EXAMPLE_KINDS, kind)? else {
        return Ok(Vec::new());
    };
    if !(1..=KINDS_MAX).contains(&kinds.len()) {
        let message = format!("`reason_kinds` has {} words", kinds.len());
        let mend = format!("write 1 to {KINDS_MAX}, or remove it");
        return Err(fields.report_at("reason_kinds", wrong(message, mend)));
    }
    let twice =
        kinds.iter().enumerate().find(|(at, kind)| kinds.iter().take(*at).any(|k| k == *kind));
    if let Some((_, kind)) = twice {
        let message = format!("`reason_kinds` has `{kind}` twice");
        return Err(fields.report_at("reason_kinds", wrong(message, "write each once")));
    }
    Ok(kinds)
}

fn kind(value: Value<'_, '_>) -> Result<String, Wrong> {
    let kind = value.text(EXAMPLE_KINDS)?;
    let allowed = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'_' | b'-');
    if (1..=KIND_CHARS_MAX).contains(&kind.len()) && kind.bytes().all(allowed) {
        return Ok(kind.to_owned());
    }
    let message = format!("`{}` cannot be a kind of reason", echo(kind));
    Err(wrong(message, "write 1 to 40 of a-z, 0-9, _ and -"))
}
