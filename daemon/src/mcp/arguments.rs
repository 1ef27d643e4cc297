//! A model's arguments, read strictly: what is unknown or of another type is refused by name.

use std::fmt::Display;
use std::str::FromStr;
use std::time::Duration;

use data_encoding::BASE64;
use rmcp::model::JsonObject;
use serde_json::Value;
use vouchsafe_core::approval::ITEMS_MAX;
use vouchsafe_core::resource::{Operation, Pattern, Resource};
use vouchsafe_core::secret::{DESCRIPTION_CHARS_MAX, Generator, SecretBytes};
use vouchsafe_core::text::{self, REASON_CHARS_MAX};
use vouchsafe_core::time;
use zeroize::Zeroizing;

use super::tools::Tool;
use crate::broker::{AccessAsk, AuditQuery, ChangeAsk, NewValue, Page, Plea, Proposal, Refused};

/// The longest URI or pattern, in characters: 8 segments of 64 and what is between them.
pub(super) const URI_CHARS_MAX: usize = 600;
/// The longest id, in characters.
pub(super) const ID_CHARS_MAX: usize = 40;
/// The longest duration, in characters.
pub(super) const DURATION_CHARS_MAX: usize = 40;
/// The longest time, in characters.
pub(super) const TIME_CHARS_MAX: usize = 40;
/// The longest name of a key, a user or an action, in characters.
pub(super) const NAME_CHARS_MAX: usize = 100;
/// The most entries of the log on one page.
pub(super) const AUDIT_ENTRIES_MAX: u32 = 100;
/// The longest page token, in characters.
pub(super) const PAGE_TOKEN_CHARS_MAX: usize = 1_000;

/// How much of a wrong argument is repeated, in characters.
const ECHO_CHARS_MAX: usize = 40;
/// How much is said of what is wrong with a generator, in characters.
const GENERATE_ECHO_CHARS_MAX: usize = 200;
const ASK_AGAIN: &str = "Correct the argument and call again.";

/// A tool and what it was called with.
#[derive(Debug)]
pub(super) enum Call {
    ListSecrets { pattern: Option<Pattern>, page: Page },
    ReadSecret { resource: Resource, plea: Plea },
    RequestAccess(AccessAsk),
    AwaitApproval { id: String },
    WithdrawApproval { id: String },
    ListLeases,
    RenewLease { id: String, duration: Option<Duration> },
    ReleaseLease { id: String },
    ChangeSecret(ChangeAsk),
    QueryAudit { query: AuditQuery, by: Option<String>, page: Page, plea: Plea },
    Whoami,
}

impl Call {
    /// Reads the arguments of this tool.
    pub(super) fn parse(tool: Tool, arguments: JsonObject) -> Result<Self, Refused> {
        let mut fields = Fields(arguments);
        let call = match tool {
            Tool::ListSecrets => Self::ListSecrets {
                pattern: fields.parsed("pattern", URI_CHARS_MAX)?,
                page: Page {
                    size: 0,
                    token: fields.text("page_token", PAGE_TOKEN_CHARS_MAX)?.unwrap_or_default(),
                },
            },
            Tool::ReadSecret => {
                Self::ReadSecret { resource: fields.secret("uri")?, plea: fields.plea()? }
            }
            Tool::RequestAccess => Self::RequestAccess(AccessAsk {
                resources: fields.resources()?,
                operation: fields.parsed("operation", ID_CHARS_MAX)?.unwrap_or(Operation::Read),
                plea: fields.plea()?,
            }),
            Tool::AwaitApproval => Self::AwaitApproval { id: fields.id("approval_id")? },
            Tool::WithdrawApproval => Self::WithdrawApproval { id: fields.id("approval_id")? },
            Tool::ListLeases => Self::ListLeases,
            Tool::RenewLease => {
                Self::RenewLease { id: fields.id("lease_id")?, duration: fields.duration()? }
            }
            Tool::ReleaseLease => Self::ReleaseLease { id: fields.id("lease_id")? },
            Tool::WriteSecret => Self::ChangeSecret(ChangeAsk {
                resource: fields.secret("uri")?,
                proposal: Proposal::Write {
                    value: fields.new_value()?,
                    description: fields.text("description", DESCRIPTION_CHARS_MAX)?,
                },
                plea: fields.plea_without_duration()?,
            }),
            Tool::RotateSecret => Self::ChangeSecret(ChangeAsk {
                resource: fields.secret("uri")?,
                proposal: Proposal::Rotate { generator: fields.generator()? },
                plea: fields.plea_without_duration()?,
            }),
            Tool::DeleteSecret => Self::ChangeSecret(ChangeAsk {
                resource: fields.secret("uri")?,
                proposal: Proposal::Delete,
                plea: fields.plea_without_duration()?,
            }),
            Tool::QueryAudit => Self::QueryAudit {
                query: AuditQuery {
                    since: fields.time("since")?,
                    until: fields.time("until")?,
                    actor: fields.text("actor", NAME_CHARS_MAX)?,
                    action: fields.text("action", NAME_CHARS_MAX)?,
                    resource: fields.text("resource", URI_CHARS_MAX)?,
                    approval: fields.text("approval_id", ID_CHARS_MAX)?,
                    outcome: fields.text("outcome", ID_CHARS_MAX)?,
                    project: None,
                },
                by: fields.text("group_by", ID_CHARS_MAX)?,
                page: Page {
                    size: fields.count("limit", AUDIT_ENTRIES_MAX)?,
                    token: fields.text("page_token", PAGE_TOKEN_CHARS_MAX)?.unwrap_or_default(),
                },
                plea: fields.plea()?,
            },
            Tool::Whoami => Self::Whoami,
        };
        fields.nothing_left(tool)?;
        Ok(call)
    }
}

