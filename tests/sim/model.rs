//! What should happen, written down a second time and as plainly as possible: no code of the core
//! is used, so that a mistake in the one shows against the other.

use std::collections::{BTreeMap, BTreeSet};

/// One rule, for all secrets below one folder.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Rule {
    pub(crate) folder: &'static str,
    /// How many of the group on call, and whether a key's owner counts; nobody is asked otherwise.
    pub(crate) people: Option<(usize, bool)>,
    pub(crate) default_s: u64,
    pub(crate) max_s: u64,
    pub(crate) uses: Option<u32>,
    pub(crate) follow: bool,
    pub(crate) pending_s: u64,
}

/// A moment by both clocks, in milliseconds.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct At {
    pub(crate) wall: i64,
    pub(crate) mono: u64,
}

#[derive(Clone, Debug)]
pub(crate) struct Person {
    pub(crate) enabled: bool,
    pub(crate) on_call: bool,
}

#[derive(Clone, Debug)]
pub(crate) struct Key {
    pub(crate) owner: &'static str,
    pub(crate) reveal: bool,
    pub(crate) enabled: bool,
    pub(crate) value: String,
    pub(crate) old_value: Option<String>,
}

#[derive(Clone, Debug, Default)]
pub(crate) struct Secret {
    /// How often it was made; its leases are bound to that.
    pub(crate) making: u32,
    pub(crate) version: u64,
    pub(crate) exists: bool,
}

#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Item {
    pub(crate) secret: &'static str,
    pub(crate) making: u32,
    pub(crate) version: u64,
    pub(crate) rule: Rule,
}

#[derive(Clone, Debug, Default)]
pub(crate) struct Narrowing {
    pub(crate) duration_s: Option<u64>,
    pub(crate) uses: Option<u32>,
    pub(crate) once: bool,
    pub(crate) only: BTreeSet<&'static str>,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Stand {
    Pending,
    Approved,
    Denied,
    Expired,
    Withdrawn,
}

#[derive(Clone, Debug)]
pub(crate) struct Approval {
    pub(crate) id: String,
    pub(crate) key: usize,
    pub(crate) items: Vec<Item>,
    pub(crate) requested_s: Option<u64>,
    pub(crate) deadline: At,
    pub(crate) stand: Stand,
    pub(crate) votes: Vec<(&'static str, Narrowing)>,
    pub(crate) settled_wall: i64,
    pub(crate) told: bool,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum End {
    Active,
    Expired,
    Revoked,
    Released,
    Exhausted,
}

#[derive(Clone, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "a model is told by what is so and what is not")]
pub(crate) struct Lease {
    pub(crate) id: String,
    pub(crate) key: usize,
    pub(crate) secret: &'static str,
    pub(crate) making: u32,
    pub(crate) version: u64,
    pub(crate) follow: bool,
    pub(crate) deadline: At,
    pub(crate) limit: At,
    pub(crate) uses_left: Option<u32>,
    pub(crate) used: u32,
    pub(crate) uses_max: Option<u32>,
    pub(crate) renewal_ms: u64,
    pub(crate) renewable: bool,
    /// Nobody was asked for it: it is good for as long as nobody has to be.
    pub(crate) free: bool,
    pub(crate) end: End,
    /// It may have ended in another way just before.
    pub(crate) unsure: bool,
}

/// The limits of a lease before it begins.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    pub(crate) duration_s: u64,
    pub(crate) max_s: u64,
    pub(crate) uses: Option<u32>,
    pub(crate) once: bool,
}

/// What an approving vote comes to.
#[derive(Debug)]
pub(crate) enum Tally {
    StillPending,
    Granted(Vec<(Item, Limits)>),
    NothingInCommon,
}

/// The whole world.
#[derive(Clone, Debug)]
pub(crate) struct Model {
    /// What the wall clock says, what it has said at most in the log, and time since boot.
    pub(crate) raw_wall: i64,
    pub(crate) log_wall: i64,
    pub(crate) mono: u64,
    pub(crate) people: BTreeMap<&'static str, Person>,
    pub(crate) keys: Vec<Key>,
    pub(crate) secrets: BTreeMap<&'static str, Secret>,
    pub(crate) policy: Vec<Rule>,
    pub(crate) approvals: Vec<Approval>,
    pub(crate) leases: Vec<Lease>,
}

const HOUR_MS: i64 = 3_600_000;

impl Rule {
    pub(crate) fn limits(&self, requested_s: Option<u64>) -> Limits {
        Limits {
            duration_s: requested_s.unwrap_or(self.default_s).min(self.max_s),
            max_s: self.max_s,
            uses: self.uses,
            once: false,
        }
    }
}

impl Limits {
    fn narrowed(mut self, by: &Narrowing) -> Self {
        if let Some(duration) = by.duration_s {
            self.duration_s = self.duration_s.min(duration);
            self.max_s = self.max_s.min(self.duration_s);
        }
        self.uses = match (self.uses, by.uses) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        };
        if by.once || self.once {
            self.once = true;
            self.uses = Some(1);
        }
        self
    }
}

