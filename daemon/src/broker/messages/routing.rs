//! From entries of the log to messages: whom each concerns, and which channels carry it.

use std::collections::{BTreeSet, HashMap};
use std::rc::Rc;
use std::time::Duration;

use ring::digest::{SHA256, digest};
use serde_json::Value;
use vouchsafe_core::approval::{Approval, Ask, How, Pending};
use vouchsafe_core::audit::Action;
use vouchsafe_core::caller::{Role, Roles};
use vouchsafe_core::id::{ID_BYTES, LeaseId, MessageId, ProjectId, UserId};
use vouchsafe_core::policy::Directory;
use vouchsafe_core::route::{
    Channel, ChannelName, DeliveryStatus, Event, Hold, Occasion, Person, Planned, Untold, plan,
    untold,
};

use super::super::evidence::who_may_answer;
use super::super::{Broker, Refused, Stop, entries, random};
use crate::store::{Delivery, Held, Reader, StoreError, Tx, Unrouted};

/// Entries that are routed in one transaction at most.
const BATCH: u32 = 100;
/// Messages that one transaction stores before it leaves the rest to the next.
const MESSAGES_MAX: u64 = 500;
/// Messages of one approval that are looked at to see who was told.
const TOLD_MAX: u32 = 1_000;

/// What routing goes by.
struct Routes {
    channels: Vec<Channel>,
    give_up_after: Duration,
    /// Makes the ids of a transaction's messages, the same ones where it is run again.
    salt: [u8; 32],
}

/// Everybody who can be told something, looked up once a transaction.
struct People {
    all: Vec<(Person, Roles)>,
    directories: HashMap<ProjectId, Rc<Directory>>,
}

/// Whom an entry concerns.
#[derive(Default)]
struct Concerned {
    people: Vec<Person>,
    /// The owner of the key that asked, where they hear how it ended.
    owner: Option<UserId>,
    /// Who has just decided it.
    decider: Option<UserId>,
    /// Who was told of the same before, and over which channel.
    told: Vec<(ChannelName, Option<UserId>)>,
    named: Option<Vec<ChannelName>>,
    except: Option<ChannelName>,
    /// Only programs hear of it: for people there is nothing left to do.
    feeds_alone: bool,
}

impl Broker {
    /// Works out the messages for what is in the outbox, as much as fits in one transaction.
    /// Answers whether there may be more.
    pub async fn route(&self) -> Result<bool, Refused> {
        let waits = self.look("unrouted", |reader| Ok(!reader.unrouted(1)?.is_empty())).await?;
        if !waits {
            return Ok(false);
        }
        let routes = Routes {
            channels: self.inner.settings.channels.clone(),
            give_up_after: self.inner.settings.give_up_after,
            salt: random()?,
        };
        let subject = entries::by_system(Action::MESSAGE_FAILED);
        let full = self.run("route", subject, move |tx| route(tx, &routes)).await?;
        self.inner.delivering.wake();
        Ok(full)
    }
}

fn route(tx: &mut Tx<'_>, routes: &Routes) -> Result<bool, Stop> {
    let batch = tx.unrouted(BATCH)?;
    let mut people = People { all: tx.contacts()?, directories: HashMap::new() };
    let mut number = 0_u64;
    for happened in &batch {
        if number >= MESSAGES_MAX {
            // The doors write, too.
            return Ok(true);
        }
        let concerned = concerned(tx, happened, &mut people)?;
        let occasion = Occasion {
            event: happened.event,
            named: concerned.named.as_deref(),
            people: &concerned.people,
            owner: concerned.owner,
            decider: concerned.decider,
            told: &concerned.told,
            except: concerned.except.as_ref(),
        };
        let feeds: Vec<Channel>;
        let channels = if concerned.feeds_alone {
            feeds = routes.channels.iter().filter(|channel| channel.feed).cloned().collect();
            &feeds
        } else {
            &routes.channels
        };
        for planned in plan(channels, &occasion, tx.now().wall) {
            number += 1;
            let id = routes.id(number);
            let heard = routes.is_heard(&planned.channel);
            let message = delivery(tx, happened, planned, id, routes.give_up_after);
            if !is_said_already(tx, &message, channels)? {
                tx.insert_delivery(&message, heard)?;
            }
        }
        tx.routed(happened.seq)?;
    }
    Ok(batch.len() == usize::try_from(BATCH).unwrap_or(usize::MAX))
}