/// The arguments that have not been read yet.
struct Fields(JsonObject);

impl Fields {
    fn text(&mut self, name: &'static str, max: usize) -> Result<Option<String>, Refused> {
        match self.0.remove(name) {
            None => Ok(None),
            Some(Value::String(text)) => {
                let chars = text.chars().count();
                if chars > max {
                    return Err(invalid(format!(
                        "`{name}` has {chars} characters and may have {max}"
                    )));
                }
                Ok(Some(text))
            }
            Some(other) => Err(wrong_type(name, "a string", &other)),
        }
    }

    /// A value that is given as text or as base64, or made here.
    fn new_value(&mut self) -> Result<NewValue, Refused> {
        // Taken out first of all, so that they are wiped whatever else is wrong.
        let text = self.value("value")?;
        let base64 = self.value("value_base64")?;
        let generator = self.generator()?;
        match (text, base64, generator) {
            (Some(text), None, None) => given(text.as_bytes().to_vec()),
            (None, Some(text), None) => {
                let bytes = BASE64.decode(text.as_bytes()).map_err(|_| {
                    invalid("`value_base64` is not base64 with its padding (RFC 4648)".to_owned())
                })?;
                given(bytes)
            }
            (None, None, Some(generator)) => Ok(NewValue::Generated(generator)),
            (None, None, None) => Err(invalid(
                "there is no value: give `value`, `value_base64` or `generate`".to_owned(),
            )),
            _ => Err(invalid(
                "give one of `value`, `value_base64` and `generate`, not several".to_owned(),
            )),
        }
    }

