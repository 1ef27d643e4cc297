//! What a message says, as things stand when it leaves.

use std::net::SocketAddr;

use ring::digest::{SHA256, digest};
use serde_json::Value;
use vouchsafe_core::approval::Approval;
use vouchsafe_core::caller::{Role, UserRecord};
use vouchsafe_core::id::{ID_BYTES, LeaseId, MessageId, UserId};
use vouchsafe_core::route::{
    Answerable, Audience, Body, Channel, DeliveryStatus, Event, Fact, LOCAL_NAME, Line, Message,
    Recipient, telling,
};

use super::super::{Broker, Stop};
use super::queue::Parcel;
use super::routing;
use crate::store::{Delivery, Reader};

/// Messages of one approval that are looked at for what a new one replaces.
const EARLIER_MAX: u32 = 1_000;

/// Why somebody is not told of what they may not see.
const NOT_THEIRS: &str = "the user may not see that project any more";

/// What every message of a channel has in common.
pub(super) struct Composer {
    /// How links to pages begin.
    pages: String,
    /// How addresses for programs begin.
    door: String,
    pub(super) channel: Channel,
}

/// A headline, the rest, and what of the page is about it.
struct Said {
    headline: String,
    body: Body,
    page: Option<String>,
}

impl Broker {
    /// How links to the web pages begin: as the operator says; or where the door is, and on this
    /// machine alone under [`LOCAL_NAME`].
    pub fn base_url(&self) -> String {
        of_pages(&self.door_url())
    }

    /// How addresses for programs begin.
    fn door_url(&self) -> String {
        match (&self.inner.settings.public_url, self.inner.mcp_url.get()) {
            (Some(url), _) => url.clone(),
            (None, Some(mcp)) => mcp.trim_end_matches("/mcp").to_owned(),
            // Before the door is open nobody is told anything.
            (None, None) => String::new(),
        }
    }

    /// Whoever writes what goes over this channel.
    pub(super) fn composer(&self, channel: &Channel) -> Composer {
        Composer { pages: self.base_url(), door: self.door_url(), channel: channel.clone() }
    }
}

/// How links to the pages begin, by how addresses for programs do.
fn of_pages(door: &str) -> String {
    let address = door.strip_prefix("http://").and_then(|address| address.parse().ok());
    match address {
        Some(listen) if SocketAddr::ip(&listen).is_loopback() => {
            format!("http://{LOCAL_NAME}:{}", listen.port())
        }
        Some(_) | None => door.to_owned(),
    }
}

impl Composer {
    /// One message, or why there is none to be sent.
    pub(super) fn one(
        &self,
        reader: &Reader<'_>,
        delivery: &Delivery,
    ) -> Result<Result<Message, String>, Stop> {
        let to = match self.recipient(reader, delivery)? {
            Ok(to) => to,
            Err(why) => return Ok(Err(why)),
        };
        let mut said = said(reader, delivery)?;
        if let Body::Facts { answer: Some(answer), .. } = &mut said.body {
            answer.respond = format!("{}/v1/approvals/{}/respond", self.door, answer.approval);
        }
        Ok(Ok(Message {
            id: delivery.id,
            event: delivery.event,
            at: delivery.queued_at,
            project: delivery.project.clone(),
            to,
            headline: said.headline,
            body: said.body,
            link: said.page.map(|page| self.link(&page)),
            replaces: self.earlier(reader, delivery)?,
        }))
    }

    /// Several messages of one person, as one: those that they may still know of. The others are
    /// given up.
    pub(super) fn digests(
        &self,
        reader: &Reader<'_>,
        deliveries: Vec<Delivery>,
    ) -> Result<Vec<Parcel>, Stop> {
        let (mut known, mut others) = (Vec::new(), Vec::new());
        for delivery in deliveries {
            let user = delivery.user.map_or(Ok(None), |id| reader.user(id))?;
            let knows = match user {
                Some(user) => may_know(reader, &user, &delivery)?,
                None => false,
            };
            if knows { known.push(delivery) } else { others.push(delivery) }
        }
        let mut parcels = Vec::new();
        if !known.is_empty() {
            let message = self.digest(reader, &known)?;
            parcels.push(Parcel { deliveries: known, message });
        }
        if !others.is_empty() {
            parcels.push(Parcel { deliveries: others, message: Err(NOT_THEIRS.to_owned()) });
        }
        Ok(parcels)
    }

