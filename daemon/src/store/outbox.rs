//! What people are to be told of, and the messages that tell them.

use rusqlite::{Row, params};
use vouchsafe_core::id::{ApprovalId, MessageId, UserId};
use vouchsafe_core::route::{ChannelName, DeliveryStatus, Event};
use vouchsafe_core::time::UnixTime;

use super::StoreError;
use super::approvals::Before;
use super::columns::time_opt;
use super::sql::{Reader, Tx, count, integer, parsed, parsed_opt, time};

/// Something that happened, as the log has it, and that nobody was told of yet.
#[derive(Clone, Debug)]
pub struct Unrouted {
    /// Its entry.
    pub seq: u64,
    /// What it is to people.
    pub event: Event,
    /// The entry's line.
    pub line: String,
    /// When.
    pub at: UnixTime,
    /// The project, by name.
    pub project: Option<String>,
    /// The approval it is about.
    pub approval: Option<ApprovalId>,
}

/// One message, as it is kept.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Delivery {
    /// Its id.
    pub id: MessageId,
    /// The entry that it tells of.
    pub seq: u64,
    /// What it tells of.
    pub event: Event,
    /// Over which channel.
    pub channel: ChannelName,
    /// To whom; none: to the channel's place.
    pub user: Option<UserId>,
    /// That user's name.
    pub user_name: Option<String>,
    /// The project, by name.
    pub project: Option<String>,
    /// The approval it is about.
    pub approval: Option<ApprovalId>,
    /// Where it stands.
    pub status: DeliveryStatus,
    /// What it waits for, or waited for, before its first try.
    pub held: Held,
    /// When it is tried next.
    pub due_at: Option<UnixTime>,
    /// When it is given up, where no try has succeeded.
    pub give_up_at: UnixTime,
    /// When it was queued.
    pub queued_at: UnixTime,
    /// How often it was tried.
    pub attempts: u32,
    /// When it was sent, or given up.
    pub settled_at: Option<UnixTime>,
    /// Why the last try failed.
    pub problem: Option<String>,
    /// What the channel calls it.
    pub receipt: Option<String>,
}

/// What a message waits for before its first try.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Held {
    /// Nothing.
    No,
    /// The end of quiet hours.
    Quiet,
    /// The time of a digest, in which it is one of several.
    Digest,
}

/// A text that is no [`Held`].
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("not a way of holding a message")]
pub struct UnknownHeld;

/// Which messages are wanted; what is not given does not matter.
#[derive(Clone, Debug, Default)]
pub struct DeliveryFilter {
    /// About this approval.
    pub approval: Option<ApprovalId>,
    /// Over this channel.
    pub channel: Option<ChannelName>,
    /// In this state.
    pub status: Option<DeliveryStatus>,
}

/// How much waits in a channel.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Waiting {
    /// The channel.
    pub channel: ChannelName,
    /// How many messages wait.
    pub messages: u64,
    /// When the oldest of them was queued.
    pub oldest: UnixTime,
}

impl Held {
    /// As it is stored.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::No => "no",
            Self::Quiet => "quiet",
            Self::Digest => "digest",
        }
    }
}

impl std::str::FromStr for Held {
    type Err = UnknownHeld;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        [Self::No, Self::Quiet, Self::Digest]
            .into_iter()
            .find(|held| held.as_str() == text)
            .ok_or(UnknownHeld)
    }
}

impl Delivery {
    /// Those of one lane leave one after the other, in the order of what they tell of: all that one
    /// channel tells one person or place of one approval.
    fn lane(&self) -> String {
        let user = self.user.map(|user| user.to_string()).unwrap_or_default();
        match self.approval {
            Some(approval) => format!("{}/{approval}/{user}", self.channel),
            // About nothing that goes on: a lane of its own.
            None => self.id.to_string(),
        }
    }
}

