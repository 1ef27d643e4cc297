//! MCP keys.

use vouchsafe_core::key::{KeySettings, Level, Rate, SessionTime, ToolList};
use vouchsafe_core::token::Token;
use vouchsafe_proto::v1;

use super::time::{duration, duration_out, time, time_out};
use super::{Taken, few, name, names, optional, project_and_name, unknown};
use crate::broker::{KeyChange, KeyView, NewKey, Refused};

/// The most names in a list of tools.
const TOOLS_MAX: usize = 200;

/// A key without its value.
pub(in crate::grpc) fn key(view: &KeyView) -> v1::Key {
    let (key, settings, usage) = (&view.key, &view.key.settings, &view.usage);
    v1::Key {
        id: key.id.to_string(),
        name: key.name.to_string(),
        project: view.project_name.clone(),
        owner: view.owner_name.clone(),
        scopes: key.scopes.iter().map(|scope| scope.to_string()).collect(),
        enabled: key.enabled,
        created_at: Some(time_out(key.created_at)),
        last_used_at: key.last_used_at.map(time_out),
        level: level_out(settings.level).into(),
        session: Some(duration_out(settings.session.duration())),
        tools: settings.tools.names().map(str::to_owned).collect(),
        rate: settings.rate.per_minute(),
        monthly: settings.monthly.unwrap_or_default(),
        expires_at: settings.expires_at.map(time_out),
        calls_this_month: usage.calls,
        calls_left: usage.calls_left,
        rate_left: usage.rate_left,
        expired: view.expired,
    }
}

/// A key and its value, which goes to whoever made it, once.
pub(in crate::grpc) fn key_with_value(view: &KeyView, value: &Token) -> v1::KeyWithValue {
    v1::KeyWithValue { key: Some(key(view)), value: value.expose().to_string() }
}

/// A key to be made.
pub(in crate::grpc) fn new_key(request: v1::CreateKeyRequest) -> Taken<NewKey> {
    let (project, name) = project_and_name(request.project, request.name)?;
    Ok(NewKey {
        project,
        name,
        scopes: names("scopes", request.scopes)?,
        owner: optional("owner", request.owner)?,
        settings: KeySettings {
            level: level(request.level)?.unwrap_or_default(),
            session: session(request.session)?.unwrap_or_default(),
            tools: tools(&request.tools)?,
            rate: given(request.rate).map(rate).transpose()?.unwrap_or_default(),
            monthly: (request.monthly > 0).then_some(request.monthly),
            expires_at: time("expires_at", request.expires_at)?,
        },
    })
}

/// Which key is to be changed, and how. What is given without its switch was meant, and is not
/// passed over.
pub(in crate::grpc) fn key_change(
    request: v1::UpdateKeyRequest,
) -> Taken<(Option<String>, String, KeyChange)> {
    if !request.set_tools && !request.tools.is_empty() {
        return Err(Refused::invalid(
            "tools are given and set_tools is not set",
            "Set set_tools to replace the tools.",
        ));
    }
    let expires_at = match (request.clear_expires_at, time("expires_at", request.expires_at)?) {
        (true, Some(_)) => {
            return Err(Refused::invalid(
                "expires_at is given and clear_expires_at is set",
                "Give one of the two.",
            ));
        }
        (true, None) => Some(None),
        (false, at) => at.map(Some),
    };
    let (project, name) = project_and_name(request.project, request.name)?;
    let change = KeyChange {
        scopes: names("scopes", request.scopes)?,
        owner: optional("owner", request.owner)?,
        level: level(request.level)?,
        session: session(request.session)?,
        tools: request.set_tools.then(|| tools(&request.tools)).transpose()?,
        rate: request.rate.map(rate).transpose()?,
        monthly: request.monthly.map(|calls| (calls > 0).then_some(calls)),
        expires_at,
    };
    Ok((project, name, change))
}

fn given(number: u32) -> Option<u32> {
    Some(number).filter(|number| *number > 0)
}

fn rate(requests: u32) -> Taken<Rate> {
    Rate::new(requests).map_err(|error| Refused::invalid(error.to_string(), "Give such a number."))
}

fn session(given: Option<prost_types::Duration>) -> Taken<Option<SessionTime>> {
    let Some(time) = duration("session", given)? else { return Ok(None) };
    let session = SessionTime::try_from(time)
        .map_err(|error| Refused::invalid(error.to_string(), "Give a time such as 30m or 8h."))?;
    Ok(Some(session))
}