impl Model {
    /// The wall time that commands go by: never before the log's.
    pub(crate) fn wall(&self) -> i64 {
        self.raw_wall.max(self.log_wall)
    }

    pub(crate) fn after(&self, ms: u64) -> At {
        At { wall: self.wall() + i64::try_from(ms).unwrap(), mono: self.mono + ms }
    }

    pub(crate) fn passed(&self, at: At) -> bool {
        self.wall() >= at.wall || self.mono >= at.mono
    }

    pub(crate) fn left_ms(&self, at: At) -> u64 {
        let wall = u64::try_from(at.wall - self.wall()).unwrap_or(0);
        wall.min(at.mono.saturating_sub(self.mono))
    }

    pub(crate) fn rule(&self, secret: &str) -> Option<&Rule> {
        let folder = secret.split_once('/').unwrap().0;
        self.policy.iter().find(|rule| rule.folder == folder)
    }

    /// Whether these rules can be put in force with the people there are.
    pub(crate) fn is_possible(&self, policy: &[Rule]) -> bool {
        let able = self.people.values().filter(|p| p.enabled && p.on_call).count();
        policy.iter().filter_map(|rule| rule.people).all(|(quorum, _)| able >= quorum.max(1))
    }

    pub(crate) fn item(&self, secret: &'static str) -> Option<Item> {
        let rule = self.rule(secret)?.clone();
        let state = self.secrets.get(secret).filter(|s| s.exists)?;
        Some(Item { secret, making: state.making, version: state.version, rule })
    }

    /// The leases that would release this to this key now.
    pub(crate) fn usable(&self, key: usize, secret: &str) -> Vec<usize> {
        let Some(state) = self.secrets.get(secret).filter(|s| s.exists) else { return Vec::new() };
        let fits = |lease: &Lease| {
            lease.end == End::Active
                && lease.key == key
                && lease.secret == secret
                && lease.making == state.making
                && (lease.follow || lease.version == state.version)
                && !self.passed(lease.deadline)
                && lease.uses_left != Some(0)
                && self.goes_on(lease)
        };
        let all = self.leases.iter().enumerate();
        all.filter(|(_, lease)| fits(lease)).map(|(index, _)| index).collect()
    }

    /// Whether the rules still give what it is for, in the way in which they gave it.
    pub(crate) fn goes_on(&self, lease: &Lease) -> bool {
        self.rule(lease.secret).is_some_and(|rule| !lease.free || rule.people.is_none())
    }

    /// A lease that nobody was asked for.
    pub(crate) fn free_lease(&self, id: String, key: usize, item: &Item, limits: Limits) -> Lease {
        Lease { free: true, ..self.lease(id, key, item, limits) }
    }

    /// The pending approval that an equal ask joins.
    pub(crate) fn joinable(&self, key: usize, items: &[Item]) -> Option<usize> {
        self.approvals
            .iter()
            .position(|a| a.stand == Stand::Pending && a.key == key && a.items == items)
    }

    /// The approvals of which an equal ask is told that they were not granted: one of the newest.
    pub(crate) fn untold(&self, key: usize, items: &[Item]) -> Vec<usize> {
        let open = |a: &Approval| {
            matches!(a.stand, Stand::Denied | Stand::Expired | Stand::Withdrawn)
                && !a.told
                && a.key == key
                && a.items == items
                && a.settled_wall >= self.wall() - HOUR_MS
        };
        let newest = self.approvals.iter().filter(|a| open(a)).map(|a| a.settled_wall).max();
        let all = self.approvals.iter().enumerate();
        all.filter(|(_, a)| open(a) && Some(a.settled_wall) == newest).map(|(i, _)| i).collect()
    }

