//! What agents do, and what should come of it.

use std::time::Duration;

use vouchsafe_core::approval::Approval as Told;
use vouchsafe_core::lease::{Ending, Lease as Held};
use vouchsafe_core::resource::Operation;
use vouchsafed::broker::{Access, AccessAsk, AwaitOutcome, Code, Plea, Release};

use super::{SECRETS, World, content, path_of, stand, uri};
use crate::model::{Approval, End, Item, Stand};

impl World {
    pub(super) async fn read(&mut self) {
        let Some((key, agent)) = self.agent().await else { return };
        let path = self.dice.pick(&SECRETS);
        let requested_s = self.dice.pick(&[None, None, Some(5), Some(500)]);
        self.note(format_args!("key {key} reads {path} for {requested_s:?}"));
        let duration = requested_s.map(Duration::from_secs);
        let answer = self
            .test
            .broker
            .read_secret(&agent, &uri(path), Plea { duration, ..Plea::default() })
            .await;
        let Some(item) = self.model.item(path) else {
            let ruled = self.model.rule(path).is_some();
            let code = if ruled { Code::SecretNotFound } else { Code::PolicyRefused };
            return self.refused(answer, code);
        };
        let answer = match answer {
            Ok(answer) => answer,
            Err(refused) => self.wrong(format!("refused: {refused:?}")),
        };
        if !self.model.keys[key].reveal {
            return match answer {
                Release::Redacted { version, .. } => {
                    self.same("version", &version, &item.version);
                }
                other => self.wrong(format!("a key without reveal gets {other:?}")),
            };
        }
        let usable = self.model.usable(key, path);
        match answer {
            Release::Value { version, value, lease, .. } => {
                self.same("version", &version, &item.version);
                self.same("value", &value.expose().to_vec(), &content(path, &item));
                self.use_lease(key, &item, requested_s, &usable, &lease);
            }
            _ if !usable.is_empty() || item.rule.people.is_none() => {
                self.wrong(format!("no value in spite of leases {usable:?}: {answer:?}"));
            }
            Release::Pending(pending) => {
                let id = pending.ask.id.to_string();
                self.asked(key, vec![item], requested_s, &id);
            }
            Release::Settled(told) => self.told(key, &[item], &told),
            Release::Redacted { .. } => self.wrong("redacted in spite of secrets:reveal"),
        }
    }

    pub(super) fn use_lease(
        &mut self,
        key: usize,
        item: &Item,
        asked_s: Option<u64>,
        usable: &[usize],
        held: &Held,
    ) {
        let id = held.terms().id.to_string();
        let index = match self.model.leases.iter().position(|lease| lease.id == id) {
            Some(index) if usable.contains(&index) => index,
            Some(_) => self.wrong(format!("{id} releases a value and should not")),
            None if item.rule.people.is_none() && usable.is_empty() => {
                let limits = item.rule.limits(asked_s);
                let lease = self.model.free_lease(id, key, item, limits);
                self.model.leases.push(lease);
                self.count("lease.issued");
                self.model.leases.len() - 1
            }
            None => self.wrong(format!("a value under a lease from nowhere, {id}")),
        };
        self.count("secret.read");
        let lease = &mut self.model.leases[index];
        lease.used += 1;
        lease.uses_left = lease.uses_left.map(|left| left - 1);
        if lease.uses_left == Some(0) {
            lease.end = End::Exhausted;
        }
        let lease = lease.clone();
        self.compare_lease(&lease, held);
    }

    pub(super) async fn request(&mut self) {
        let Some((key, agent)) = self.agent().await else { return };
        if !self.model.keys[key].reveal {
            return;
        }
        let mut paths: Vec<_> = SECRETS.into_iter().filter(|_| self.dice.one_in(2)).collect();
        if paths.is_empty() {
            paths.push("prod/A");
        }
        self.note(format_args!("key {key} asks for {paths:?}"));
        let ask = AccessAsk {
            resources: paths.iter().map(|path| uri(path)).collect(),
            operation: Operation::Read,
            plea: Plea::default(),
        };
        let answer = self.test.broker.request_access(&agent, ask).await;
        let mut open = Vec::new();
        for path in &paths {
            let Some(item) = self.model.item(path) else {
                let ruled = self.model.rule(path).is_some();
                let code = if ruled { Code::SecretNotFound } else { Code::PolicyRefused };
                return self.refused(answer, code);
            };
            if item.rule.people.is_some() && self.model.usable(key, path).is_empty() {
                open.push(item);
            }
        }
        match answer {
            Ok(Access::Pending(pending)) if !open.is_empty() => {
                let id = pending.ask.id.to_string();
                self.asked(key, open, None, &id);
            }
            Ok(Access::Settled(told)) if !open.is_empty() => self.told(key, &open, &told),
            Ok(Access::Leased(leases)) if open.is_empty() => {
                self.same("leases", &leases.len(), &paths.len());
                for held in &leases {
                    self.leased_without_people(key, held);
                }
            }
            other => self.wrong(format!("open is {open:?}, and the answer {other:?}")),
        }
    }

