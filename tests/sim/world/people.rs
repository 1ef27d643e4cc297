//! What people do, and what should come of it.

use std::collections::BTreeSet;

use vouchsafe_core::approval::Ballot;
use vouchsafe_core::secret::SecretBytes;
use vouchsafed::broker::{
    Code, PutSecret, PutValue, SecretSettings, UserChange, VoteCommand, Which,
};

use super::{PEOPLE, SECRETS, World, narrow, stand};
use crate::model::{Approval, End, Item, Lease, Narrowing, Secret, Stand, Tally, policies, toml};

/// Whether a revocation means a lease.
type Meant = Box<dyn Fn(&Lease) -> bool>;

impl World {
    pub(super) fn some_approval(&mut self) -> Option<usize> {
        let count = self.model.approvals.len();
        let pending: Vec<_> =
            (0..count).filter(|i| self.model.approvals[*i].stand == Stand::Pending).collect();
        match (count, self.dice.one_in(5)) {
            (0, _) => None,
            (_, false) if !pending.is_empty() => Some(self.dice.pick(&pending)),
            _ => Some(self.dice.roll(count)),
        }
    }

    pub(super) async fn vote(&mut self) {
        let Some(index) = self.some_approval() else { return };
        let name = self.dice.pick(&PEOPLE);
        let Some(user) = self.test.try_user(name).await else {
            return self.same("let in", &false, &self.model.people[name].enabled);
        };
        self.same("let in", &true, &self.model.people[name].enabled);
        let approval = self.model.approvals[index].clone();
        let denies = self.dice.one_in(6);
        let narrowing = self.narrowing(&approval);
        let stale = self.dice.one_in(15);
        self.note(format_args!(
            "{name} votes on {} (denies: {denies}, stale: {stale}) {narrowing:?}",
            approval.id
        ));
        let view = self.test.broker.show_approval(&user, &approval.id).await.unwrap();
        let digest = if stale { "0".repeat(64) } else { view.approval.ask().digest().to_string() };
        let ballot = if denies { Ballot::Deny } else { Ballot::Approve(narrow(&narrowing)) };
        let command = VoteCommand {
            id: approval.id.clone(),
            ballot,
            reason: "as I say".to_owned(),
            digest,
            rendering: None,
        };
        let answer = self.test.broker.vote(&user, command).await;
        if let Some(code) = self.bar(index, name, denies, stale, &narrowing) {
            return self.refused(answer.map(|_| ()), code);
        }
        if denies {
            self.same("denied", &answer.is_ok(), &true);
            self.count("approval.voted");
            self.model.approvals[index].votes.push((name, Narrowing::default()));
            return self.model.settle(index, Stand::Denied);
        }
        let mut votes = approval.votes.clone();
        votes.push((name, narrowing));
        let items = &approval.items;
        match self.model.tally(approval.key, items, approval.requested_s, &votes) {
            Tally::NothingInCommon => self.refused(answer.map(|_| ()), Code::NotNarrower),
            Tally::StillPending => {
                let is = answer.map(|(view, _)| stand(view.approval.status()));
                self.same("stand", &is.ok(), &Some(Stand::Pending));
                self.count("approval.voted");
                self.model.approvals[index].votes = votes;
            }
            Tally::Granted(granted) => {
                let leases = match answer {
                    Ok((_, leases)) => leases,
                    Err(refused) => self.wrong(format!("the deciding vote: {refused:?}")),
                };
                self.count("approval.voted");
                self.same("leases", &leases.len(), &granted.len());
                self.model.approvals[index].votes = votes;
                self.model.settle(index, Stand::Approved);
                for ((item, limits), held) in granted.iter().zip(&leases) {
                    let id = held.terms().id.to_string();
                    let lease = self.model.lease(id, approval.key, item, *limits);
                    self.compare_lease(&lease, held);
                    self.model.leases.push(lease);
                    self.count("lease.issued");
                }
            }
        }
    }