fn tools(given: &[String]) -> Taken<ToolList> {
    few("tools", given.len(), TOOLS_MAX)?;
    for tool in given {
        name("tools", tool.clone())?;
    }
    ToolList::parse(given.iter().map(String::as_str)).map_err(|error| {
        Refused::invalid(error.to_string(), "Give names such as read_secret or linear__*.")
    })
}

fn level(value: i32) -> Taken<Option<Level>> {
    match v1::Level::try_from(value) {
        Ok(v1::Level::Unspecified) => Ok(None),
        Ok(v1::Level::Strict) => Ok(Some(Level::Strict)),
        Ok(v1::Level::Balanced) => Ok(Some(Level::Balanced)),
        Ok(v1::Level::Permissive) => Ok(Some(Level::Permissive)),
        Ok(v1::Level::Auto) => Ok(Some(Level::Auto)),
        Err(_) => Err(unknown("level", value)),
    }
}

const fn level_out(level: Level) -> v1::Level {
    match level {
        Level::Strict => v1::Level::Strict,
        Level::Balanced => v1::Level::Balanced,
        Level::Permissive => v1::Level::Permissive,
        Level::Auto => v1::Level::Auto,
    }
}

#[cfg(test)]
mod tests {
    use vouchsafe_core::time::UnixTime;

    use super::*;

    fn update() -> v1::UpdateKeyRequest {
        v1::UpdateKeyRequest { name: "claude".to_owned(), ..v1::UpdateKeyRequest::default() }
    }

    #[test]
    fn each_level_reads_back_as_it_is_written_and_no_other_is_taken() {
        for one in Level::ALL {
            assert_eq!(level(level_out(one).into()), Ok(Some(one)));
        }
        assert_eq!(level(0), Ok(None));
        let message = "level has the value 5, which this daemon does not know";
        assert_eq!(level(5).unwrap_err().message, message);
    }

    #[test]
    fn a_key_that_is_given_nothing_has_what_keys_have() {
        let request =
            v1::CreateKeyRequest { name: "claude".to_owned(), ..v1::CreateKeyRequest::default() };
        assert_eq!(new_key(request).unwrap().settings, KeySettings::default());
    }

    #[test]
    fn what_a_key_cannot_be_given_is_refused_by_what_it_may_be() {
        let of = |request: v1::UpdateKeyRequest| key_change(request).unwrap_err().message;
        let minutes = |minutes: i64| prost_types::Duration { seconds: minutes * 60, nanos: 0 };
        assert_eq!(
            of(v1::UpdateKeyRequest { rate: Some(0), ..update() }),
            "a key may make 1 to 1000000 requests a minute"
        );
        assert_eq!(
            of(v1::UpdateKeyRequest { session: Some(minutes(4)), ..update() }),
            "session time is whole minutes from 5m to 24h"
        );
        assert_eq!(
            of(v1::UpdateKeyRequest { tools: vec!["whoami".to_owned()], ..update() }),
            "tools are given and set_tools is not set"
        );
        let tools = vec!["read secret".to_owned()];
        let message = of(v1::UpdateKeyRequest { tools, set_tools: true, ..update() });
        assert!(message.starts_with("`read secret` is no tool's name"), "{message}");
        let at = Some(time_out(UnixTime::from_ms(0)));
        assert_eq!(
            of(v1::UpdateKeyRequest { expires_at: at, clear_expires_at: true, ..update() }),
            "expires_at is given and clear_expires_at is set"
        );
    }

    #[test]
    fn a_change_is_of_what_is_given_and_nothing_else() {
        let (_, _, change) = key_change(update()).unwrap();
        let KeyChange { scopes, owner, level, session, tools, rate, monthly, expires_at } = change;
        assert!(scopes.is_empty() && owner.is_none() && level.is_none() && session.is_none());
        assert!(tools.is_none() && rate.is_none() && monthly.is_none() && expires_at.is_none());
        let request = v1::UpdateKeyRequest {
            set_tools: true,
            monthly: Some(0),
            clear_expires_at: true,
            ..update()
        };
        let (_, _, change) = key_change(request).unwrap();
        assert_eq!(change.tools, Some(ToolList::All));
        assert_eq!((change.monthly, change.expires_at), (Some(None), Some(None)));
    }
}