    /// Several messages of one person, as one; they may know of each.
    fn digest(
        &self,
        reader: &Reader<'_>,
        deliveries: &[Delivery],
    ) -> Result<Result<Message, String>, Stop> {
        let Some(first) = deliveries.first() else {
            return Ok(Err("there is nothing to tell".to_owned()));
        };
        let to = match self.recipient(reader, first)? {
            Ok(to) => to,
            Err(why) => return Ok(Err(why)),
        };
        let mut lines = Vec::new();
        for delivery in deliveries {
            let said = said(reader, delivery)?;
            let (outcome, answer) = match said.body {
                Body::Facts { outcome, answer, .. } => (outcome, answer),
                Body::Digest(_) | Body::SignIn { .. } | Body::Test { .. } => (None, None),
            };
            lines.push(Line {
                id: delivery.id,
                at: delivery.queued_at,
                headline: said.headline,
                link: said.page.map(|page| self.link(&page)),
                outcome,
                digest: answer.map(|answer| answer.digest),
            });
        }
        let headline = match lines.len() {
            1 => "1 message since the last digest".to_owned(),
            count => format!("{count} messages since the last digest"),
        };
        Ok(Ok(Message {
            id: id_of(deliveries),
            event: first.event,
            at: first.queued_at,
            project: None,
            to,
            headline,
            body: Body::Digest(lines),
            link: Some(self.link("/inbox")),
            replaces: Vec::new(),
        }))
    }

    /// A page's address.
    pub(super) fn link(&self, page: &str) -> String {
        format!("{}{page}", self.pages)
    }

    /// Whom it goes to; none: to the channel's place. Or why it cannot.
    fn recipient(
        &self,
        reader: &Reader<'_>,
        delivery: &Delivery,
    ) -> Result<Result<Option<Recipient>, String>, Stop> {
        if self.channel.audience == Audience::Place {
            return Ok(Ok(None));
        }
        let Some(id) = delivery.user else {
            return Ok(Err(format!(
                "{} reaches people now, and this is for none",
                self.channel.name
            )));
        };
        let Some(user) = reader.user(id)?.filter(|user| user.enabled) else {
            return Ok(Err("the user is disabled".to_owned()));
        };
        if !may_know(reader, &user, delivery)? {
            return Ok(Err(NOT_THEIRS.to_owned()));
        }
        Ok(self.addressed(&user).map(Some))
    }

    /// A person at their address of this channel.
    pub(super) fn addressed(&self, user: &UserRecord) -> Result<Recipient, String> {
        let person = user.person();
        match self.channel.audience.address(&person) {
            Some(address) => {
                Ok(Recipient { name: person.name.clone(), address: address.to_owned() })
            }
            None => Err(format!("{} has no address for {}", person.name, self.channel.name)),
        }
    }

    /// What the channel calls the messages that this one takes the place of.
    fn earlier(&self, reader: &Reader<'_>, delivery: &Delivery) -> Result<Vec<String>, Stop> {
        let (true, Some(approval)) =
            (self.channel.updates && delivery.event.ends(), delivery.approval)
        else {
            return Ok(Vec::new());
        };
        let all = reader.deliveries_of(approval, EARLIER_MAX)?;
        let earlier = all.into_iter().filter(|other| {
            other.channel == delivery.channel
                && other.user == delivery.user
                && other.event.asks()
                && matches!(other.status, DeliveryStatus::Sent | DeliveryStatus::Answered)
        });
        Ok(earlier.filter_map(|other| other.receipt).collect())
    }
}