/// Whether this reminds somebody of what a message asks them that still waits for them: that one
/// says the same when it leaves. A feed hears everything.
fn is_said_already(
    tx: &Tx<'_>,
    message: &Delivery,
    channels: &[Channel],
) -> Result<bool, StoreError> {
    let feed = channels.iter().any(|channel| channel.feed && channel.name == message.channel);
    Ok(message.event == Event::ApprovalReminder && !feed && tx.is_asked_already(message)?)
}

impl Routes {
    /// Whether people hear of what this channel takes. What another program reads tells nobody, but
    /// where there is nothing else: there it may be how people hear.
    fn is_heard(&self, name: &ChannelName) -> bool {
        let for_people = self.channels.iter().any(|channel| !channel.feed);
        let feed = self.channels.iter().any(|channel| channel.name == *name && channel.feed);
        !(for_people && feed)
    }

    fn id(&self, number: u64) -> MessageId {
        let hash = digest(&SHA256, &[&self.salt[..], &number.to_be_bytes()].concat());
        let mut bits = [0; ID_BYTES];
        for (bit, byte) in bits.iter_mut().zip(hash.as_ref()) {
            *bit = *byte;
        }
        MessageId::from_random(bits)
    }
}

fn delivery(
    tx: &Tx<'_>,
    happened: &Unrouted,
    planned: Planned,
    id: MessageId,
    give_up_after: Duration,
) -> Delivery {
    let now = tx.now().wall;
    let (held, due_at) = match planned.hold {
        Hold::No => (Held::No, now),
        Hold::Until(at) => (Held::Quiet, at),
        Hold::Digest(at) => (Held::Digest, at),
    };
    Delivery {
        id,
        seq: happened.seq,
        event: happened.event,
        channel: planned.channel,
        user: planned.person,
        user_name: None,
        project: happened.project.clone(),
        approval: happened.approval,
        status: DeliveryStatus::Queued,
        held,
        due_at: Some(due_at),
        give_up_at: due_at.plus(give_up_after),
        queued_at: now,
        attempts: 0,
        settled_at: None,
        problem: None,
        receipt: None,
    }
}

impl People {
    fn directory(&mut self, tx: &Tx<'_>, project: ProjectId) -> Result<Rc<Directory>, Stop> {
        if let Some(people) = self.directories.get(&project) {
            return Ok(Rc::clone(people));
        }
        let people = Rc::new(tx.directory(project)?);
        self.directories.insert(project, Rc::clone(&people));
        Ok(people)
    }

    fn named(&self, names: &BTreeSet<String>) -> Vec<Person> {
        self.those(|person, _| names.contains(&person.name))
    }

    fn those(&self, wanted: impl Fn(&Person, Roles) -> bool) -> Vec<Person> {
        let wanted = self.all.iter().filter(|(person, roles)| wanted(person, *roles));
        wanted.map(|(person, _)| person.clone()).collect()
    }
}

/// Whom an entry concerns; nobody where what it is about is not there any more.
fn concerned(tx: &Tx<'_>, happened: &Unrouted, people: &mut People) -> Result<Concerned, Stop> {
    let approval = match happened.approval {
        Some(id) => tx.approval(id)?,
        None => None,
    };
    match (happened.event, approval) {
        (event, Some(Approval::Pending(pending))) if event.asks() => asked(tx, &pending, people),
        (event, Some(approval)) if event.asks() => {
            let named = named(approval.ask());
            Ok(Concerned { named, feeds_alone: true, ..Concerned::default() })
        }
        (event, Some(approval)) if event.ends() => settled(tx, &approval, people),
        (Event::BreakGlass, Some(approval)) => {
            let directory = people.directory(tx, approval.ask().project)?;
            let approvers: BTreeSet<String> = directory
                .members
                .iter()
                .filter(|member| member.counts())
                .map(|member| member.name.clone())
                .collect();
            Ok(Concerned { people: people.named(&approvers), ..Concerned::default() })
        }
        (Event::LeaseIssued | Event::LeaseRevoked | Event::LeaseExpired, _) => {
            let owner = owner_of_lease(tx, &happened.line)?;
            let people = people.those(|person, _| Some(person.id) == owner);
            Ok(Concerned { people, ..Concerned::default() })
        }
        (Event::Alert, _) => {
            let here = match &happened.project {
                Some(project) => tx.project_contacts(project)?,
                None => Vec::new(),
            };
            let operators = people.those(|person, roles| {
                let here = here.iter().filter(|(id, _)| *id == person.id);
                roles.allow_any(&[Role::Operator])
                    || here.into_iter().any(|(_, roles)| roles.allow_any(&[Role::Operator]))
            });
            let except = detail(&happened.line, "channel").and_then(|name| name.parse().ok());
            Ok(Concerned { people: operators, except, ..Concerned::default() })
        }
        _ => Ok(Concerned { feeds_alone: true, ..Concerned::default() }),
    }
}