    pub(super) fn leased_without_people(&mut self, key: usize, held: &Held) {
        let id = held.terms().id.to_string();
        let path = path_of(&held.terms().resource);
        if let Some(lease) = self.model.leases.iter().find(|lease| lease.id == id).cloned() {
            return self.compare_lease(&lease, held);
        }
        let item = self.model.item(path).unwrap();
        let is_free = item.rule.people.is_none() && self.model.usable(key, path).is_empty();
        self.same("new lease without people", &is_free, &true);
        let lease = self.model.free_lease(id, key, &item, item.rule.limits(None));
        self.compare_lease(&lease, held);
        self.model.leases.push(lease);
        self.count("lease.issued");
    }

    pub(super) fn asked(
        &mut self,
        key: usize,
        items: Vec<Item>,
        requested_s: Option<u64>,
        id: &str,
    ) {
        if let Some(index) = self.model.joinable(key, &items) {
            if !self.model.passed(self.model.approvals[index].deadline) {
                let joined = self.model.approvals[index].id.clone();
                return self.same("joined", &id.to_owned(), &joined);
            }
            self.model.settle(index, Stand::Expired);
        }
        if !self.model.untold(key, &items).is_empty() {
            self.wrong("a new ask, and the agent was not told of the last one");
        }
        if self.model.approvals.iter().any(|a| a.id == id) {
            self.wrong(format!("{id} is pending again"));
        }
        let pending_s = items.iter().map(|item| item.rule.pending_s).min().unwrap();
        let approval = Approval {
            id: id.to_owned(),
            key,
            items,
            requested_s,
            deadline: self.model.after(pending_s * 1_000),
            stand: Stand::Pending,
            votes: Vec::new(),
            settled_wall: 0,
            told: false,
        };
        self.model.approvals.push(approval);
        self.count("approval.requested");
    }

    pub(super) fn told(&mut self, key: usize, items: &[Item], told: &Told) {
        if let Some(index) = self.model.joinable(key, items)
            && self.model.passed(self.model.approvals[index].deadline)
        {
            self.model.settle(index, Stand::Expired);
        }
        let id = told.ask().id.to_string();
        let expected = self.model.untold(key, items);
        let Some(index) = expected.into_iter().find(|i| self.model.approvals[*i].id == id) else {
            self.wrong(format!("told of {id}, which is not what it should be told of"));
        };
        self.same("stand", &stand(told.status()), &self.model.approvals[index].stand);
        self.model.approvals[index].told = true;
    }

    pub(super) async fn look(&mut self) {
        let Some((key, agent)) = self.agent().await else { return };
        let Some(index) = self.some_approval() else { return };
        let approval = self.model.approvals[index].clone();
        self.note(format_args!("key {key} looks at {}", approval.id));
        let answer = self.test.broker.await_approval(&agent, &approval.id).await;
        if approval.key != key {
            return self.refused(answer, Code::ApprovalNotFound);
        }
        if approval.stand == Stand::Pending && self.model.passed(approval.deadline) {
            self.model.settle(index, Stand::Expired);
        }
        let is = match answer.unwrap() {
            AwaitOutcome::Pending(_) => Stand::Pending,
            AwaitOutcome::Approved { leases, .. } => {
                for held in &leases {
                    let id = held.terms().id.to_string();
                    let lease = self.model.leases.iter().find(|lease| lease.id == id).cloned();
                    self.compare_lease(&lease.unwrap(), held);
                }
                Stand::Approved
            }
            AwaitOutcome::Settled(told) => {
                self.model.approvals[index].told = true;
                stand(told.status())
            }
        };
        self.same("stand", &is, &self.model.approvals[index].stand);
    }