impl Reader<'_> {
    /// Puts an entry into the outbox: part of appending it.
    pub(super) fn insert_outbox(&self, seq: u64, event: Event) -> Result<(), StoreError> {
        self.change(
            "-- insert_outbox
             INSERT INTO outbox (seq, event) VALUES ($1, $2)",
            params![integer(seq), event.as_str()],
        )?;
        Ok(())
    }

    /// What nobody was told of yet, oldest first.
    pub fn unrouted(&self, limit: u32) -> Result<Vec<Unrouted>, StoreError> {
        self.query(
            "-- unrouted
             SELECT o.seq, o.event, e.line, e.time, e.project, e.approval
             FROM outbox AS o JOIN audit_entries AS e ON e.seq = o.seq
             ORDER BY o.seq LIMIT $1",
            params![limit],
            |row| {
                let line = row.get_ref(2)?.as_bytes()?;
                Ok(Unrouted {
                    seq: count(row, 0)?,
                    event: parsed(row, 1)?,
                    line: String::from_utf8_lossy(line).into_owned(),
                    at: time(row, 3)?,
                    project: row.get(4)?,
                    approval: parsed_opt(row, 5)?,
                })
            },
        )
    }

    /// The line of an entry.
    pub fn entry_line(&self, seq: u64) -> Result<Option<String>, StoreError> {
        self.query_opt(
            "-- entry_line
             SELECT line FROM audit_entries WHERE seq = $1",
            params![integer(seq)],
            |row| Ok(String::from_utf8_lossy(row.get_ref(0)?.as_bytes()?).into_owned()),
        )
    }

    /// Messages of a channel whose time has come, by their time, and none while an earlier one of
    /// its lane waits, unless that is held for its person and was never tried.
    pub fn due_deliveries(
        &self,
        channel: &ChannelName,
        now: UnixTime,
        limit: u32,
    ) -> Result<Vec<Delivery>, StoreError> {
        self.query(
            "-- due_deliveries
             SELECT * FROM deliveries_seen AS d
             WHERE d.channel = $1 AND d.status = 'queued' AND d.due_at <= $2
               AND NOT EXISTS (SELECT 1 FROM deliveries AS b
                               WHERE b.lane = d.lane AND b.status = 'queued' AND b.seq < d.seq
                                 AND (b.held = 'no' OR b.attempts > 0 OR b.due_at <= $2))
             ORDER BY d.due_at, d.seq LIMIT $3",
            params![channel.as_str(), now.ms(), limit],
            delivery,
        )
    }

    /// What else of a person waits for the same digest of a channel, in the order of what it tells
    /// of.
    pub fn digest_deliveries(
        &self,
        channel: &ChannelName,
        user: UserId,
        now: UnixTime,
        limit: u32,
    ) -> Result<Vec<Delivery>, StoreError> {
        self.query(
            "-- digest_deliveries
             SELECT * FROM deliveries_seen AS d
             WHERE d.channel = $1 AND d.user_id = $2 AND d.status = 'queued' AND d.held = 'digest'
               AND d.due_at <= $3
             ORDER BY d.seq LIMIT $4",
            params![channel.as_str(), user.to_string(), now.ms(), limit],
            delivery,
        )
    }

    /// Whether the same person or place is to be asked the same over the same channel, by a message
    /// that still waits and leaves no later than this one would.
    pub fn is_asked_already(&self, delivery: &Delivery) -> Result<bool, StoreError> {
        let found = self.query_opt(
            "-- is_asked_already
             SELECT 1 FROM deliveries
             WHERE lane = $1 AND status = 'queued'
               AND event IN ('approval.requested', 'approval.reminder', 'approval.escalated')
               AND (held = 'no' OR attempts > 0 OR due_at <= $2) LIMIT 1",
            params![delivery.lane(), delivery.due_at.map(UnixTime::ms)],
            |_| Ok(()),
        )?;
        Ok(found.is_some())
    }

    /// One message.
    pub fn delivery(&self, id: MessageId) -> Result<Option<Delivery>, StoreError> {
        self.query_opt(
            "-- delivery
             SELECT * FROM deliveries_seen AS d
             WHERE d.id = $1",
            params![id.to_string()],
            delivery,
        )
    }

    /// Two ids at most of messages that begin so.
    pub fn delivery_ids(&self, prefix: &str) -> Result<Vec<MessageId>, StoreError> {
        self.query(
            "-- delivery_ids
             SELECT id FROM deliveries WHERE id >= $1 AND id < $2 ORDER BY id LIMIT 2",
            params![prefix, format!("{prefix}~")],
            |row| parsed(row, 0),
        )
    }

    /// The messages about an approval, in the order of what they tell of.
    pub fn deliveries_of(
        &self,
        approval: ApprovalId,
        limit: u32,
    ) -> Result<Vec<Delivery>, StoreError> {
        self.query(
            "-- deliveries_of
             SELECT * FROM deliveries_seen AS d
             WHERE d.approval_id = $1
             ORDER BY d.queued_at, d.seq, d.id LIMIT $2",
            params![approval.to_string(), limit],
            delivery,
        )
    }

    /// Messages newest first, from before `before`.
    pub fn deliveries_before(
        &self,
        filter: &DeliveryFilter,
        before: &Before,
        limit: u32,
    ) -> Result<Vec<Delivery>, StoreError> {
        self.query(
            "-- deliveries_before
             SELECT * FROM deliveries_seen AS d
             WHERE (d.queued_at < $1 OR (d.queued_at = $1 AND d.id < $2))
               AND (CAST($3 AS TEXT) IS NULL OR d.approval_id = $3)
               AND (CAST($4 AS TEXT) IS NULL OR d.channel = $4)
               AND (CAST($5 AS TEXT) IS NULL OR d.status = $5)
             ORDER BY d.queued_at DESC, d.id DESC LIMIT $6",
            params![
                before.at.ms(),
                before.id,
                filter.approval.map(|id| id.to_string()),
                filter.channel.as_ref().map(ChannelName::as_str),
                filter.status.map(DeliveryStatus::as_str),
                limit,
            ],
            delivery,
        )
    }

    /// Whether any message about an approval was delivered by which people hear of it.
    pub fn was_heard_of(&self, approval: ApprovalId) -> Result<bool, StoreError> {
        let found = self.query_opt(
            "-- was_heard_of
             SELECT 1 FROM deliveries
             WHERE approval_id = $1 AND status IN ('sent', 'answered') AND heard LIMIT 1",
            params![approval.to_string()],
            |_| Ok(()),
        )?;
        Ok(found.is_some())
    }

    /// Messages that were to be delivered by now and were not, some of them.
    pub fn late_deliveries(&self, now: UnixTime, limit: u32) -> Result<Vec<Delivery>, StoreError> {
        self.query(
            "-- late_deliveries
             SELECT * FROM deliveries_seen AS d
             WHERE d.give_up_at <= $1 AND d.status = 'queued' ORDER BY d.give_up_at LIMIT $2",
            params![now.ms(), limit],
            delivery,
        )
    }

    /// Messages of a channel in a state, some of them, oldest first.
    pub fn channel_deliveries(
        &self,
        channel: &ChannelName,
        status: DeliveryStatus,
        limit: u32,
    ) -> Result<Vec<Delivery>, StoreError> {
        self.query(
            "-- channel_deliveries
             SELECT * FROM deliveries_seen AS d
             WHERE d.channel = $1 AND d.status = $2 ORDER BY d.seq LIMIT $3",
            params![channel.as_str(), status.as_str(), limit],
            delivery,
        )
    }

    /// Whether any message was settled before a time.
    pub fn has_deliveries_before(&self, time: UnixTime) -> Result<bool, StoreError> {
        let found = self.query_opt(
            "-- has_deliveries_before
             SELECT 1 FROM deliveries WHERE settled_at < $1 LIMIT 1",
            params![time.ms()],
            |_| Ok(()),
        )?;
        Ok(found.is_some())
    }

    /// What waits in each channel.
    pub fn waiting_deliveries(&self) -> Result<Vec<Waiting>, StoreError> {
        self.query(
            "-- waiting_deliveries
             SELECT channel, COUNT(*), MIN(queued_at) FROM deliveries
             WHERE status = 'queued' GROUP BY channel ORDER BY channel",
            [],
            |row| {
                Ok(Waiting {
                    channel: parsed(row, 0)?,
                    messages: count(row, 1)?,
                    oldest: time(row, 2)?,
                })
            },
        )
    }

    /// How many messages were given up since.
    pub fn count_failed_deliveries(&self, since: UnixTime) -> Result<u64, StoreError> {
        let failed = self.query_opt(
            "-- count_failed_deliveries
             SELECT COUNT(*) FROM deliveries WHERE settled_at >= $1 AND status = 'failed'",
            params![since.ms()],
            |row| count(row, 0),
        )?;
        Ok(failed.unwrap_or(0))
    }
}