    /// A text that may be secret: nothing of it is ever repeated.
    fn value(&mut self, name: &'static str) -> Result<Option<Zeroizing<String>>, Refused> {
        match self.0.remove(name) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(Zeroizing::new(text))),
            Some(other) => Err(wrong_type(name, "a string", &other)),
        }
    }

    fn generator(&mut self) -> Result<Option<Generator>, Refused> {
        let Some(value) = self.0.remove("generate") else { return Ok(None) };
        let generator: Generator = serde_json::from_value(value).map_err(|error| {
            let error = text::echo(&error.to_string(), GENERATE_ECHO_CHARS_MAX);
            invalid(format!(
                "`generate` is no way to make a value: {error}; write it as {{\"kind\": \"password\", \"length\": 32}}"
            ))
        })?;
        let checked = generator.check().map_err(|error| invalid(format!("`generate`: {error}")))?;
        Ok(Some(checked))
    }

    /// What an agent says with an ask that is not for a time.
    fn plea_without_duration(&mut self) -> Result<Plea, Refused> {
        Ok(Plea {
            reason: self.text("reason", REASON_CHARS_MAX)?,
            reason_kind: self.text("reason_kind", ID_CHARS_MAX)?,
            duration: None,
        })
    }

    /// What an agent says with an ask.
    fn plea(&mut self) -> Result<Plea, Refused> {
        Ok(Plea {
            reason: self.text("reason", REASON_CHARS_MAX)?,
            reason_kind: self.text("reason_kind", ID_CHARS_MAX)?,
            duration: self.duration()?,
        })
    }

    /// A time in RFC 3339.
    fn time(&mut self, name: &'static str) -> Result<Option<time::UnixTime>, Refused> {
        let Some(text) = self.text(name, TIME_CHARS_MAX)? else { return Ok(None) };
        let parsed = time::UnixTime::parse_rfc3339(&text);
        parsed.map(Some).ok_or_else(|| {
            invalid(format!("`{name}` is no time: write it as 2026-11-21T10:44:00Z"))
        })
    }

    /// A number from 1; 0 where none is given.
    fn count(&mut self, name: &'static str, max: u32) -> Result<u32, Refused> {
        match self.0.remove(name) {
            None => Ok(0),
            Some(Value::Number(number)) => {
                let fits = number.as_u64().and_then(|number| u32::try_from(number).ok());
                fits.filter(|number| (1..=max).contains(number))
                    .ok_or_else(|| invalid(format!("`{name}` is a whole number from 1 to {max}")))
            }
            Some(other) => Err(wrong_type(name, "a number", &other)),
        }
    }

    fn needed(&mut self, name: &'static str, max: usize) -> Result<String, Refused> {
        self.text(name, max)?.ok_or_else(|| invalid(format!("`{name}` is missing")))
    }

    fn id(&mut self, name: &'static str) -> Result<String, Refused> {
        self.needed(name, ID_CHARS_MAX)
    }

    fn parsed<T>(&mut self, name: &'static str, max: usize) -> Result<Option<T>, Refused>
    where
        T: FromStr<Err: Display>,
    {
        let text = self.text(name, max)?;
        text.map(|text| parse(name, &text)).transpose()
    }

    fn secret(&mut self, name: &'static str) -> Result<Resource, Refused> {
        let text = self.needed(name, URI_CHARS_MAX)?;
        secret(name, &text)
    }

    fn resources(&mut self) -> Result<Vec<Resource>, Refused> {
        let name = "resources";
        let listed = match self.0.remove(name) {
            None => return Err(invalid("`resources` is missing".to_owned())),
            Some(Value::Array(listed)) => listed,
            Some(other) => return Err(wrong_type(name, "a list of strings", &other)),
        };
        if listed.is_empty() || listed.len() > ITEMS_MAX {
            let many = listed.len();
            return Err(invalid(format!(
                "`resources` has {many} URIs and may have 1 to {ITEMS_MAX}"
            )));
        }
        let mut resources = Vec::with_capacity(listed.len());
        for one in listed {
            let resource = match one {
                Value::String(text) if text.len() <= URI_CHARS_MAX => secret(name, &text)?,
                Value::String(_) => {
                    return Err(invalid("a URI in `resources` is too long".to_owned()));
                }
                other @ (Value::Null
                | Value::Bool(_)
                | Value::Number(_)
                | Value::Array(_)
                | Value::Object(_)) => {
                    return Err(wrong_type(name, "a list of strings", &other));
                }
            };
            if resources.contains(&resource) {
                return Err(invalid(format!("`resources` names {resource} twice")));
            }
            resources.push(resource);
        }
        Ok(resources)
    }

    fn duration(&mut self) -> Result<Option<Duration>, Refused> {
        let Some(text) = self.text("duration", DURATION_CHARS_MAX)? else { return Ok(None) };
        match time::parse_duration(&text) {
            Ok(duration) if duration >= Duration::from_secs(1) => Ok(Some(duration)),
            _ => Err(invalid(format!(
                "`duration` is `{}`: write a number and a unit, such as 90s, 15m or 1h",
                text::echo(&text, ECHO_CHARS_MAX)
            ))),
        }
    }

    fn nothing_left(self, tool: Tool) -> Result<(), Refused> {
        match self.0.keys().next() {
            None => Ok(()),
            Some(unknown) => Err(invalid(format!(
                "{} has no argument `{}`",
                tool.as_str(),
                text::echo(unknown, ECHO_CHARS_MAX)
            ))),
        }
    }
}

