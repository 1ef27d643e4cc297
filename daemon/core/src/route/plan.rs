//! Which channels carry an event, to whom, and when.

use super::{Audience, Channel, ChannelName, EmailAddress, Event, Preferences, SlackId};
use crate::id::UserId;
use crate::time::UnixTime;

/// Somebody who can be told something.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Person {
    /// Who.
    pub id: UserId,
    /// Their name.
    pub name: String,
    /// Where e-mail reaches them.
    pub email: Option<EmailAddress>,
    /// Who they are in Slack.
    pub slack: Option<SlackId>,
    /// What they want.
    pub preferences: Preferences,
}

/// Something that happened, and whom it concerns.
#[derive(Clone, Debug)]
pub struct Occasion<'a> {
    /// What.
    pub event: Event,
    /// The channels that the rules concerned name; none: they name none, so all carry it.
    pub named: Option<&'a [ChannelName]>,
    /// Whom it concerns: who may answer; who was asked, and the owner of the key, where it is an
    /// answer; who operates, where it is an alert.
    pub people: &'a [Person],
    /// Who has just decided it, and knows: only messages that they were sent before are changed.
    pub decider: Option<UserId>,
    /// The places that were told of the same approval before, where this says how it ended.
    pub told: &'a [ChannelName],
    /// A channel that is not to carry it: it is what failed.
    pub except: Option<&'a ChannelName>,
}

/// One message to be sent.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Planned {
    /// Over this channel.
    pub channel: ChannelName,
    /// To this person; none: to the channel's place.
    pub person: Option<UserId>,
    /// When.
    pub hold: Hold,
}

/// When a message may leave.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Hold {
    /// At once.
    No,
    /// When somebody's quiet hours end.
    Until(UnixTime),
    /// At this time, together with whatever else waits for it.
    Digest(UnixTime),
}

/// The messages that an event brings about.
///
/// A channel carries it that subscribes to it and that the rules concerned name, or that they do
/// not name because they name none. A place that people look at hears how an approval ended only
/// if it was told of it before; a feed hears everything. People are told over the channels and of
/// the events that they want, at their address for the channel; whoever has none is left out.
/// Quiet hours and digests hold what is not urgent ([`Event::is_urgent`]); where somebody has both,
/// the digest's time counts.
pub fn plan(channels: &[Channel], occasion: &Occasion<'_>, now: UnixTime) -> Vec<Planned> {
    let mut planned = Vec::new();
    for channel in channels.iter().filter(|channel| carries(channel, occasion)) {
        let name = &channel.name;
        match channel.audience {
            Audience::Place => {
                let news = channel.feed || !occasion.event.ends() || occasion.told.contains(name);
                if news {
                    planned.push(Planned { channel: name.clone(), person: None, hold: Hold::No });
                }
            }
            Audience::Email | Audience::SlackUser => {
                let people = occasion.people.iter().filter(|person| {
                    (channel.updates || occasion.decider != Some(person.id))
                        && channel.audience.address(person).is_some()
                        && wants(person, name, occasion.event)
                });
                planned.extend(people.map(|person| Planned {
                    channel: name.clone(),
                    person: Some(person.id),
                    // A message that is changed wakes nobody.
                    hold: if channel.updates && occasion.event.ends() {
                        Hold::No
                    } else {
                        hold(person, occasion.event, now)
                    },
                }));
            }
        }
    }
    planned
}

fn carries(channel: &Channel, occasion: &Occasion<'_>) -> bool {
    let named = match occasion.named {
        Some(named) if occasion.event.is_of_approval() && !channel.feed => {
            named.contains(&channel.name)
        }
        Some(_) | None => true,
    };
    named && channel.events.contains(occasion.event) && occasion.except != Some(&channel.name)
}

fn wants(person: &Person, channel: &ChannelName, event: Event) -> bool {
    let Preferences { channels, events, .. } = &person.preferences;
    channels.as_ref().is_none_or(|channels| channels.contains(channel))
        && events.is_none_or(|events| events.contains(event))
}

fn hold(person: &Person, event: Event, now: UnixTime) -> Hold {
    if event.is_urgent() {
        return Hold::No;
    }
    let Preferences { quiet, digest, .. } = &person.preferences;
    match (digest, quiet.as_ref().and_then(|quiet| quiet.end(now))) {
        (Some(digest), _) => Hold::Digest(digest.next(now)),
        (None, Some(end)) => Hold::Until(end),
        (None, None) => Hold::No,
    }
}

impl Audience {
    /// Where a person is reached; none: nowhere, or it is no person's.
    pub fn address(self, person: &Person) -> Option<&str> {
        match self {
            Self::Email => person.email.as_ref().map(EmailAddress::as_str),
            Self::SlackUser => person.slack.as_ref().map(SlackId::as_str),
            Self::Place => None,
        }
    }
}

#[cfg(test)]
mod tests;
