//! Who of those who may answer an ask is told of it over no channel, and why.

use std::fmt;

use super::plan::{is_named, plan};
use super::{Audience, Channel, ChannelName, Events, Occasion, Person};
use crate::id::UserId;
use crate::time::UnixTime;

/// Somebody who may answer, and whom no channel tells so.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Untold {
    /// Who.
    pub id: UserId,
    /// Their name.
    pub name: String,
    /// Why.
    pub why: WhyUntold,
}

/// Why no channel tells somebody of an ask.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum WhyUntold {
    /// They have no address for the channels that would tell them.
    NoAddress(Vec<ChannelName>),
    /// They want no messages at all.
    WantsNone,
    /// They want other messages, or these over other channels.
    WantsOthers,
    /// The rules name channels, and none of these goes to them.
    NotNamed,
    /// No channel that reaches people carries asks.
    NotCarried,
}

/// Those of the people whom an ask concerns whom [`plan`] sends nothing of these of its events.
///
/// Who was told of it before is left out. So is everybody where no channel reaches people
/// themselves, and where only places are to tell of it: whoever looks there is told.
pub fn untold(channels: &[Channel], ask: &Occasion<'_>, events: Events) -> Vec<Untold> {
    let of_people: Vec<_> =
        channels.iter().filter(|channel| channel.audience != Audience::Place).collect();
    let carries = |channel: &Channel| events.iter().any(|event| channel.events.contains(event));
    let named = |channel: &Channel| carries(channel) && is_named(channel, ask);
    let placed = channels
        .iter()
        .any(|channel| channel.audience == Audience::Place && !channel.feed && named(channel));
    let asked = of_people.iter().any(|channel| named(channel));
    if of_people.is_empty() || (placed && !asked) {
        return Vec::new();
    }
    // When it leaves does not matter.
    let planned = events.iter().flat_map(|event| {
        plan(channels, &Occasion { event, ..*ask }, UnixTime::from_ms(0)).into_iter()
    });
    let told: Vec<_> = planned.map(|planned| planned.person).collect();
    let before = |person: &Person| ask.told.iter().any(|(_, to)| *to == Some(person.id));
    let untold =
        ask.people.iter().filter(|person| !told.contains(&Some(person.id)) && !before(person));
    let carrying: Vec<_> = of_people.into_iter().filter(|channel| carries(channel)).collect();
    untold
        .map(|person| Untold {
            id: person.id,
            name: person.name.clone(),
            why: why(&carrying, ask, person, events),
        })
        .collect()
}

/// Why none of the channels that carry it tells somebody.
fn why(carrying: &[&Channel], ask: &Occasion<'_>, person: &Person, events: Events) -> WhyUntold {
    let wishes = &person.preferences;
    if wishes.channels.as_ref().is_some_and(Vec::is_empty) {
        return WhyUntold::WantsNone;
    }
    if carrying.is_empty() {
        return WhyUntold::NotCarried;
    }
    let wanted: Vec<_> = carrying
        .iter()
        .filter(|channel| {
            wishes.channels.as_ref().is_none_or(|wanted| wanted.contains(&channel.name))
                && events.iter().any(|event| {
                    channel.events.contains(event)
                        && wishes.events.is_none_or(|wanted| wanted.contains(event))
                })
        })
        .collect();
    if wanted.is_empty() {
        return WhyUntold::WantsOthers;
    }
    let named: Vec<_> = wanted.iter().filter(|channel| is_named(channel, ask)).collect();
    if named.is_empty() || wanted.iter().any(|channel| channel.audience.address(person).is_some()) {
        return WhyUntold::NotNamed;
    }
    WhyUntold::NoAddress(named.into_iter().map(|channel| channel.name.clone()).collect())
}