fn given(bytes: Vec<u8>) -> Result<NewValue, Refused> {
    let value = SecretBytes::value(bytes).map_err(|error| invalid(error.to_string()))?;
    Ok(NewValue::Given(value))
}

/// A secret's URI. What else has one cannot be read.
fn secret(name: &str, text: &str) -> Result<Resource, Refused> {
    match parse::<Resource>(name, text)? {
        resource @ Resource::Secret(_) => Ok(resource),
        Resource::Tool { .. } | Resource::Audit | Resource::Policy => Err(invalid(format!(
            "`{name}` is no secret: a secret's URI begins with vouchsafe://secrets/"
        ))),
    }
}

fn parse<T: FromStr<Err: Display>>(name: &str, text: &str) -> Result<T, Refused> {
    text.parse().map_err(|error| invalid(format!("`{name}`: {error}")))
}

fn wrong_type(name: &str, wanted: &str, got: &Value) -> Refused {
    let got = match got {
        Value::Null => "null: leave it out instead",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    };
    invalid(format!("`{name}` is {wanted}, not {got}"))
}

fn invalid(message: String) -> Refused {
    Refused::invalid(message, ASK_AGAIN)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn parse(tool: Tool, arguments: Value) -> Result<Call, Refused> {
        let Value::Object(arguments) = arguments else { panic!("not an object") };
        Call::parse(tool, arguments)
    }

    #[test]
    fn arguments_are_read() {
        let call = parse(
            Tool::ReadSecret,
            json!({ "uri": "vouchsafe://secrets/a/B", "reason": "r", "duration": "15m" }),
        );
        let Ok(Call::ReadSecret { resource, plea }) = call else { panic!("{call:?}") };
        assert_eq!(resource.to_string(), "vouchsafe://secrets/a/B");
        assert_eq!(plea.reason.as_deref(), Some("r"));
        assert_eq!(plea.duration, Some(Duration::from_mins(15)));
        let call = parse(Tool::RequestAccess, json!({ "resources": ["vouchsafe://secrets/a"] }));
        let Ok(Call::RequestAccess(ask)) = call else { panic!("{call:?}") };
        assert_eq!(ask.operation, Operation::Read);
    }

    #[test]
    fn what_is_wrong_is_named() {
        let uri = "vouchsafe://secrets/a";
        for (tool, arguments, named) in [
            (Tool::ReadSecret, json!({}), "`uri` is missing"),
            (Tool::ReadSecret, json!({ "uri": 1 }), "`uri` is a string, not a number"),
            (Tool::ReadSecret, json!({ "uri": "a" }), "`uri`: "),
            (Tool::ReadSecret, json!({ "uri": "vouchsafe://audit" }), "`uri` is no secret"),
            (Tool::ReadSecret, json!({ "uri": uri, "path": "x" }), "no argument `path`"),
            (Tool::ReadSecret, json!({ "uri": uri, "reason": null }), "leave it out"),
            (
                Tool::ReadSecret,
                json!({ "uri": uri, "reason": "x".repeat(2_001) }),
                "`reason` has 2001 characters and may have 2000",
            ),
            (Tool::ReadSecret, json!({ "uri": uri, "duration": "soon" }), "`duration` is `soon`"),
            (Tool::ReadSecret, json!({ "uri": uri, "duration": "0s" }), "`duration` is `0s`"),
            (Tool::RequestAccess, json!({ "resources": [] }), "may have 1 to 20"),
            (Tool::RequestAccess, json!({ "resources": [uri, uri] }), "twice"),
            (Tool::RequestAccess, json!({ "resources": [1] }), "a list of strings"),
            (
                Tool::RequestAccess,
                json!({ "resources": [uri], "operation": "steal" }),
                "`operation`: ",
            ),
            (Tool::Whoami, json!({ "a\u{202e}b": 1 }), "no argument `a\\u{202e}b`"),
            (Tool::AwaitApproval, json!({ "approval_id": "x".repeat(41) }), "may have 40"),
        ] {
            let refused = parse(tool, arguments.clone()).unwrap_err();
            assert_eq!(refused.code.as_str(), "INVALID_ARGUMENT");
            assert!(refused.message.contains(named), "{arguments}: {}", refused.message);
            assert!(!refused.next.is_empty());
        }
    }
}