impl Tx<'_> {
    /// Takes an entry out of the outbox: its messages are stored.
    pub fn routed(&mut self, seq: u64) -> Result<(), StoreError> {
        self.execute(
            "-- routed
             DELETE FROM outbox WHERE seq = $1",
            params![integer(seq)],
        )?;
        Ok(())
    }

    /// Queues a message, unless the same entry was told to the same over the same channel. `heard`:
    /// people hear of it by this.
    pub fn insert_delivery(&mut self, delivery: &Delivery, heard: bool) -> Result<(), StoreError> {
        self.execute(
            "-- insert_delivery
             INSERT INTO deliveries (id, seq, event, channel, user_id, project, approval_id, lane,
                                     status, held, due_at, give_up_at, queued_at, heard)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)
             ON CONFLICT DO NOTHING",
            params![
                delivery.id.to_string(),
                integer(delivery.seq),
                delivery.event.as_str(),
                delivery.channel.as_str(),
                delivery.user.map(|user| user.to_string()),
                delivery.project,
                delivery.approval.map(|id| id.to_string()),
                delivery.lane(),
                delivery.status.as_str(),
                delivery.held.as_str(),
                delivery.due_at.map(UnixTime::ms),
                delivery.give_up_at.ms(),
                delivery.queued_at.ms(),
                heard,
            ],
        )?;
        Ok(())
    }

    /// Saves how a try went. Returns whether the message still waited for one; what was sent is
    /// saved as sent even where it had been given up meanwhile.
    pub fn save_delivery(&mut self, delivery: &Delivery) -> Result<bool, StoreError> {
        let changed = self.execute(
            "-- save_delivery
             UPDATE deliveries SET status = $1, due_at = $2, attempts = $3, settled_at = $4,
                                   problem = $5, receipt = $6
             WHERE id = $7 AND (status = 'queued' OR (status = 'failed' AND $1 = 'sent'))",
            params![
                delivery.status.as_str(),
                delivery.due_at.map(UnixTime::ms),
                delivery.attempts,
                delivery.settled_at.map(UnixTime::ms),
                delivery.problem,
                delivery.receipt,
                delivery.id.to_string(),
            ],
        )?;
        Ok(changed == 1)
    }

    /// Queues a message again that was given up. Returns whether it had been.
    pub fn requeue_delivery(
        &mut self,
        id: MessageId,
        at: UnixTime,
        give_up_at: UnixTime,
    ) -> Result<bool, StoreError> {
        let changed = self.execute(
            "-- requeue_delivery
             UPDATE deliveries SET status = 'queued', due_at = $1, give_up_at = $2, settled_at = NULL
             WHERE id = $3 AND status = 'failed'",
            params![at.ms(), give_up_at.ms(), id.to_string()],
        )?;
        Ok(changed == 1)
    }

    /// Takes a message out that still waits: there is nothing left to say.
    pub fn drop_delivery(&mut self, id: MessageId) -> Result<(), StoreError> {
        self.execute(
            "-- drop_delivery
             DELETE FROM deliveries WHERE id = $1 AND status = 'queued'",
            params![id.to_string()],
        )?;
        Ok(())
    }

    /// Notes that a person has answered what they were told of an approval, and in Slack what its
    /// places were.
    pub fn answered_deliveries(
        &mut self,
        approval: ApprovalId,
        user: UserId,
        in_slack: bool,
    ) -> Result<(), StoreError> {
        self.execute(
            "-- answered_deliveries
             UPDATE deliveries SET status = 'answered'
             WHERE approval_id = $1 AND status = 'sent'
               AND (user_id = $2 OR ($3 AND user_id IS NULL AND channel LIKE 'slack:%'))
               AND event IN ('approval.requested', 'approval.reminder', 'approval.escalated')",
            params![approval.to_string(), user.to_string(), in_slack],
        )?;
        Ok(())
    }

    /// Forgets messages that were settled before a time, some of them; how many.
    pub fn forget_deliveries(&mut self, before: UnixTime, limit: u32) -> Result<usize, StoreError> {
        self.execute(
            "-- forget_deliveries
             DELETE FROM deliveries WHERE id IN (
                 SELECT id FROM deliveries WHERE settled_at < $1 ORDER BY settled_at LIMIT $2)",
            params![before.ms(), limit],
        )
    }
}

fn delivery(row: &Row<'_>) -> rusqlite::Result<Delivery> {
    Ok(Delivery {
        id: parsed(row, 0)?,
        seq: count(row, 1)?,
        event: parsed(row, 2)?,
        channel: parsed(row, 3)?,
        user: parsed_opt(row, 4)?,
        project: row.get(5)?,
        approval: parsed_opt(row, 6)?,
        status: parsed(row, 7)?,
        held: parsed(row, 8)?,
        due_at: time_opt(row, 9)?,
        give_up_at: time(row, 10)?,
        queued_at: time(row, 11)?,
        attempts: row.get(12)?,
        settled_at: time_opt(row, 13)?,
        problem: row.get(14)?,
        receipt: row.get(15)?,
        user_name: row.get(16)?,
    })
}
