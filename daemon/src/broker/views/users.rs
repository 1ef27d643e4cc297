//! What commands about people take.

use vouchsafe_core::caller::Roles;
use vouchsafe_core::route::{
    ChannelName, DigestTimes, EmailAddress, Events, Preferences, QuietHours, SlackId,
};

/// What is to be changed about a user; what is not given stays as it is.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct UserChange {
    /// What they may do, in `project` or in all.
    pub roles: Option<Roles>,
    /// The project whose roles are replaced; none: those that hold in all of them.
    pub project: Option<String>,
    /// The groups they are in.
    pub groups: Option<Vec<String>>,
    /// Where e-mail reaches them; `Some(None)`: at their name, where it is an address.
    pub email: Option<Option<EmailAddress>>,
    /// Who they are in Slack; `Some(None)`: nobody.
    pub slack: Option<Option<SlackId>>,
    /// What they want to be told.
    pub notify: PreferencesChange,
}

/// What is to be changed about somebody's [`Preferences`]; what is not given stays as it is.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct PreferencesChange {
    /// Over which channels alone, each of which there has to be; `Some(None)`: over any.
    pub channels: Option<Option<Vec<ChannelName>>>,
    /// Of which events alone; `Some(None)`: of any.
    pub events: Option<Option<Events>>,
    /// When to leave them alone; `Some(None)`: never.
    pub quiet: Option<Option<QuietHours>>,
    /// When to tell them all at once what can wait; `Some(None)`: never.
    pub digest: Option<Option<DigestTimes>>,
}

impl PreferencesChange {
    /// Changes what is given.
    pub fn apply(&self, preferences: &mut Preferences) {
        let Self { channels, events, quiet, digest } = self.clone();
        preferences.channels = channels.unwrap_or(preferences.channels.take());
        preferences.events = events.unwrap_or(preferences.events);
        preferences.quiet = quiet.unwrap_or(preferences.quiet.take());
        preferences.digest = digest.unwrap_or(preferences.digest.take());
    }
}
