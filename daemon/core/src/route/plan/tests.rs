use super::*;
use crate::route::Events;
use std::collections::BTreeSet;

const NOON: &str = "2026-11-21T12:00:00Z";
const NIGHT: &str = "2026-11-21T23:00:00Z";

fn at(text: &str) -> UnixTime {
    UnixTime::parse_rfc3339(text).unwrap()
}

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

fn channels() -> Vec<Channel> {
    vec![
        channel("email", Audience::Email),
        channel("slack:ops", Audience::Place),
        channel("slack:direct", Audience::SlackUser),
        Channel { events: Events::ALL, feed: true, ..channel("webhook:siem", Audience::Place) },
    ]
}

fn person(name: &str) -> Person {
    Person {
        id: UserId::from_random([name.as_bytes()[0]; 10]),
        name: name.to_owned(),
        email: Some(format!("{name}@example.com").parse().unwrap()),
        slack: None,
        preferences: Preferences::default(),
    }
}

fn occasion(event: Event, people: &[Person]) -> Occasion<'_> {
    Occasion { event, named: None, people, owner: None, decider: None, told: &[], except: None }
}

/// As `channel>person`, with how it is held.
fn planned(occasion: &Occasion<'_>, now: &str) -> BTreeSet<String> {
    let people = occasion.people;
    plan(&channels(), occasion, at(now))
        .into_iter()
        .map(|planned| {
            let to = planned.person.and_then(|id| people.iter().find(|person| person.id == id));
            let to = to.map_or("", |person| person.name.as_str());
            let hold = match planned.hold {
                Hold::No => String::new(),
                Hold::Until(at) => format!(" until {at}"),
                Hold::Digest(at) => format!(" with others at {at}"),
            };
            format!("{}>{to}{hold}", planned.channel)
        })
        .collect()
}

fn set(items: &[&str]) -> BTreeSet<String> {
    items.iter().map(|item| (*item).to_owned()).collect()
}

#[test]
fn everybody_concerned_is_told_wherever_they_have_an_address() {
    let ann = Person { slack: Some("U024BE7LH".parse().unwrap()), ..person("ann") };
    let bob = Person { email: None, ..person("bob") };
    let told = planned(&occasion(Event::ApprovalRequested, &[ann, bob]), NOON);
    assert_eq!(told, set(&["email>ann", "slack:direct>ann", "slack:ops>", "webhook:siem>"]));
}

#[test]
fn a_rule_says_which_channels_carry_its_asks_and_a_feed_hears_them_all_the_same() {
    let people = [person("ann")];
    let named: Vec<ChannelName> = vec!["slack:ops".parse().unwrap()];
    let asked = Occasion { named: Some(&named), ..occasion(Event::ApprovalRequested, &people) };
    assert_eq!(planned(&asked, NOON), set(&["slack:ops>", "webhook:siem>"]));
    let alert = Occasion { named: Some(&named), ..occasion(Event::Alert, &people) };
    assert_eq!(planned(&alert, NOON), set(&["email>ann", "slack:ops>", "webhook:siem>"]));
}

#[test]
fn a_place_hears_how_it_ended_if_it_was_told_that_it_began() {
    let people = [person("ann")];
    let ended = occasion(Event::ApprovalDecided, &people);
    assert_eq!(planned(&ended, NOON), set(&["email>ann", "webhook:siem>"]));
    let told = [("slack:ops".parse().unwrap(), None)];
    let ended = Occasion { told: &told, ..ended };
    assert_eq!(planned(&ended, NOON), set(&["email>ann", "slack:ops>", "webhook:siem>"]));
}

#[test]
fn who_decided_is_not_told_but_has_their_own_message_changed() {
    let slack = |name: &str, id: &str| Person { slack: Some(id.parse().unwrap()), ..person(name) };
    let people = [slack("ann", "U0ANN"), slack("bob", "U0BOB"), slack("cat", "U0CAT")];
    let (ann, bob) = (people[0].id, people[1].id);
    let mut channels = channels();
    channels[2].updates = true;
    let direct = channels[2].name.clone();
    let who = |told: &[(ChannelName, Option<UserId>)], now| {
        let ended = occasion(Event::ApprovalDecided, &people);
        let ended = Occasion { decider: Some(ann), told, ..ended };
        let planned = plan(&channels, &ended, at(now)).into_iter();
        let planned = planned.filter(|one| one.channel == direct);
        planned.map(|one| (one.person.unwrap(), one.hold)).collect::<Vec<_>>()
    };
    let cat = people[2].id;
    assert_eq!(who(&[], NOON), [(bob, Hold::No), (cat, Hold::No)]);
    let told = [(direct.clone(), Some(ann)), (direct.clone(), Some(bob))];
    assert_eq!(who(&told, NOON), [(ann, Hold::No), (bob, Hold::No), (cat, Hold::No)]);
}