impl fmt::Display for WhyUntold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoAddress(channels) => {
                let names: Vec<_> = channels.iter().map(ChannelName::as_str).collect();
                return write!(f, "no address for {}", names.join(" and "));
            }
            Self::WantsNone => "wants no messages",
            Self::WantsOthers => "wants no messages about this",
            Self::NotNamed => "the rule's channels do not reach them",
            Self::NotCarried => "no channel for people carries asks",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Event, Preferences};
    use super::*;

    fn channel(name: &str, audience: Audience) -> Channel {
        Channel {
            name: name.parse().unwrap(),
            audience,
            events: Events::for_people(),
            feed: false,
            updates: false,
            at_once: 1,
        }
    }

    fn person(name: &str, email: bool, slack: bool) -> Person {
        Person {
            id: UserId::from_random([name.as_bytes()[0]; 10]),
            name: name.to_owned(),
            email: email.then(|| format!("{name}@example.com").parse().unwrap()),
            slack: slack.then(|| "U024BE7LH".parse().unwrap()),
            preferences: Preferences::default(),
        }
    }

    fn ask(people: &[Person]) -> Occasion<'_> {
        Occasion {
            event: Event::ApprovalRequested,
            named: None,
            people,
            owner: None,
            decider: None,
            told: &[],
            except: None,
        }
    }

    fn requested() -> Events {
        Events::from_iter([Event::ApprovalRequested])
    }

    /// As `name: why`.
    fn check(channels: &[Channel], ask: &Occasion<'_>, events: Events, expected: &[&str]) {
        let found = untold(channels, ask, events);
        let found: Vec<_> = found.iter().map(|one| format!("{}: {}", one.name, one.why)).collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn who_has_no_address_or_wants_no_messages_is_not_told() {
        let channels = [channel("email", Audience::Email), channel("slack:ops", Audience::Place)];
        let mut quiet = person("cat", true, false);
        quiet.preferences.channels = Some(Vec::new());
        let mut late = person("dan", true, false);
        late.preferences.events = Some(Events::read(["approval.escalated"]).unwrap());
        let mut chat = person("eve", true, true);
        chat.preferences.channels = Some(vec!["slack:ops".parse().unwrap()]);
        let people = [person("ann", true, false), person("bob", false, true), quiet, late, chat];
        let expected = [
            "bob: no address for email",
            "cat: wants no messages",
            "dan: wants no messages about this",
            "eve: wants no messages about this",
        ];
        check(&channels, &ask(&people), requested(), &expected);
        let escalated = Events::read(["approval.requested", "approval.escalated"]).unwrap();
        let expected = [expected[0], expected[1], expected[3]];
        check(&channels, &ask(&people), escalated, &expected);
        let told = [(ChannelName::email(), Some(people[1].id))];
        let before = Occasion { told: &told, ..ask(&people) };
        check(&channels, &before, escalated, &expected[1..]);
    }

    #[test]
    fn who_is_reached_over_other_channels_than_the_rules_is_not_told() {
        let channels =
            [channel("email", Audience::Email), channel("slack:direct", Audience::SlackUser)];
        let people = [
            person("ann", true, true),
            person("bob", true, false),
            person("cat", false, true),
            person("dan", false, false),
        ];
        let neither = "dan: no address for email and slack:direct";
        check(&channels, &ask(&people), requested(), &[neither]);
        let named = ["slack:direct".parse().unwrap()];
        let limited = Occasion { named: Some(&named), ..ask(&people) };
        let expected =
            ["bob: the rule's channels do not reach them", "dan: no address for slack:direct"];
        check(&channels, &limited, requested(), &expected);
    }

    #[test]
    fn a_place_tells_whoever_looks_there_and_a_feed_tells_nobody() {
        let email = channel("email", Audience::Email);
        let place = channel("slack:ops", Audience::Place);
        let feed = Channel { feed: true, ..channel("webhook:siem", Audience::Place) };
        let people = [person("ann", true, false)];
        let named = ["slack:ops".parse().unwrap()];
        let limited = Occasion { named: Some(&named), ..ask(&people) };
        check(&[email.clone(), place, feed.clone()], &limited, requested(), &[]);
        let not_named = ["ann: the rule's channels do not reach them"];
        check(&[email.clone(), feed.clone()], &limited, requested(), &not_named);
        check(std::slice::from_ref(&feed), &ask(&people), requested(), &[]);
        let alerts = Channel { events: Events::from_iter([Event::Alert]), ..email };
        let not_carried = ["ann: no channel for people carries asks"];
        check(&[alerts, feed], &ask(&people), requested(), &not_carried);
    }
}
