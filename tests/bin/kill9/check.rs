//! Whether all that was acknowledged is there, and nothing that must not be.

use std::collections::BTreeMap;
use std::fs;

use serde_json::Value;
use vouchsafe_core::audit::verify_export;
use vouchsafe_proto::v1::applied::Outcome;
use vouchsafe_proto::v1::{
    ApprovalStatus, LeaseStatus, ListSecretVersionsRequest, ShowLeaseRequest,
};
use vouchsafe_tests::process::{RealDaemon, User};

use super::journal::{Event, Journal};

/// As the rule has it.
const USES_MAX: u32 = 20;
const TERMINAL: [&str; 4] =
    ["approval.approved", "approval.denied", "approval.expired", "approval.withdrawn"];

/// Checks after each kill, and remembers what it saw.
#[derive(Debug, Default)]
pub(super) struct Oracle {
    /// The log as it was last exported.
    log: Vec<String>,
    /// Leases that were seen to have ended, and how.
    ended: BTreeMap<String, i32>,
    events: usize,
}

/// What the log says, counted.
#[derive(Debug, Default)]
struct Counted {
    /// By action and approval, or action and lease.
    about: BTreeMap<(String, String), usize>,
    /// By path and version.
    puts: BTreeMap<(String, u64), usize>,
}

impl Oracle {
    pub(super) async fn check(&mut self, daemon: &RealDaemon, journal: &Journal, cycle: u64) {
        let events = journal.events();
        self.check_log(daemon, cycle).await;
        let counted = count(&self.log);
        check_entries(&events, &counted);
        check_reads(&events);
        self.check_state(daemon, &events).await;
        self.events = events.len();
    }

    /// The log, as it was after the last kill.
    pub(super) fn log(&self) -> &[String] {
        &self.log
    }

    pub(super) fn summary(&self) {
        println!("{} acknowledged, {} entries in the log", self.events, self.log.len());
        assert!(self.events > 50, "next to nothing was acknowledged");
    }

    /// The log is whole, and begins with what it was the last time.
    async fn check_log(&mut self, daemon: &RealDaemon, cycle: u64) {
        let file = daemon.beside(&format!("export-{cycle}"));
        daemon.vouchsafe(["audit", "export", "--out", file.to_str().unwrap()]).await.ok();
        let text = fs::read_to_string(&file).unwrap();
        let note = fs::read(file.with_extension("checkpoint")).unwrap();
        let key = daemon.read("audit.pub").trim().parse().unwrap();
        let lines = text.lines().map(|line| Ok(line.as_bytes().to_vec()));
        let verified = verify_export(lines, &note, &key).unwrap();
        let log: Vec<String> = text.lines().map(str::to_owned).collect();
        assert_eq!(usize::try_from(verified.size).unwrap(), log.len());
        assert!(log.starts_with(&self.log), "the log lost or changed what it held");
        self.log = log;
    }

    async fn check_state(&mut self, daemon: &RealDaemon, events: &[Event]) {
        let user = User::new(&daemon.path(), &daemon.admin_token());
        let mut reads: BTreeMap<&str, u32> = BTreeMap::new();
        for event in events {
            match event {
                Event::Put { path, version, .. } => check_version(&user, path, *version).await,
                Event::Asked { id, digest, .. } => {
                    assert_eq!(user.show(id).await.unwrap().short_digest, *digest, "{event:?}");
                }
                Event::Proposed { id, digest, path, .. } => {
                    check_proposed(&user, id, digest, path).await;
                }
                Event::Voted { id, approve, leases } => {
                    check_settled(&user, id, *approve).await;
                    for lease in leases {
                        reads.entry(lease).or_default();
                    }
                }
                Event::Seen { id, approved } => check_settled(&user, id, *approved).await,
                Event::Read { lease, .. } => *reads.entry(lease).or_default() += 1,
                Event::Revoked { lease } => {
                    let status = show(&user, lease).await.status();
                    // It may have been used up before.
                    let ended = [LeaseStatus::Revoked, LeaseStatus::Exhausted];
                    assert!(ended.contains(&status), "{lease}, revoked, is {status:?}");
                }
            }
        }
        for (id, acknowledged) in reads {
            let lease = show(&user, id).await;
            assert!(lease.used >= acknowledged, "{lease:?} forgot uses: {acknowledged}");
            assert!(lease.used <= USES_MAX, "{lease:?}");
            assert_eq!(lease.used + lease.uses_left, USES_MAX, "{lease:?}");
            if lease.status() != LeaseStatus::Active {
                let before = self.ended.entry(id.to_owned()).or_insert(lease.status);
                assert_eq!(*before, lease.status, "{lease:?} ended twice");
            }
            let revived = self.ended.contains_key(id) && lease.status() == LeaseStatus::Active;
            assert!(!revived, "{lease:?} was revived");
        }
    }
}

