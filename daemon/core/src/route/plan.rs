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
    /// The owner of the key that asked, where this says how it ended: they are told of that
    /// whatever channels the rules name.
    pub owner: Option<UserId>,
    /// Who has just decided it, and knows: only messages that they were sent before are changed.
    pub decider: Option<UserId>,
    /// Who was told of the same approval before, and over which channel; nobody by name: its place.
    pub told: &'a [(ChannelName, Option<UserId>)],
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
/// it leaves with the first digest outside their quiet hours.
pub fn plan(channels: &[Channel], occasion: &Occasion<'_>, now: UnixTime) -> Vec<Planned> {
    let mut planned = Vec::new();
    for channel in channels.iter().filter(|channel| subscribes(channel, occasion)) {
        let name = &channel.name;
        match channel.audience {
            Audience::Place if !is_named(channel, occasion) => {}
            Audience::Place => {
                let told = occasion.told.contains(&(name.clone(), None));
                if channel.feed || !occasion.event.ends() || told {
                    planned.push(Planned { channel: name.clone(), person: None, hold: Hold::No });
                }
            }
            Audience::Email | Audience::SlackUser => {
                let people = occasion.people.iter().filter(|person| {
                    let own = occasion.event.ends() && occasion.owner == Some(person.id);
                    (own || is_named(channel, occasion))
                        && (occasion.decider != Some(person.id)
                            || changes(channel, occasion, person))
                        && channel.audience.address(person).is_some()
                        && wants(person, name, occasion.event)
                });
                planned.extend(people.map(|person| Planned {
                    channel: name.clone(),
                    person: Some(person.id),
                    // A message that is changed wakes nobody.
                    hold: if changes(channel, occasion, person) {
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

/// Whether the channel is for such events, and is not what has failed.
fn subscribes(channel: &Channel, occasion: &Occasion<'_>) -> bool {
    channel.events.contains(occasion.event) && occasion.except != Some(&channel.name)
}

/// Whether the rules concerned let it carry this.
pub(super) fn is_named(channel: &Channel, occasion: &Occasion<'_>) -> bool {
    match occasion.named {
        Some(named) if occasion.event.is_of_approval() && !channel.feed => {
            named.contains(&channel.name)
        }
        Some(_) | None => true,
    }
}

/// Whether this ends what the person was told of over this channel, in a message that it can
/// change.
fn changes(channel: &Channel, occasion: &Occasion<'_>, person: &Person) -> bool {
    channel.updates
        && occasion.event.ends()
        && occasion.told.iter().any(|(told, to)| *told == channel.name && *to == Some(person.id))
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
    match (digest, quiet) {
        (Some(digest), Some(quiet)) => Hold::Digest(digest.next_outside(quiet, now)),
        (Some(digest), None) => Hold::Digest(digest.next(now)),
        (None, Some(quiet)) => quiet.end(now).map_or(Hold::No, Hold::Until),
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