    pub(super) async fn renew(&mut self) {
        let Some((key, agent)) = self.agent().await else { return };
        let Some(index) = self.some_lease() else { return };
        let lease = self.model.leases[index].clone();
        let wanted_s = self.dice.pick(&[None, None, Some(10), Some(1_000)]);
        self.note(format_args!("key {key} renews {} for {wanted_s:?}", lease.id));
        let duration = wanted_s.map(Duration::from_secs);
        let answer = self.test.broker.renew_lease(&agent, &lease.id, duration).await;
        if lease.key != key {
            return self.refused(answer, Code::LeaseNotFound);
        }
        let passed = self.model.passed(lease.deadline);
        let code = match lease.end {
            End::Active if !self.model.goes_on(&lease) => match answer {
                // It may have been taken for expired before.
                Err(refused) if passed && refused.code == Code::LeaseEnded => return,
                answer => return self.refused(answer, Code::PolicyRefused),
            },
            End::Active if !passed => None,
            End::Active | End::Expired | End::Revoked | End::Released | End::Exhausted => {
                Some(Code::LeaseEnded)
            }
        };
        if let Some(code) = code {
            return self.refused(answer, code);
        }
        let wanted = wanted_s.map_or(lease.renewal_ms, |s| s * 1_000);
        let reach = self.model.left_ms(lease.limit).min(wanted);
        if !lease.renewable || reach <= self.model.left_ms(lease.deadline) {
            return self.refused(answer, Code::LeaseAtLimit);
        }
        self.model.leases[index].deadline = self.model.after(reach);
        let lease = self.model.leases[index].clone();
        match answer {
            Ok(held) => self.compare_lease(&lease, &held),
            Err(refused) => self.wrong(format!("not renewed: {refused:?}")),
        }
    }

    pub(super) fn some_lease(&mut self) -> Option<usize> {
        let count = self.model.leases.len();
        let active: Vec<_> =
            (0..count).filter(|i| self.model.leases[*i].end == End::Active).collect();
        match (count, self.dice.one_in(5)) {
            (0, _) => None,
            (_, false) if !active.is_empty() => Some(self.dice.pick(&active)),
            _ => Some(self.dice.roll(count)),
        }
    }

    pub(super) async fn release(&mut self) {
        let Some((key, agent)) = self.agent().await else { return };
        let Some(index) = self.some_lease() else { return };
        let lease = self.model.leases[index].clone();
        self.note(format_args!("key {key} releases {}", lease.id));
        let answer = self.test.broker.release_lease(&agent, &lease.id).await;
        if lease.key != key {
            return self.refused(answer, Code::LeaseNotFound);
        }
        let passed = self.model.passed(lease.deadline);
        match answer {
            Ok(Held::Ended(ended)) if lease.end == End::Active => {
                let end = if passed { Ending::Expired } else { Ending::Released };
                self.same("ending", &ended.how, &end);
                self.model.leases[index].end = if passed { End::Expired } else { End::Released };
            }
            Err(refused) if refused.code == Code::LeaseEnded => {
                self.same("ended", &(lease.end != End::Active || passed), &true);
            }
            other => self.wrong(format!("releasing: {other:?}")),
        }
    }

    pub(super) async fn withdraw(&mut self) {
        let Some((key, agent)) = self.agent().await else { return };
        let Some(index) = self.some_approval() else { return };
        let approval = self.model.approvals[index].clone();
        self.note(format_args!("key {key} withdraws {}", approval.id));
        let answer = self.test.broker.withdraw_approval(&agent, &approval.id).await;
        if approval.key != key {
            return self.refused(answer, Code::ApprovalNotFound);
        }
        match approval.stand {
            Stand::Pending => {
                self.same("withdrawn", &answer.is_ok(), &true);
                self.model.settle(index, Stand::Withdrawn);
                self.model.approvals[index].told = true;
            }
            Stand::Expired => self.refused(answer, Code::ApprovalExpired),
            Stand::Approved | Stand::Denied | Stand::Withdrawn => {
                self.refused(answer, Code::ApprovalSettled);
            }
        }
    }
}