async fn check_version(user: &User, path: &str, version: u64) {
    let request =
        ListSecretVersionsRequest { path: path.to_owned(), ..ListSecretVersionsRequest::default() };
    let versions = user.secrets().list_secret_versions(request).await.unwrap().into_inner();
    let there = versions.versions.iter().any(|kept| kept.version == version);
    assert!(there, "version {version} of {path} is lost: {versions:?}");
}

async fn check_settled(user: &User, id: &str, approved: bool) {
    let shown = user.show(id).await.unwrap();
    let status = if approved { ApprovalStatus::Approved } else { ApprovalStatus::Denied };
    assert_eq!(shown.status(), status, "{shown:?}");
    let leased = approved && shown.change.is_none();
    assert_eq!(shown.lease_ids.len(), usize::from(leased), "{shown:?}");
}

/// A proposed value is in its place if its ask is approved, and only then: whether or not anybody
/// was told that it is.
async fn check_proposed(user: &User, id: &str, digest: &str, path: &str) {
    let shown = user.show(id).await.unwrap();
    assert_eq!(shown.short_digest, digest, "{shown:?}");
    let request =
        ListSecretVersionsRequest { path: path.to_owned(), ..ListSecretVersionsRequest::default() };
    let versions = user.secrets().list_secret_versions(request).await;
    match (shown.status(), &shown.applied) {
        (ApprovalStatus::Approved, Some(applied)) => {
            assert_eq!((applied.outcome(), applied.version), (Outcome::Written, 1), "{shown:?}");
            let versions = versions.unwrap().into_inner().versions;
            let kept: Vec<_> = versions.iter().map(|v| v.approval_id.as_str()).collect();
            assert_eq!(kept, [id], "{versions:?}");
        }
        (ApprovalStatus::Approved, None) => panic!("approved and not applied: {shown:?}"),
        _ => {
            assert!(versions.is_err() && shown.applied.is_none(), "{shown:?}: {versions:?}");
        }
    }
}

async fn show(user: &User, lease: &str) -> vouchsafe_proto::v1::Lease {
    let request = ShowLeaseRequest { id: lease.to_owned() };
    user.leases().show_lease(request).await.unwrap().into_inner()
}

