//! Giving without asking people: what an agent holds already, what its rule or its level gives to
//! anybody, what the rule's conditions or a session approve, and what a rule lets through that is
//! only observed.

use vouchsafe_core::approval::{Allowance, Approval, Approved, How, Limits, Session};
use vouchsafe_core::audit::{Action, Entry};
use vouchsafe_core::caller::Agent;
use vouchsafe_core::key::CallTraits;
use vouchsafe_core::lease::{Active, TakeError};
use vouchsafe_core::policy::{Asks, Free, Judgment, Outcome, Rule};
use vouchsafe_core::resource::Operation;
use vouchsafe_core::text::escape_json;

use super::asks::{Wanted, Wish, expire_lease};
use super::{Refused, Stop, entries};
use crate::store::Tx;

/// How an agent stands to something that it wants.
#[derive(Debug)]
pub(super) enum Stand {
    /// It holds a lease on it.
    Leased(Box<Active>),
    /// It gets one, and nobody is asked.
    Given(Given),
    /// People have to be asked. This is how the rule's conditions stand, if it has any.
    Asks(Vec<Outcome>),
}

/// Why somebody gets a lease without being asked for.
#[derive(Debug)]
pub(super) enum Given {
    /// The rule, or the key's level, asks nobody.
    Free(Free),
    /// The rule is only observed; this is what it would have done.
    Observed(Observed),
    /// The rule's conditions hold.
    Automatic(Vec<Outcome>),
    /// People approved it before, for a session.
    Session(Box<Session>),
}

/// What a rule would have done that is only observed.
#[derive(Debug)]
pub(super) struct Observed {
    judgment: Judgment,
    /// What the reason lacks, for which it would have refused.
    lacks: Option<String>,
}

/// What an approval without a vote stands on.
struct Grounds {
    how: How,
    /// How far its lease may go at most.
    most: Option<Limits>,
}

impl Given {
    /// What the log says of a change that is made for this reason, where no approval says it.
    pub(super) fn said(&self, entry: Entry, rule: &Rule) -> Entry {
        match self {
            Self::Free(Free::Level(level)) => entry.detail("level", level.as_str()),
            Self::Observed(observed) => {
                let entry = entries::observed(entry, rule, &observed.judgment);
                match &observed.lacks {
                    Some(lacks) => entry.detail("reason_lacks", lacks.as_str()),
                    None => entry,
                }
            }
            Self::Free(Free::Rule) | Self::Automatic(_) | Self::Session(_) => entry,
        }
    }
}

impl Wish {
    /// How the agent stands to a resource. Ends leases whose time is found to be up.
    pub(super) fn stand(&self, tx: &mut Tx<'_>, wanted: &Wanted<'_>) -> Result<Stand, Stop> {
        let claim = self.claim(wanted);
        let free = gives_freely(wanted.rule, &self.agent, self.operation);
        for lease in tx.usable_leases(self.agent.key, &wanted.resource, self.operation)? {
            // What nobody was asked for goes on only for as long as nobody has to be asked.
            if given_freely(&lease) && !free {
                continue;
            }
            match lease.check(&claim, tx.now()) {
                Ok(()) => return Ok(Stand::Leased(Box::new(lease))),
                Err(TakeError::Expired) => expire_lease(tx, lease)?,
                Err(TakeError::NotForThis | TakeError::Rotated | TakeError::Refused) => {}
            }
        }
        self.judge(tx, wanted)
    }

    /// How its rule judges it, whatever the agent holds.
    pub(super) fn judge(&self, tx: &Tx<'_>, wanted: &Wanted<'_>) -> Result<Stand, Stop> {
        let rule = wanted.rule;
        let judgment = rule.judge(&self.circumstances(wanted, tx.now().wall));
        let reason = self.check_reason(rule);
        if rule.is_observed() {
            let lacks = reason.err().map(|refused| refused.message);
            return Ok(Stand::Given(Given::Observed(Observed { judgment, lacks })));
        }
        match judgment {
            Judgment::Free(free) => {
                reason?;
                Ok(Stand::Given(Given::Free(free)))
            }
            // An ask without its reason may still join one that has it.
            Judgment::Automatic(outcomes) | Judgment::Ask(outcomes) if reason.is_err() => {
                Ok(Stand::Asks(outcomes))
            }
            Judgment::Automatic(outcomes) => Ok(Stand::Given(Given::Automatic(outcomes))),
            Judgment::Ask(outcomes) => Ok(match self.session(tx, rule)? {
                Some(session) => Stand::Given(Given::Session(Box::new(session))),
                None => Stand::Asks(outcomes),
            }),
        }
    }

    /// A session that covers what is asked for under this rule.
    fn session(&self, tx: &Tx<'_>, rule: &Rule) -> Result<Option<Session>, Stop> {
        if !rule.remember {
            return Ok(None);
        }
        let agent = &self.agent;
        let open = tx.open_sessions(agent.key, rule.name.as_str(), self.operation)?;
        let covers = |session: &Session| {
            session.covers(agent.key, agent.generation, rule, self.operation, tx.now())
        };
        Ok(open.into_iter().find(covers))
    }