#[test]
fn a_message_that_is_changed_wakes_nobody_and_a_new_one_waits() {
    let mut people = [("ann", "U0ANN"), ("bob", "U0BOB")]
        .map(|(name, id)| Person { slack: Some(id.parse().unwrap()), ..person(name) });
    for person in &mut people {
        person.preferences.quiet = Some("22:00-07:00 UTC".parse().unwrap());
    }
    let mut channels = channels();
    channels[2].updates = true;
    let told = [(channels[2].name.clone(), Some(people[0].id))];
    let ended = Occasion { told: &told, ..occasion(Event::ApprovalDecided, &people) };
    let planned = plan(&channels[2..3], &ended, at(NIGHT));
    let holds: Vec<_> = planned.iter().map(|one| one.hold).collect();
    assert_eq!(holds, [Hold::No, Hold::Until(at("2026-11-22T07:00:00Z"))]);
}

#[test]
fn the_owner_hears_how_it_ended_whatever_channels_the_rule_names() {
    let people = [person("ann"), person("bob")];
    let named: Vec<ChannelName> = vec!["slack:ops".parse().unwrap()];
    let ended = Occasion {
        named: Some(&named),
        owner: Some(people[0].id),
        ..occasion(Event::ApprovalDecided, &people)
    };
    assert_eq!(planned(&ended, NOON), set(&["email>ann", "webhook:siem>"]));
}

#[test]
fn nobody_is_told_over_the_channel_that_has_failed() {
    let people = [person("ann")];
    let email = ChannelName::email();
    let alert = Occasion { except: Some(&email), ..occasion(Event::Alert, &people) };
    assert_eq!(planned(&alert, NOON), set(&["slack:ops>", "webhook:siem>"]));
}

#[test]
fn a_channel_carries_what_it_subscribes_to() {
    let people = [person("ann")];
    assert_eq!(planned(&occasion(Event::LeaseIssued, &people), NOON), set(&["webhook:siem>"]));
}

#[test]
fn people_are_told_what_they_want_where_they_want_it() {
    let mut ann = person("ann");
    ann.preferences.channels = Some(Vec::new());
    let mut bob = person("bob");
    bob.preferences.events = Some(Events::read(["approval.escalated"]).unwrap());
    let people = [ann, bob];
    let told = |event| planned(&occasion(event, &people), NOON);
    assert_eq!(told(Event::ApprovalRequested), set(&["slack:ops>", "webhook:siem>"]));
    assert_eq!(told(Event::ApprovalEscalated), set(&["email>bob", "slack:ops>", "webhook:siem>"]));
}

#[test]
fn quiet_hours_hold_what_can_wait() {
    let mut ann = person("ann");
    ann.preferences.quiet = Some("22:00-07:00 UTC".parse().unwrap());
    let people = [ann];
    let told = |event, now| planned(&occasion(event, &people), now);
    let asked = Event::ApprovalRequested;
    assert!(told(asked, NOON).contains("email>ann"));
    assert!(told(asked, NIGHT).contains("email>ann until 2026-11-22T07:00:00.000Z"));
    for urgent in [Event::ApprovalEscalated, Event::BreakGlass, Event::Alert] {
        assert!(told(urgent, NIGHT).contains("email>ann"), "{urgent}");
    }
}

#[test]
fn a_digest_gathers_what_can_wait() {
    let mut ann = person("ann");
    ann.preferences.quiet = Some("22:00-07:00 UTC".parse().unwrap());
    ann.preferences.digest = Some("0 9 * * *".parse().unwrap());
    let people = [ann];
    let told = |event, now| planned(&occasion(event, &people), now);
    let later = "email>ann with others at 2026-11-22T09:00:00.000Z";
    assert!(told(Event::ApprovalRequested, NOON).contains(later));
    assert!(told(Event::ApprovalDecided, NIGHT).contains(later));
    assert!(told(Event::Alert, NIGHT).contains("email>ann"));
}

#[test]
fn a_digest_keeps_to_the_quiet_hours() {
    let mut ann = person("ann");
    ann.preferences.quiet = Some("22:00-07:00 UTC".parse().unwrap());
    ann.preferences.digest = Some("0 * * * *".parse().unwrap());
    let people = [ann];
    let told = |event, now| planned(&occasion(event, &people), now);
    let soon = "email>ann with others at 2026-11-21T13:00:00.000Z";
    assert!(told(Event::ApprovalRequested, NOON).contains(soon));
    let morning = "email>ann with others at 2026-11-22T07:00:00.000Z";
    assert!(told(Event::ApprovalRequested, NIGHT).contains(morning));
    for urgent in [Event::ApprovalEscalated, Event::BreakGlass, Event::Alert] {
        assert!(told(urgent, NIGHT).contains("email>ann"), "{urgent}");
    }
}