/// Counts the log, and checks what must hold of all of it, acknowledged or not.
fn count(log: &[String]) -> Counted {
    let mut counted = Counted::default();
    let mut ended: BTreeMap<String, String> = BTreeMap::new();
    for line in log {
        let entry: Value = serde_json::from_str(line).unwrap();
        let text = |name: &str| entry.get(name).and_then(Value::as_str).unwrap_or_default();
        if text("outcome") != "ok" {
            continue;
        }
        let action = text("action").to_owned();
        let (approval, lease) = (text("approval").to_owned(), text("lease").to_owned());
        if action == "secret.put" {
            let path = entry.pointer("/resources/0").and_then(Value::as_str).unwrap().to_owned();
            let version = entry.pointer("/details/version").and_then(Value::as_u64).unwrap();
            *counted.puts.entry((path, version)).or_default() += 1;
        }
        if action == "secret.read" {
            assert!(!ended.contains_key(&lease), "{line} is under a lease that ended");
        }
        if matches!(action.as_str(), "lease.revoked" | "lease.exhausted" | "lease.expired") {
            let before = ended.insert(lease.clone(), action.clone());
            assert_eq!(before, None, "{line} ends what had ended");
        }
        if TERMINAL.contains(&action.as_str()) {
            let settled = counted.about.entry(("settled".to_owned(), approval.clone()));
            let settled = settled.or_default();
            *settled += 1;
            assert_eq!(*settled, 1, "{line} settles what was settled");
        }
        for about in [approval, lease] {
            *counted.about.entry((action.clone(), about)).or_default() += 1;
        }
    }
    counted
}

/// Everything acknowledged has its entry, and but one.
fn check_entries(events: &[Event], counted: &Counted) {
    let times = |action: &str, about: &str| {
        counted.about.get(&(action.to_owned(), about.to_owned())).copied().unwrap_or(0)
    };
    let mut reads: BTreeMap<&str, usize> = BTreeMap::new();
    for event in events {
        match event {
            Event::Put { path, version, .. } => {
                let uri = format!("vouchsafe://secrets/{path}");
                assert_eq!(counted.puts.get(&(uri, *version)), Some(&1), "{event:?}");
            }
            Event::Asked { id, .. } => assert_eq!(times("approval.requested", id), 1, "{event:?}"),
            Event::Proposed { id, .. } => {
                assert_eq!(times("approval.requested", id), 1, "{event:?}");
                assert_eq!(
                    times("secret.written", id),
                    times("approval.approved", id),
                    "{event:?}"
                );
            }
            Event::Voted { id, approve, leases } => {
                let action = if *approve { "approval.approved" } else { "approval.denied" };
                assert_eq!(times(action, id), 1, "{event:?}");
                assert_eq!(times("approval.voted", id), 1, "{event:?}");
                for lease in leases {
                    assert_eq!(times("lease.issued", lease), 1, "{event:?}");
                }
            }
            Event::Seen { id, .. } => assert_eq!(times("settled", id), 1, "{event:?}"),
            Event::Read { lease, .. } => *reads.entry(lease).or_default() += 1,
            Event::Revoked { lease } => {
                let ends = times("lease.revoked", lease) + times("lease.exhausted", lease);
                assert_eq!(ends, 1, "{event:?}");
            }
        }
    }
    for (lease, acknowledged) in reads {
        let entries = times("secret.read", lease);
        assert!(entries >= acknowledged, "{lease}: {acknowledged} reads, {entries} entries");
        assert!(entries <= usize::try_from(USES_MAX).unwrap(), "{lease}: {entries} reads");
    }
}

/// Nothing was read that was not put, and nothing under a lease after its revocation was
/// acknowledged.
fn check_reads(events: &[Event]) {
    let mut values = BTreeMap::new();
    let mut revoked = BTreeMap::new();
    for (index, event) in events.iter().enumerate() {
        match event {
            Event::Put { path, version, value } => {
                values.insert((path.clone(), *version), value.clone());
            }
            Event::Proposed { path, value, .. } => {
                values.insert((path.clone(), 1), value.clone());
            }
            Event::Revoked { lease } => {
                revoked.entry(lease.clone()).or_insert(index);
            }
            Event::Asked { .. } | Event::Voted { .. } | Event::Seen { .. } | Event::Read { .. } => {
            }
        }
    }
    for event in events {
        if let Event::Read { lease, path, version, value, begun } = event {
            // A second version may have been put and its acknowledgement lost.
            if let Some(put) = values.get(&(path.clone(), *version)) {
                assert_eq!(value, put, "{event:?}");
            }
            if let Some(at) = revoked.get(lease) {
                assert!(begun <= at, "{event:?} was begun after its revocation");
            }
        }
    }
}