fn said(reader: &Reader<'_>, delivery: &Delivery) -> Result<Said, Stop> {
    let about = match delivery.approval {
        Some(id) => reader.approval(id)?,
        None => None,
    };
    match (delivery.event, about) {
        (Event::LeaseIssued | Event::LeaseRevoked | Event::LeaseExpired, _) => {
            about_lease(reader, delivery)
        }
        (Event::Alert, _) | (_, None) => about_entry(reader, delivery),
        (event, Some(approval)) => Ok(about_approval(event, &approval)),
    }
}

fn about_lease(reader: &Reader<'_>, delivery: &Delivery) -> Result<Said, Stop> {
    let line = reader.entry_line(delivery.seq)?.unwrap_or_default();
    let entry: Value = serde_json::from_str(&line).unwrap_or_default();
    let id = entry.get("lease").and_then(Value::as_str).and_then(|id| id.parse().ok());
    let lease = id.map_or(Ok(None), |id: LeaseId| reader.lease(id))?;
    let Some(lease) = lease else { return about_entry(reader, delivery) };
    let (headline, facts) = telling::lease(delivery.event, &lease);
    let approval = delivery.approval;
    let body = Body::Facts { facts, answer: None, approval, outcome: None };
    Ok(Said { headline, body, page: Some("/leases".to_owned()) })
}

/// Whether a person may still know of what a message is about: they have a role in its project that
/// sees approvals, or answer for the key that asked.
fn may_know(reader: &Reader<'_>, user: &UserRecord, delivery: &Delivery) -> Result<bool, Stop> {
    let Some(name) = &delivery.project else { return Ok(true) };
    let Some(project) = reader.project_named(name)? else { return Ok(false) };
    let roles = user.roles_in(project.id);
    if roles.allow_any(&[Role::Approver, Role::Operator, Role::Auditor]) {
        return Ok(true);
    }
    let asker = match delivery.approval {
        Some(id) => reader.approval(id)?.and_then(|approval| approval.ask().asker.owner),
        None => owner_of_lease(reader, delivery)?,
    };
    Ok(asker == Some(user.id))
}

/// Who answers for the key of the lease that a message is about.
fn owner_of_lease(reader: &Reader<'_>, delivery: &Delivery) -> Result<Option<UserId>, Stop> {
    let line = reader.entry_line(delivery.seq)?.unwrap_or_default();
    routing::owner_of_lease(reader, &line)
}

/// The id of a digest: the same for the same messages, another one where more are in it.
fn id_of(deliveries: &[Delivery]) -> MessageId {
    let all: Vec<u8> = deliveries.iter().flat_map(|delivery| *delivery.id.as_bytes()).collect();
    let hash = digest(&SHA256, &all);
    let mut bits = [0; ID_BYTES];
    for (bit, byte) in bits.iter_mut().zip(hash.as_ref()) {
        *bit = *byte;
    }
    MessageId::from_random(bits)
}

fn about_approval(event: Event, approval: &Approval) -> Said {
    let ask = approval.ask();
    let (mut facts, whole) = telling::facts(approval);
    let answer = match approval {
        Approval::Pending(pending) => Some(Box::new(Answerable {
            approval: ask.id,
            digest: ask.digest(),
            whole,
            one_time: None,
            until: pending.deadline().wall,
            respond: String::new(),
        })),
        Approval::Approved(_)
        | Approval::Denied(_)
        | Approval::Expired(_)
        | Approval::Withdrawn(_) => None,
    };
    if answer.is_none() {
        facts.push(Fact::new("Digest", ask.digest().short()));
    }
    let outcome = telling::outcome(approval);
    let body = Body::Facts { facts, answer, approval: Some(ask.id), outcome };
    let page = Some(format!("/approvals/{}", ask.id));
    Said { headline: telling::headline(event, approval), body, page }
}

fn about_entry(reader: &Reader<'_>, delivery: &Delivery) -> Result<Said, Stop> {
    let line = reader.entry_line(delivery.seq)?.unwrap_or_default();
    let (headline, facts) = telling::alert(&line);
    let approval = delivery.approval;
    let page = approval.map_or_else(|| "/audit".to_owned(), |id| format!("/approvals/{id}"));
    let body = Body::Facts { facts, answer: None, approval, outcome: None };
    Ok(Said { headline, body, page: Some(page) })
}