    /// Whether this person's yes counts for a rule, for asks of this key.
    pub(crate) fn counts(&self, key: usize, rule: &Rule, name: &str) -> bool {
        let Some((_, self_approval)) = rule.people else { return false };
        self.is_named(name) && (self_approval || self.keys[key].owner != name)
    }

    pub(crate) fn is_named(&self, name: &str) -> bool {
        self.people.get(name).is_some_and(|p| p.enabled && p.on_call)
    }

    /// What comes of all votes, the new one among them.
    pub(crate) fn tally(
        &self,
        key: usize,
        items: &[Item],
        requested_s: Option<u64>,
        votes: &[(&'static str, Narrowing)],
    ) -> Tally {
        let (mut granted, mut open) = (Vec::new(), false);
        for item in items {
            let having_a_say =
                || votes.iter().filter(|(name, _)| self.counts(key, &item.rule, name));
            let left_out = |n: &Narrowing| !n.only.is_empty() && !n.only.contains(item.secret);
            if having_a_say().any(|(_, n)| left_out(n)) {
                continue;
            }
            let quorum = item.rule.people.unwrap().0;
            if having_a_say().count() < quorum {
                open = true;
                continue;
            }
            let limits = item.rule.limits(requested_s);
            let limits = having_a_say().fold(limits, |limits, (_, n)| limits.narrowed(n));
            granted.push((item.clone(), limits));
        }
        match (open, granted.is_empty()) {
            (true, _) => Tally::StillPending,
            (false, true) => Tally::NothingInCommon,
            (false, false) => Tally::Granted(granted),
        }
    }

    /// A lease that begins now.
    pub(crate) fn lease(&self, id: String, key: usize, item: &Item, limits: Limits) -> Lease {
        Lease {
            id,
            key,
            secret: item.secret,
            making: item.making,
            version: item.version,
            follow: item.rule.follow,
            deadline: self.after(limits.duration_s * 1_000),
            limit: self.after(limits.max_s * 1_000),
            uses_left: limits.uses,
            used: 0,
            uses_max: limits.uses,
            renewal_ms: limits.duration_s * 1_000,
            renewable: !limits.once,
            free: false,
            end: End::Active,
            unsure: false,
        }
    }

    pub(crate) fn settle(&mut self, approval: usize, stand: Stand) {
        let wall = self.wall();
        let approval = &mut self.approvals[approval];
        assert_eq!(approval.stand, Stand::Pending, "{} settles twice", approval.id);
        approval.stand = stand;
        approval.settled_wall = wall;
    }
}

/// The rules in as many versions as reloads choose from.
pub(crate) fn policies() -> Vec<Vec<Rule>> {
    let rule = |folder, people, default_s, max_s, uses| Rule {
        folder,
        people,
        default_s,
        max_s,
        uses,
        follow: folder == "follow",
        pending_s: 120,
    };
    let base = vec![
        rule("prod", Some((1, false)), 60, 180, Some(3)),
        rule("vault", Some((2, false)), 40, 400, None),
        rule("open", None, 30, 60, Some(2)),
        rule("follow", Some((1, true)), 50, 100, Some(5)),
    ];
    let mut tighter = base.clone();
    tighter[0] = rule("prod", Some((2, false)), 30, 60, Some(2));
    tighter.remove(2);
    let mut looser = base.clone();
    looser[1] = rule("vault", Some((1, true)), 40, 400, Some(4));
    looser[2] = rule("open", Some((1, false)), 30, 60, None);
    let without = base[1..3].to_vec();
    vec![base, tighter, looser, without]
}

pub(crate) fn toml(policy: &[Rule]) -> String {
    policy.iter().map(rule_toml).collect::<Vec<_>>().concat()
}

fn rule_toml(rule: &Rule) -> String {
    let Rule { folder, people, default_s, max_s, uses, follow, pending_s } = rule;
    let uses = uses.map(|uses| format!(", uses = {uses}")).unwrap_or_default();
    let asks = match people {
        None => "approval = \"none\"".to_owned(),
        Some((quorum, own)) => format!(
            "approvers = [\"group:oncall\"]\nquorum = {quorum}\nself_approval = {own}\n\
             pending_for = \"{pending_s}s\""
        ),
    };
    format!(
        "[[rule]]\nname = \"{folder}\"\nresource = \"vouchsafe://secrets/{folder}/*\"\n\
         operations = [\"list\", \"read\"]\nfollow_rotation = {follow}\n\
         lease = {{ default = \"{default_s}s\", max = \"{max_s}s\"{uses} }}\n{asks}\n"
    )
}