    /// Why a vote should be refused.
    pub(super) fn bar(
        &mut self,
        index: usize,
        name: &'static str,
        denies: bool,
        stale: bool,
        narrowing: &Narrowing,
    ) -> Option<Code> {
        let approval = self.model.approvals[index].clone();
        match approval.stand {
            Stand::Pending => {}
            Stand::Expired => return Some(Code::ApprovalExpired),
            Stand::Approved | Stand::Denied | Stand::Withdrawn => {
                return Some(Code::ApprovalSettled);
            }
        }
        if self.model.passed(approval.deadline) {
            self.model.settle(index, Stand::Expired);
            return Some(Code::ApprovalExpired);
        }
        if stale {
            return Some(Code::StaleDigest);
        }
        if approval.votes.iter().any(|(voter, _)| *voter == name) {
            return Some(Code::AlreadyVoted);
        }
        let counts = |item: &Item| self.model.counts(approval.key, &item.rule, name);
        if !approval.items.iter().any(counts) {
            let named = self.model.is_named(name);
            let own = self.model.keys[approval.key].owner == name;
            return match (named, own) {
                (true, _) if denies => None,
                (true, _) | (_, true) => Some(Code::OwnRequest),
                (false, false) => Some(Code::NotAnApprover),
            };
        }
        if denies {
            return None;
        }
        let limits = approval.items.iter().map(|item| item.rule.limits(approval.requested_s));
        let longest = limits.clone().map(|limits| limits.duration_s).max().unwrap();
        let too_long = narrowing.duration_s.is_some_and(|duration| duration > longest);
        let unlimited = limits.clone().any(|limits| limits.uses.is_none());
        let most = limits.filter_map(|limits| limits.uses).max().unwrap_or(0);
        let too_many = !unlimited && narrowing.uses.is_some_and(|uses| uses > most);
        let not_theirs =
            approval.items.iter().any(|item| narrowing.only.contains(item.secret) && !counts(item));
        (too_long || too_many || not_theirs).then_some(Code::NotNarrower)
    }

    pub(super) fn narrowing(&mut self, approval: &Approval) -> Narrowing {
        let only = if self.dice.one_in(4) {
            let items = approval.items.iter().map(|item| item.secret);
            items.filter(|_| self.dice.one_in(2)).collect()
        } else {
            BTreeSet::new()
        };
        Narrowing {
            duration_s: self.dice.pick(&[None, None, None, Some(3), Some(20), Some(45)]),
            uses: self.dice.pick(&[None, None, None, Some(1), Some(2), Some(4)]),
            once: self.dice.one_in(8),
            only,
        }
    }

    pub(super) async fn revoke(&mut self) {
        let admin = self.admin().await;
        let count = self.model.leases.len();
        let (which, meant): (_, Meant) = match self.dice.roll(6) {
            0 => (Which::All, Box::new(|_| true)),
            1 => {
                let key = self.dice.roll(3);
                (Which::Key(format!("key-{key}")), Box::new(move |lease| lease.key == key))
            }
            2 => {
                let pattern = "vouchsafe://secrets/prod/*".parse().unwrap();
                (Which::Resource(pattern), Box::new(|lease| lease.secret.starts_with("prod/")))
            }
            _ if count == 0 => return,
            _ => {
                let id = self.model.leases[self.dice.roll(count)].id.clone();
                (Which::Id(id.clone()), Box::new(move |lease| lease.id == id))
            }
        };
        self.note(format_args!("revokes {which:?}"));
        let is_one = matches!(which, Which::Id(_));
        let answer = self.test.broker.revoke_leases(&admin, None, which, "enough".to_owned()).await;
        let active: BTreeSet<_> = self
            .model
            .leases
            .iter()
            .filter(|lease| meant(lease) && lease.end == End::Active)
            .map(|lease| lease.id.clone())
            .collect();
        let revoked = match answer {
            Ok(revoked) => revoked,
            Err(refused) if is_one && refused.code == Code::LeaseEnded => {
                return self.gone(&active, &[]);
            }
            Err(refused) => self.wrong(format!("revoking: {refused:?}")),
        };
        let revoked: Vec<_> =
            revoked.leases.iter().map(|held| held.terms().id.to_string()).collect();
        self.gone(&active, &revoked);
    }

    /// Of the leases that should have ended by a revocation, those not named had expired.
    pub(super) fn gone(&mut self, active: &BTreeSet<String>, revoked: &[String]) {
        if let Some(stray) = revoked.iter().find(|id| !active.contains(*id)) {
            self.wrong(format!("{stray} was revoked and should not have been"));
        }
        for index in 0..self.model.leases.len() {
            let lease = &self.model.leases[index];
            if !active.contains(&lease.id) {
                continue;
            }
            let passed = self.model.passed(lease.deadline);
            if !revoked.contains(&lease.id) && !passed {
                self.wrong(format!("{} was not revoked", lease.id));
            }
            self.model.leases[index].end =
                if revoked.contains(&lease.id) { End::Revoked } else { End::Expired };
        }
    }