    /// Issues the lease that is given. `settled` gains the approvals that end with it: an equal ask
    /// that waited for people waits no more.
    pub(super) fn give(
        &self,
        tx: &mut Tx<'_>,
        index: usize,
        wanted: &Wanted<'_>,
        given: Given,
        settled: &mut Vec<Approval>,
    ) -> Result<Active, Stop> {
        match given {
            Given::Free(free) => {
                let entry = entries::by_agent(Action::LEASE_ISSUED, &self.agent);
                let entry = match free {
                    Free::Rule => entry,
                    Free::Level(level) => entry.detail("level", level.as_str()),
                };
                self.issue(tx, index, wanted, false, entry)
            }
            Given::Observed(observed) => {
                let entry = entries::by_agent(Action::LEASE_OBSERVED, &self.agent);
                let entry = entries::observed(entry, wanted.rule, &observed.judgment);
                let entry = match observed.lacks {
                    Some(lacks) => entry.detail("reason_lacks", lacks),
                    None => entry,
                };
                self.issue(tx, index, wanted, true, entry)
            }
            Given::Automatic(conditions) => {
                let grounds = Grounds { how: How::Automatic { conditions }, most: None };
                self.approve(tx, index, wanted, grounds, settled)
            }
            Given::Session(session) => {
                let how = How::Session { approval: session.approval };
                let grounds = Grounds { how, most: Some(session.limits(tx.now())) };
                self.approve(tx, index, wanted, grounds, settled)
            }
        }
    }

    /// A lease that no approval stands behind.
    fn issue(
        &self,
        tx: &mut Tx<'_>,
        index: usize,
        wanted: &Wanted<'_>,
        observed: bool,
        entry: Entry,
    ) -> Result<Active, Stop> {
        let (_, id) = *self.ids.get(index).ok_or_else(Refused::internal)?;
        let allowance = Allowance {
            project: self.agent.project,
            project_name: self.agent.project_name.clone(),
            approval: None,
            holder: self.agent.key,
            holder_name: self.agent.name.to_string(),
            item: wanted.item(),
            operation: self.operation,
            arguments: None,
            observed,
            limits: Limits::of(wanted.rule, self.requested),
        };
        let lease = Active::issue(id, allowance, tx.now());
        tx.insert_lease(&lease)?;
        tx.append(&entries::about_lease(self.worded(entry), &lease))?;
        Ok(lease)
    }

    /// An approval without a vote, and its lease.
    fn approve(
        &self,
        tx: &mut Tx<'_>,
        index: usize,
        wanted: &Wanted<'_>,
        Grounds { how, most }: Grounds,
        settled: &mut Vec<Approval>,
    ) -> Result<Active, Stop> {
        let (id, lease_id) = *self.ids.get(index).ok_or_else(Refused::internal)?;
        let ask = self.draft(tx, id, std::iter::once(wanted))?;
        let waiting = tx.pending_approval(&ask.join_key())?;
        let was_waiting = waiting.is_some();
        let (ask, votes) =
            waiting.map_or((ask, Vec::new()), |waiting| (waiting.ask, waiting.votes));
        let approved = Approved { votes, ..Approved::without_votes(ask, how, tx.now()) };
        let approved = match most {
            Some(most) => approved.within(&most),
            None => approved,
        };
        let allowance = approved.allowances().next().ok_or_else(Refused::internal)?;
        let entry = entries::by_agent(Action::APPROVAL_AUTOMATIC, &self.agent);
        let entry = entries::asked(entry, &approved.ask);
        let entry = entries::approved_by(entry, &approved.how);
        let entry = entry.detail("level", self.agent.settings.level.as_str());
        let approval = Approval::Approved(approved);
        if was_waiting {
            if !tx.save_approval(&approval)? {
                return Err(Refused::internal().into());
            }
            settled.push(approval);
        } else {
            tx.insert_settled_approval(&approval)?;
        }
        tx.append(&entry)?;
        let lease = Active::issue(lease_id, allowance, tx.now());
        tx.insert_lease(&lease)?;
        let entry = entries::by_agent(Action::LEASE_ISSUED, &self.agent);
        tx.append(&entries::about_lease(entry, &lease))?;
        Ok(lease)
    }

    /// The agent's own words, for an entry that no approval speaks of.
    pub(super) fn worded(&self, entry: Entry) -> Entry {
        let entry = match &self.reason {
            Some(reason) => entry.detail("reason", reason.shown().text),
            None => entry,
        };
        let entry = match &self.reason_kind {
            Some(kind) => entry.detail("reason_kind", kind.as_str()),
            None => entry,
        };
        let entry = entry.detail("level", self.agent.settings.level.as_str());
        match self.arguments.as_str() {
            "{}" => entry,
            arguments => entry.detail("arguments", escape_json(arguments)),
        }
    }
}

/// Whether a rule gives this to a key without asking people, whatever else there is to know.
pub(super) fn gives_freely(rule: &Rule, agent: &Agent, operation: Operation) -> bool {
    match &rule.asks {
        Asks::Nobody => true,
        Asks::Level(_) => !agent.settings.level.asks(operation, CallTraits::default()),
        Asks::People(_) => false,
    }
}

/// Whether nobody was asked for a lease, by a rule that is in force.
pub(super) fn given_freely(lease: &Active) -> bool {
    lease.terms.approval.is_none() && !lease.terms.observed
}
