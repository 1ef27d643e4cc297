//! How far a key goes: the options that say so, and what of them goes to the daemon.

use std::time::Duration;

use clap::Args;
use vouchsafe_core::key::RATE_MAX;
use vouchsafe_proto::v1::{CreateKeyRequest, UpdateKeyRequest};

use crate::time::{self, Expiry};
use crate::words::Level;

/// The bundle that `--read-only` stands for.
const READ_ONLY: &str = "mcp:read";
/// What `--allow-tools` takes for no list at all.
const ALL_TOOLS: &str = "all";

/// Settings of a key that is made.
#[derive(Args, Debug)]
pub(super) struct NewSettings {
    /// What it may do, like mcp:read,secrets:reveal [default: asked in a terminal, or mcp:read]
    #[arg(long, value_name = "SCOPE", value_delimiter = ',', conflicts_with = "read_only")]
    scopes: Vec<String>,
    /// Only what reads: the same as --scopes mcp:read
    #[arg(long)]
    read_only: bool,
    /// What a person is asked for where a rule leaves it to the key: strict, balanced, permissive
    /// or auto [default: balanced]
    #[arg(long, value_enum, value_name = "LEVEL", hide_possible_values = true)]
    level: Option<Level>,
    /// How long an approval for a session is remembered, 5m to 24h [default: 30m]
    #[arg(long, value_name = "DURATION", value_parser = time::duration_arg)]
    session: Option<Duration>,
    /// Only these tools of those its scopes allow, like `read_secret,linear__*` [default: all]
    #[arg(long, value_name = "TOOL", value_delimiter = ',')]
    allow_tools: Option<Vec<String>>,
    /// Requests it may make in any minute [default: 60]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=i64::from(RATE_MAX)))]
    rate: Option<u32>,
    /// Calls of tools it may make in a month; never more than the project may [default: as many]
    #[arg(long, value_name = "N")]
    monthly: Option<u64>,
    /// User who owns it and never counts as approver of its asks [default: you]
    #[arg(long, value_name = "USER")]
    owner: Option<String>,
    /// When it stops opening anything: 90d, a date (its end, in UTC), or an RFC 3339 time
    #[arg(long, value_name = "WHEN", value_parser = time::expiry_arg)]
    expires: Option<Expiry>,
}

/// Settings of a key that change; what is not given stays as it is.
#[derive(Args, Debug)]
#[group(required = true, multiple = true)]
pub(super) struct Changes {
    /// What it may do from now on; replaces all its scopes
    #[arg(long, value_name = "SCOPE", value_delimiter = ',', conflicts_with = "read_only")]
    scopes: Vec<String>,
    /// Only what reads from now on: the same as --scopes mcp:read
    #[arg(long)]
    read_only: bool,
    /// What a person is asked for where a rule leaves it to the key: strict, balanced, permissive
    /// or auto
    #[arg(long, value_enum, value_name = "LEVEL", hide_possible_values = true)]
    level: Option<Level>,
    /// How long an approval for a session is remembered, 5m to 24h
    #[arg(long, value_name = "DURATION", value_parser = time::duration_arg)]
    session: Option<Duration>,
    /// Only these tools of those its scopes allow, like `read_secret,linear__*`; `all` for all
    #[arg(long, value_name = "TOOL", value_delimiter = ',')]
    allow_tools: Option<Vec<String>>,
    /// Requests it may make in any minute
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=i64::from(RATE_MAX)))]
    rate: Option<u32>,
    /// Calls of tools it may make in a month; 0 for as many as the project may
    #[arg(long, value_name = "N")]
    monthly: Option<u64>,
    /// User who owns it from now on
    #[arg(long, value_name = "USER")]
    owner: Option<String>,
    /// When it stops opening anything: 90d, a date (its end, in UTC), an RFC 3339 time, or never
    #[arg(long, value_name = "WHEN", value_parser = time::expiry_arg)]
    expires: Option<Expiry>,
}

impl NewSettings {
    /// Whether the scopes are still to be asked for.
    pub(super) fn scopes_open(&self) -> bool {
        self.scopes.is_empty() && !self.read_only
    }

    pub(super) fn set_scopes(&mut self, scopes: Vec<String>) {
        self.scopes = scopes;
    }