/// People who can answer now.
fn asked(tx: &Tx<'_>, pending: &Pending, people: &mut People) -> Result<Concerned, Stop> {
    let directory = people.directory(tx, pending.ask.project)?;
    let names = who_may_answer(pending, &directory, tx.now());
    Ok(Concerned {
        people: people.named(&names),
        named: named(&pending.ask),
        ..Concerned::default()
    })
}

/// Who of those who may answer hears of it over no channel.
pub(in crate::broker) fn not_told(
    reader: &Reader<'_>,
    pending: &Pending,
    names: &BTreeSet<String>,
    channels: &[Channel],
) -> Result<Vec<Untold>, Stop> {
    let people = People { all: reader.contacts()?, directories: HashMap::new() }.named(names);
    let told: Vec<_> = reader
        .deliveries_of(pending.ask.id, TOLD_MAX)?
        .into_iter()
        .filter(|delivery| delivery.event.asks())
        .map(|delivery| (delivery.channel, delivery.user))
        .collect();
    let reminded = (pending.told.reminders > 0).then_some(Event::ApprovalReminder);
    let escalated = (!pending.told.escalated.is_empty()).then_some(Event::ApprovalEscalated);
    let events = [Some(Event::ApprovalRequested), reminded, escalated].into_iter().flatten();
    let named = named(&pending.ask);
    let occasion = Occasion {
        event: Event::ApprovalRequested,
        named: named.as_deref(),
        people: &people,
        owner: None,
        decider: None,
        told: &told,
        except: None,
    };
    Ok(untold(channels, &occasion, events.collect()))
}

/// Whoever was asked; and the owner of the key, where it was
/// people's to decide.
fn settled(tx: &Tx<'_>, approval: &Approval, people: &People) -> Result<Concerned, Stop> {
    let ask = approval.ask();
    let sent = tx.deliveries_of(ask.id, TOLD_MAX)?;
    let (mut told, mut users) = (Vec::new(), BTreeSet::<UserId>::new());
    for delivery in sent.iter().filter(|delivery| delivery.event.asks()) {
        users.extend(delivery.user);
        // Of people, those that have a message of its own that can be changed, or may have it in
        // a moment.
        let taken = match delivery.status {
            DeliveryStatus::Sent | DeliveryStatus::Answered => delivery.held != Held::Digest,
            DeliveryStatus::Queued => delivery.held == Held::No,
            DeliveryStatus::Failed => false,
        };
        if delivery.user.is_none() || taken {
            told.push((delivery.channel.clone(), delivery.user));
        }
    }
    let by_people = match approval {
        Approval::Approved(approved) => matches!(approved.how, How::People),
        Approval::Denied(_) | Approval::Expired(_) => true,
        Approval::Pending(_) | Approval::Withdrawn(_) => false,
    };
    let owner = ask.asker.owner.filter(|_| by_people);
    users.extend(owner);
    let last = match approval {
        Approval::Approved(_) | Approval::Denied(_) => approval.votes().last(),
        Approval::Pending(_) | Approval::Expired(_) | Approval::Withdrawn(_) => None,
    };
    Ok(Concerned {
        people: people.those(|person, _| users.contains(&person.id)),
        owner,
        decider: last.map(|vote| vote.voter),
        told,
        named: named(ask),
        ..Concerned::default()
    })
}

/// The channels that the rules of an ask name, all together; none where one of them names none.
fn named(ask: &Ask) -> Option<Vec<ChannelName>> {
    let rules = ask.items.iter().map(|item| &item.rule.notify);
    if rules.clone().any(Vec::is_empty) {
        return None;
    }
    Some(rules.flatten().cloned().collect())
}

pub(super) fn owner_of_lease(tx: &Reader<'_>, line: &str) -> Result<Option<UserId>, Stop> {
    let entry: Value = serde_json::from_str(line).unwrap_or_default();
    let id = entry.get("lease").and_then(Value::as_str).and_then(|id| id.parse::<LeaseId>().ok());
    let Some(lease) = id.map_or(Ok(None), |id| tx.lease(id))? else { return Ok(None) };
    Ok(tx.key(lease.terms().holder)?.map(|record| record.key.owner))
}

fn detail(line: &str, name: &str) -> Option<String> {
    let entry: Value = serde_json::from_str(line).ok()?;
    entry.get("details")?.get(name)?.as_str().map(str::to_owned)
}
