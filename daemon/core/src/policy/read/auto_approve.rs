//! Reading `[rule.auto_approve]`.

use super::super::conditions::{Conditions, Meaning, Written};
use super::super::source::{Fields, Given, Value, Wrong, echo, wrong};
use super::operation;
use crate::resource::{Operation, Operations};

const KEYS: [&str; 6] = ["time_window", "days", "schedule", "requester", "operations", "when"];
const EXAMPLE: &str = "[rule.auto_approve] with requester = [\"ci-*\"]";

/// The conditions under which an ask is approved without a person.
pub(super) fn auto_approve(
    fields: &mut Fields<'_, '_, '_>,
    covered: Operations,
) -> Given<Conditions> {
    let Some(mut fields) = fields.table("auto_approve", "auto_approve.", EXAMPLE)? else {
        return Ok(None);
    };
    fields.refuse_others(|key| {
        if KEYS.contains(&key) {
            return Ok(());
        }
        let mend = format!("there are {}", KEYS.join(", "));
        Err(wrong(format!("`{}` is not a condition", echo(key)), mend))
    });
    let fields = &mut fields;
    let time_window = one(fields, "time_window", "\"09:00-17:00 America/Los_Angeles\"");
    let days = days(fields);
    let schedule = one(fields, "schedule", "\"* 9-17 * * Mon-Fri\"");
    let requester = joined(fields, "requester", "[\"claude-desktop\", \"ci-*\"]", ", ");
    let operations = operations(fields, covered);
    let when = one(fields, "when", "'ask.reason.startsWith(\"INC-\")'");

    let conditions = Conditions {
        time_window: time_window?,
        days: days?,
        schedule: schedule?,
        requester: requester?,
        operations: operations?,
        when: when?,
    };
    if conditions.is_empty() {
        let message = "`auto_approve` has no condition, and would approve everything";
        let mend = "write a condition, or approval = \"none\" in the rule instead";
        return Err(fields.report(wrong(message, mend)));
    }
    Ok(Some(conditions))
}

/// A condition that is one text.
fn one<T: Meaning>(fields: &mut Fields<'_, '_, '_>, key: &str, example: &str) -> Given<Written<T>> {
    fields.read(key, |value| Written::read(value.text(&format!("{key} = {example}"))?))
}

/// A condition that is a text or a list of texts. Each is read by itself, so that what is wrong
/// with it is told at its line; together they are one text.
fn joined<T: Meaning>(
    fields: &mut Fields<'_, '_, '_>,
    key: &str,
    example: &str,
    between: &str,
) -> Given<Written<T>> {
    let example = format!("{key} = {example}");
    let one = |value: Value<'_, '_>| {
        let text = value.text(&example)?;
        T::read(text).map(|_| text.to_owned())
    };
    let texts = match fields.read_one_or_each(key, &example, one)? {
        None => return Ok(None),
        Some(texts) => texts.join(between),
    };
    match Written::read(&texts) {
        Ok(written) => Ok(Some(written)),
        Err(wrong) => Err(fields.report_at(key, wrong)),
    }
}

/// Days as one text, with a zone after them or without, or as a list.
fn days<T: Meaning>(fields: &mut Fields<'_, '_, '_>) -> Given<Written<T>> {
    const EXAMPLE: &str = "\"Mon-Fri\"";
    if fields.read("days", |value| Ok(value.is_text()))? == Some(true) {
        return one(fields, "days", EXAMPLE);
    }
    let zoned = |value: Value<'_, '_>| match value.text("days = [\"Mon\", \"Wed-Fri\"]")?.trim() {
        text if text.contains(char::is_whitespace) => {
            let message = format!("`{}` is more than days", echo(text));
            Err(wrong(message, "to name a time zone, write days = \"Mon,Wed-Fri Europe/Berlin\""))
        }
        _ => Ok(()),
    };
    fields.read_each("days", "days = [\"Mon\", \"Wed-Fri\"]", zoned)?;
    joined(fields, "days", EXAMPLE, ",")
}

/// Operations, each of which the rule covers.
fn operations(fields: &mut Fields<'_, '_, '_>, covered: Operations) -> Given<Operations> {
    let one = |value: Value<'_, '_>| -> Result<Operation, Wrong> {
        let one = operation(value, None)?;
        if covered.contains(one) {
            return Ok(one);
        }
        let message = format!("the rule does not cover `{one}`, so that it never comes to this");
        Err(wrong(message, format!("write some of {covered}")))
    };
    let listed = fields.read_one_or_each("operations", "operations = [\"use\"]", one)?;
    match listed {
        Some(listed) if listed.is_empty() => {
            let message = "`auto_approve.operations` is empty, so that it never holds";
            Err(fields.report_at("operations", wrong(message, "list some, or remove the line")))
        }
        listed => Ok(listed.map(Operations::from_iter)),
    }
}