    pub(super) fn request(self, project: String, name: String) -> CreateKeyRequest {
        CreateKeyRequest {
            project,
            name,
            scopes: scopes(self.scopes, self.read_only),
            owner: self.owner.unwrap_or_default(),
            level: self.level.map_or(0, Level::to_proto),
            session: self.session.map(time::span_to_proto),
            tools: self.allow_tools.map(tools).unwrap_or_default(),
            rate: self.rate.unwrap_or(0),
            monthly: self.monthly.unwrap_or(0),
            expires_at: self.expires.and_then(Expiry::time).map(time::to_proto),
        }
    }
}

impl Changes {
    pub(super) fn request(self, project: String, name: String) -> UpdateKeyRequest {
        UpdateKeyRequest {
            project,
            name,
            scopes: scopes(self.scopes, self.read_only),
            owner: self.owner.unwrap_or_default(),
            level: self.level.map_or(0, Level::to_proto),
            session: self.session.map(time::span_to_proto),
            set_tools: self.allow_tools.is_some(),
            tools: self.allow_tools.map(tools).unwrap_or_default(),
            rate: self.rate,
            monthly: self.monthly,
            expires_at: self.expires.and_then(Expiry::time).map(time::to_proto),
            clear_expires_at: self.expires == Some(Expiry::Never),
        }
    }
}

fn scopes(given: Vec<String>, read_only: bool) -> Vec<String> {
    if read_only { vec![READ_ONLY.to_owned()] } else { given }
}

/// Nothing, and the word for all tools, stand for no list at all.
fn tools(given: Vec<String>) -> Vec<String> {
    let named: Vec<String> = given.into_iter().filter(|name| !name.trim().is_empty()).collect();
    if named.iter().any(|name| name == ALL_TOOLS) { Vec::new() } else { named }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct New {
        #[command(flatten)]
        settings: NewSettings,
    }

    #[derive(Debug, Parser)]
    struct Changed {
        #[command(flatten)]
        changes: Changes,
    }

    fn new(args: &[&str]) -> CreateKeyRequest {
        let args = ["new"].iter().chain(args);
        New::try_parse_from(args).unwrap().settings.request("shop".to_owned(), "ci".to_owned())
    }

    fn changed(args: &[&str]) -> UpdateKeyRequest {
        let args = ["changed"].iter().chain(args);
        let changes = Changed::try_parse_from(args).unwrap().changes;
        changes.request("shop".to_owned(), "ci".to_owned())
    }

    #[test]
    fn what_is_not_said_is_left_to_the_daemon() {
        let expected = CreateKeyRequest {
            project: "shop".to_owned(),
            name: "ci".to_owned(),
            ..CreateKeyRequest::default()
        };
        assert_eq!(new(&[]), expected);
    }

    #[test]
    fn every_setting_reaches_the_request() {
        let made = new(&[
            "--read-only",
            "--level=auto",
            "--session=45m",
            "--allow-tools=read_secret,linear__*",
            "--rate=5",
            "--monthly=1000",
            "--owner=jane",
            "--expires=2999-01-31",
        ]);
        assert_eq!(made.scopes, ["mcp:read"]);
        assert_eq!((made.level, made.rate, made.monthly), (4, 5, 1_000));
        assert_eq!(made.session.unwrap().seconds, 45 * 60);
        assert_eq!(made.tools, ["read_secret", "linear__*"]);
        assert_eq!(made.owner, "jane");
        let expires = made.expires_at.and_then(time::from_proto).map(time::exact);
        assert_eq!(expires.as_deref(), Some("2999-02-01T00:00:00.000Z"));
    }

    #[test]
    fn a_change_leaves_alone_what_it_does_not_name() {
        let change = changed(&["--rate=7"]);
        let expected = UpdateKeyRequest {
            project: "shop".to_owned(),
            name: "ci".to_owned(),
            rate: Some(7),
            ..UpdateKeyRequest::default()
        };
        assert_eq!(change, expected);
        assert!(Changed::try_parse_from(["changed"]).is_err(), "something must change");
    }

    #[test]
    fn limits_can_be_taken_away_again() {
        for none in ["", "all"] {
            let change = changed(&["--allow-tools", none]);
            assert!(change.set_tools && change.tools.is_empty(), "{none:?}");
        }
        assert_eq!(changed(&["--monthly=0"]).monthly, Some(0));
        let change = changed(&["--expires=never"]);
        assert!(change.clear_expires_at && change.expires_at.is_none());
    }

    #[test]
    fn read_only_and_scopes_exclude_each_other() {
        let both = ["new", "--read-only", "--scopes=mcp:full"];
        assert!(New::try_parse_from(both).is_err());
    }
}
