//! Calls to Slack, and what its answers mean.

use std::fmt;
use std::time::Duration;

use http::StatusCode;
use http::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue};
use serde_json::Value;
use vouchsafe_core::route::Undelivered;

use crate::notify::guard::{Address, Outlet};

const JSON: HeaderValue = HeaderValue::from_static("application/json; charset=utf-8");

/// Errors that hold for everything over this channel, until the operator mends it.
const BARRED: &[&str] = &[
    "access_denied",
    "account_inactive",
    "ekm_access_denied",
    "enterprise_is_restricted",
    "invalid_auth",
    "missing_scope",
    "no_permission",
    "not_allowed_token_type",
    "not_authed",
    "org_login_required",
    "team_access_not_granted",
    "token_expired",
    "token_revoked",
];
/// Errors of Slack's own, and of too much at once.
const BUSY: &[&str] = &[
    "fatal_error",
    "internal_error",
    "rate_limited",
    "ratelimited",
    "request_timeout",
    "service_unavailable",
    "team_added_to_org",
    "two_factor_setup_required",
];
/// Errors that another try of the same message does not mend.
const HOPELESS: &[&str] = &[
    "cannot_dm_bot",
    "cant_update_message",
    "channel_is_archived",
    "channel_not_found",
    "edit_window_closed",
    "invalid_blocks",
    "invalid_blocks_format",
    "invalid_payload",
    "is_archived",
    "message_not_found",
    "messages_tab_disabled",
    "msg_blocks_too_long",
    "msg_too_long",
    "no_service",
    "no_text",
    "too_many_attachments",
    "user_disabled",
    "user_not_found",
    "users_not_found",
];

/// A bot's way to Slack's methods.
pub(super) struct Api {
    wire: Wire,
    base: String,
    /// `Bearer` and the token, marked as a secret.
    bearer: HeaderValue,
}

/// What calls go out by.
#[derive(Clone, Debug)]
pub(super) struct Wire {
    pub(super) outlet: Outlet,
    /// How long one call may take.
    pub(super) within: Duration,
}

impl Api {
    /// Nothing where the token is none that a header can carry.
    pub(super) fn new(wire: Wire, base: &str, token: &str) -> Option<Self> {
        let plain = token.starts_with("xox") && token.bytes().all(|b| b.is_ascii_graphic());
        let mut bearer = HeaderValue::from_str(&format!("Bearer {token}")).ok()?;
        bearer.set_sensitive(true);
        plain.then(|| Self { wire, base: base.to_owned(), bearer })
    }

    /// Where its methods are.
    pub(super) fn base(&self) -> &str {
        &self.base
    }

    /// Calls a method; what it answers where it says `ok`.
    pub(super) async fn call(&self, method: &str, body: &Value) -> Result<Value, Undelivered> {
        let address = self.wire.outlet.address(&format!("{}/{method}", self.base));
        let address = address.map_err(|error| Undelivered::never(error.to_string()))?;
        let headers = HeaderMap::from_iter([(AUTHORIZATION, self.bearer.clone())]);
        let answer = self.wire.post(&address, headers, body).await?;
        let answer: Value = serde_json::from_slice(&answer).map_err(|_| {
            Undelivered::channel(format!("{method} answered something that is no JSON"), None)
        })?;
        if answer.get("ok").and_then(Value::as_bool) == Some(true) {
            return Ok(answer);
        }
        let error = answer.get("error").and_then(Value::as_str).unwrap_or_default();
        Err(refusal(method, error))
    }

    /// Posts to an address that Slack gave, without the token.
    pub(super) async fn post(&self, url: &str, body: &Value) -> Result<(), Undelivered> {
        let address = self.wire.outlet.address(url);
        let address = address.map_err(|error| Undelivered::never(error.to_string()))?;
        self.wire.post(&address, HeaderMap::new(), body).await.map(drop)
    }
}

impl fmt::Debug for Api {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Api").field("base", &self.base).finish_non_exhaustive()
    }
}

impl Wire {
    /// The body of an answer that is no error, as far as HTTP goes.
    pub(super) async fn post(
        &self,
        to: &Address,
        mut headers: HeaderMap,
        body: &Value,
    ) -> Result<Vec<u8>, Undelivered> {
        headers.insert(CONTENT_TYPE, JSON);
        let body = body.to_string().into_bytes();
        let answer = self.outlet.post(to, headers, body, self.within).await?;
        let (status, after) = (answer.status, answer.retry_after);
        if status.is_success() {
            return Ok(answer.body);
        }
        if status == StatusCode::TOO_MANY_REQUESTS {
            return Err(Undelivered::channel("Slack has had too much at once (429)", after));
        }
        if status.is_server_error() {
            let why = format!("Slack answered {}", status.as_u16());
            return Err(Undelivered::channel(why, after));
        }
        // An incoming webhook says in its body what is wrong.
        let said = std::str::from_utf8(&answer.body).unwrap_or_default();
        let mut refused = refusal("Slack", said.trim());
        refused.why = format!("{} ({})", refused.why, status.as_u16());
        Err(refused)
    }
}

/// What an error of Slack's means for another try.
fn refusal(method: &str, error: &str) -> Undelivered {
    let known = !error.is_empty()
        && error.len() <= 60
        && error.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_');
    // Whatever it is, it may hold anything.
    let shown = if known { error } else { "an error that has no name" };
    let why = format!("{method} answered {shown}");
    if BARRED.contains(&error) {
        let why = format!("{why}: check the token and the app's scopes in Slack, then restart");
        return Undelivered::channel(why, None);
    }
    if BUSY.contains(&error) {
        return Undelivered::channel(why, None);
    }
    if HOPELESS.contains(&error) {
        return Undelivered::never(why);
    }
    if error == "not_in_channel" {
        return Undelivered::message(format!("{why}: invite the bot to the channel"), None);
    }
    Undelivered::message(why, None)
}

#[cfg(test)]
mod tests {
    use vouchsafe_core::route::Again;

    use super::*;

    #[test]
    fn what_another_try_may_mend_is_tried_again() {
        for (error, again) in [
            ("invalid_auth", Again::Channel(None)),
            ("token_revoked", Again::Channel(None)),
            ("account_inactive", Again::Channel(None)),
            ("ratelimited", Again::Channel(None)),
            ("internal_error", Again::Channel(None)),
            ("channel_not_found", Again::Never),
            ("is_archived", Again::Never),
            ("user_not_found", Again::Never),
            ("msg_too_long", Again::Never),
            ("not_in_channel", Again::Message(None)),
            ("something_new", Again::Message(None)),
        ] {
            let refused = refusal("chat.postMessage", error);
            assert_eq!(refused.again, again, "{error}");
            assert!(refused.why.starts_with(&format!("chat.postMessage answered {error}")));
        }
    }

    #[test]
    fn what_slack_says_is_repeated_only_where_it_is_a_name() {
        for odd in ["", "xoxb-1-SECRET", "<!channel>", "a b", &"x".repeat(61)] {
            let why = refusal("views.open", odd).why;
            assert_eq!(why, "views.open answered an error that has no name");
        }
    }
}