    pub(super) async fn put(&mut self, path: &'static str) {
        self.note(format_args!("puts {path}"));
        let state = self.model.secrets.get_mut(path).unwrap();
        if !state.exists {
            *state = Secret { making: state.making + 1, version: 0, exists: true };
        }
        state.version += 1;
        let (making, version) = (state.making, state.version);
        let value = format!("canary {path} {making} {version}").into_bytes();
        let put = PutSecret {
            project: None,
            path: path.to_owned(),
            value: PutValue::Given(SecretBytes::value(value).unwrap()),
            settings: SecretSettings::default(),
            expected_version: None,
        };
        let admin = self.admin().await;
        let record = self.test.broker.put_secret(&admin, put).await.unwrap();
        self.same("version", &record.secret.version, &version);
    }

    pub(super) async fn delete(&mut self) {
        let path = self.dice.pick(&SECRETS);
        self.note(format_args!("deletes {path}"));
        let admin = self.admin().await;
        let reason = "old".to_owned();
        let answer = self.test.broker.delete_secret(&admin, None, path, reason).await;
        let state = self.model.secrets.get_mut(path).unwrap();
        if !state.exists {
            return self.refused(answer, Code::SecretNotFound);
        }
        state.exists = false;
        let making = state.making;
        let (mono, wall) = (self.model.mono, self.model.wall());
        self.same("deleted", &answer.is_ok(), &true);
        for lease in &mut self.model.leases {
            if lease.end == End::Active && lease.secret == path && lease.making == making {
                // One whose time was up may have been found expired before.
                lease.unsure = lease.deadline.mono <= mono || lease.deadline.wall <= wall;
                lease.end = End::Revoked;
            }
        }
        for index in 0..self.model.approvals.len() {
            let approval = &self.model.approvals[index];
            let about = |item: &Item| item.secret == path && item.making == making;
            if approval.stand == Stand::Pending && approval.items.iter().any(about) {
                self.model.settle(index, Stand::Expired);
            }
        }
    }

    pub(super) async fn change_key(&mut self) {
        let index = self.dice.roll(3);
        let admin = self.admin().await;
        let name = format!("key-{index}");
        let broker = &self.test.broker;
        let key = &mut self.model.keys[index];
        let done = match (key.enabled, self.dice.one_in(2)) {
            (true, true) => {
                key.enabled = false;
                broker.disable_key(&admin, None, &name, "so".to_owned()).await.unwrap();
                "disables"
            }
            (false, _) => {
                key.enabled = true;
                broker.enable_key(&admin, None, &name).await.unwrap();
                "enables"
            }
            (true, false) => {
                let (_, value) = broker.regenerate_key(&admin, None, &name).await.unwrap();
                let value = value.expose().to_string();
                key.old_value = Some(std::mem::replace(&mut key.value, value));
                "regenerates"
            }
        };
        self.note(format_args!("{done} {name}"));
    }

    pub(super) async fn change_person(&mut self) {
        let name = self.dice.pick(&PEOPLE);
        let admin = self.admin().await;
        let person = self.model.people.get_mut(name).unwrap();
        if self.dice.one_in(2) {
            person.on_call = !person.on_call;
            let groups = if person.on_call { vec!["oncall".to_owned()] } else { Vec::new() };
            let change = UserChange { groups: Some(groups), ..UserChange::default() };
            self.test.broker.update_user(&admin, name, change).await.unwrap();
        } else if person.enabled {
            person.enabled = false;
            self.test.broker.disable_user(&admin, name, "away".to_owned()).await.unwrap();
        } else {
            person.enabled = true;
            self.test.broker.enable_user(&admin, name).await.unwrap();
            self.test.issue_token(name).await;
        }
        let person = self.model.people[name].clone();
        self.note(format_args!("{name} is now {person:?}"));
    }

    pub(super) async fn reload(&mut self) {
        let all = policies();
        let index = self.dice.roll(all.len());
        let next = all[index].clone();
        self.note(format_args!("loads rules {index}"));
        self.test.write_policies(&toml(&next));
        let answer = self.test.broker.reload(None).await.unwrap();
        let possible = self.model.is_possible(&next);
        self.same("in force", &answer.problems.is_empty(), &possible);
        if !possible {
            return;
        }
        self.model.policy = next;
        for index in 0..self.model.approvals.len() {
            let approval = &self.model.approvals[index];
            let stays =
                |item: &Item| self.model.rule(item.secret).is_some_and(|rule| *rule == item.rule);
            if approval.stand == Stand::Pending && !approval.items.iter().all(stays) {
                self.model.settle(index, Stand::Expired);
            }
        }
    }
}
