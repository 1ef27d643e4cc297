//! What is said of a secret besides its value: the options that say it.

use std::collections::HashMap;

use clap::Args;
use vouchsafe_core::secret::{Labels, RotationSchedule};
use vouchsafe_proto::v1::SecretSettings;

use crate::error::CliError;
use crate::time::{self, Expiry};

/// What `--owner` takes for nobody.
const NOBODY: &str = "none";
/// What `--rotate-every` takes for no schedule.
const NEVER: &str = "never";

/// Settings of any secret; what is not given stays as it is.
#[derive(Args, Debug, Default)]
pub(super) struct Settings {
    /// What it is for, in a line
    #[arg(long, value_name = "TEXT")]
    description: Option<String>,
    /// Label to set, like `team=payments`; may be given several times
    #[arg(long, value_name = "NAME=VALUE", value_parser = label_arg)]
    label: Vec<(String, String)>,
    /// Label to take away; may be given several times
    #[arg(long, value_name = "NAME")]
    unlabel: Vec<String>,
    /// User who answers for it; `none` for nobody
    #[arg(long, value_name = "USER")]
    owner: Option<String>,
    /// Date that people are reminded of, after which it is still released: 90d, a date (its end, in
    /// UTC), an RFC 3339 time, or never
    #[arg(long, value_name = "WHEN", value_parser = time::expiry_arg)]
    expires: Option<Expiry>,
}

/// For values that are made here.
#[derive(Args, Debug, Default)]
pub(super) struct Schedule {
    /// When a new value is made by itself: five fields of cron in UTC, like '0 3 1 * *', at most
    /// once an hour, or never
    #[arg(long, value_name = "CRON", value_parser = schedule_arg)]
    rotate_every: Option<String>,
}

impl Settings {
    /// As the daemon takes them.
    pub(super) fn request(self) -> Result<SecretSettings, CliError> {
        let labels = labels(self.label)?;
        if let Some(name) = self.unlabel.iter().find(|name| labels.contains_key(*name)) {
            return Err(CliError::usage(format!("the label `{name}` is both set and taken away"))
                .with_next("name it with --label or with --unlabel"));
        }
        Ok(SecretSettings {
            description: self.description,
            labels,
            remove_labels: self.unlabel,
            owner: self.owner.map(|owner| if owner == NOBODY { String::new() } else { owner }),
            expires_at: self.expires.and_then(Expiry::time).map(time::to_proto),
            never_expires: self.expires == Some(Expiry::Never),
            rotate_every: None,
        })
    }
}

impl Schedule {
    /// Those settings, with the schedule.
    pub(super) fn with(self, settings: SecretSettings) -> SecretSettings {
        SecretSettings { rotate_every: self.rotate_every, ..settings }
    }
}

/// Each name once.
pub(super) fn labels(given: Vec<(String, String)>) -> Result<HashMap<String, String>, CliError> {
    let mut labels = HashMap::new();
    for (name, value) in given {
        if labels.insert(name.clone(), value).is_some() {
            return Err(CliError::usage(format!("the label `{name}` is given twice")));
        }
    }
    Ok(labels)
}

/// For clap: `NAME=VALUE`.
fn label_arg(text: &str) -> Result<(String, String), String> {
    let (name, value) =
        text.split_once('=').ok_or("a label is NAME=VALUE, like team=payments".to_owned())?;
    checked_label(name, value)
}

/// For clap: `NAME` or `NAME=VALUE`.
pub(super) fn label_filter_arg(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').unwrap_or((text, ""));
    checked_label(name, value)
}

fn checked_label(name: &str, value: &str) -> Result<(String, String), String> {
    Labels::default().set(name, value).map_err(|error| error.to_string())?;
    Ok((name.to_owned(), value.to_owned()))
}

/// For clap: a schedule, or an empty text for none.
fn schedule_arg(text: &str) -> Result<String, String> {
    if text == NEVER {
        return Ok(String::new());
    }
    text.parse::<RotationSchedule>()
        .map(|schedule| schedule.to_string())
        .map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct Given {
        #[command(flatten)]
        settings: Settings,
        #[command(flatten)]
        schedule: Schedule,
    }

    fn request(args: &[&str]) -> Result<SecretSettings, CliError> {
        let given = Given::try_parse_from(["given"].iter().chain(args)).unwrap();
        Ok(given.schedule.with(given.settings.request()?))
    }

    fn refused(args: &[&str]) -> String {
        Given::try_parse_from(["given"].iter().chain(args)).unwrap_err().to_string()
    }

    #[test]
    fn what_is_not_given_stays_as_it_is() {
        assert_eq!(request(&[]).unwrap(), SecretSettings::default());
    }

    #[test]
    fn every_setting_reaches_the_request() {
        let settings = request(&[
            "--description=for invoices",
            "--label=team=payments",
            "--label=note=a=b",
            "--unlabel=old",
            "--owner=jane",
            "--expires=2999-01-31",
            "--rotate-every= 0 3  1 * *",
        ])
        .unwrap();
        assert_eq!(settings.description.as_deref(), Some("for invoices"));
        assert_eq!(settings.labels["team"], "payments");
        assert_eq!(settings.labels["note"], "a=b");
        assert_eq!(settings.remove_labels, ["old"]);
        assert_eq!(settings.owner.as_deref(), Some("jane"));
        let expires = settings.expires_at.and_then(time::from_proto).map(time::exact);
        assert_eq!(expires.as_deref(), Some("2999-02-01T00:00:00.000Z"));
        assert!(!settings.never_expires);
        assert_eq!(settings.rotate_every.as_deref(), Some("0 3 1 * *"));
    }

    #[test]
    fn what_was_said_can_be_taken_back() {
        let settings = request(&["--owner=none", "--expires=never", "--rotate-every=never"]);
        let settings = settings.unwrap();
        assert_eq!(settings.owner.as_deref(), Some(""));
        assert_eq!(settings.rotate_every.as_deref(), Some(""));
        assert!(settings.never_expires && settings.expires_at.is_none());
    }

    #[test]
    fn what_cannot_be_is_refused_before_anything_is_sent() {
        assert!(refused(&["--label=team"]).contains("a label is NAME=VALUE"));
        assert!(refused(&["--label=a b=x"]).contains("no label's name"));
        assert!(refused(&["--rotate-every=daily"]).contains("five fields of cron"));
        assert!(refused(&["--rotate-every=* * * * *"]).contains("more often than once an hour"));
        assert!(refused(&["--expires=2020-01-31"]).contains("not in the future"));
        let twice = request(&["--label=a=1", "--label=a=2"]).unwrap_err();
        assert_eq!(twice.message, "the label `a` is given twice");
        let both = request(&["--label=a=1", "--unlabel=a"]).unwrap_err();
        assert_eq!(both.message, "the label `a` is both set and taken away");
    }

    #[test]
    fn a_filter_may_leave_the_value_open() {
        assert_eq!(label_filter_arg("team"), Ok(("team".to_owned(), String::new())));
        assert_eq!(label_filter_arg("team=x"), Ok(("team".to_owned(), "x".to_owned())));
        assert!(label_filter_arg("=x").is_err());
    }
}
