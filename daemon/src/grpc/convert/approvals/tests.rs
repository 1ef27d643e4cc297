use std::time::Duration;

use vouchsafe_core::approval::{Expired, ExpiryCause, History, Pending, Withdrawn};
use vouchsafe_core::caller::Claims;
use vouchsafe_core::id::{ApprovalId, KeyId, LeaseId, ProjectId, UserId};
use vouchsafe_core::policy::{ApproverRef, Asks, Bind, LeaseTerms, Mode, Quorum, Rule};
use vouchsafe_core::resource::{Operation, Operations};
use vouchsafe_core::time::{BootId, Now, UnixTime};

use super::*;

/// Right-to-left override: what follows is shown backwards.
const RLO: char = '\u{202e}';

fn ask() -> Ask {
    let now = Now { wall: UnixTime::from_ms(1_123), since_boot_ms: 0, boot: BootId::new("a") };
    Ask {
        id: ApprovalId::from_random([1; 10]),
        project: ProjectId::from_random([2; 10]),
        project_name: "default".to_owned(),
        asker: Asker {
            key: Some(KeyId::from_random([3; 10])),
            key_name: "claude-desktop".to_owned(),
            owner: Some(UserId::from_random([4; 10])),
            owner_name: "jane".to_owned(),
            claims: Claims {
                client: Some(format!("Claude{RLO}")),
                transport: Transport::Stdio,
                host: Some("laptop\n".to_owned()),
                os_user: None,
                address: None,
            },
        },
        operation: Operation::Read,
        items: vec![item_of("production/DATABASE_URL")],
        arguments: format!(r#"{{"note":"a{RLO}b"}}"#),
        change: None,
        reason: Some(Reason::parse(&format!("deploy{RLO}")).unwrap()),
        reason_kind: None,
        requested: Some(Duration::from_millis(1_500)),
        asked_at: now.wall,
        deadline: now.deadline(Duration::from_hours(1)),
        rule_set: "00".to_owned(),
        history: History { had_before: true, asks_today: 3 },
    }
}

fn item_of(path: &str) -> Item {
    Item {
        resource: format!("vouchsafe://secrets/{path}").parse().unwrap(),
        secret: None,
        version: 4,
        description: format!("the database{RLO}"),
        rule: Rule {
            name: "Production secrets".parse().unwrap(),
            resource: "vouchsafe://secrets/production/*".parse().unwrap(),
            operations: Operations::of(&[Operation::Read]),
            asks: Asks::People(Quorum::of(vec![ApproverRef::Group("oncall".to_owned())], 1)),
            mode: Mode::Enforce,
            auto_approve: None,
            require_reason: true,
            min_reason_length: 3,
            reason_pattern: None,
            reason_kinds: Vec::new(),
            lease: LeaseTerms {
                default: Duration::from_mins(15),
                max: Duration::from_hours(1),
                uses: None,
            },
            pending_for: Duration::from_hours(1),
            escalation: None,
            remind_every: None,
            remember: false,
            bind: Bind::Arguments,
            follow_rotation: false,
            break_glass: Vec::new(),
            notify: Vec::new(),
        },
    }
}

fn view(approval: Approval) -> ApprovalView {
    ApprovalView {
        evidence: None,
        deliveries: Vec::new(),
        approval,
        leases: vec![LeaseId::from_random([5; 10])],
        progress: vec![],
        may_vote: Err("the key that asks is their own".to_owned()),
        session: None,
        session_until: None,
    }
}

fn yes() -> v1::VoteRequest {
    v1::VoteRequest {
        id: "ap_1".to_owned(),
        ballot: v1::Ballot::Approve.into(),
        digest: "ab".repeat(32),
        ..v1::VoteRequest::default()
    }
}

#[test]
fn what_others_wrote_is_made_safe_to_show() {
    let vote = Vote {
        voter: UserId::from_random([6; 10]),
        voter_name: "joe".to_owned(),
        ballot: Ballot::Approve(Narrowing { uses: Some(2), ..Narrowing::default() }),
        reason: format!("fine{RLO}"),
        digest: ask().digest(),
        rendering: None,
        via: "grpc".to_owned(),
        at: UnixTime::from_ms(2_000),
    };
    let shown =
        approval(&view(Approval::Pending(Pending { votes: vec![vote], ..Pending::new(ask()) })));
    assert!(!format!("{shown:?}").contains(RLO));
    assert_eq!(shown.reason, r"deploy\u{202e}");
    assert!(shown.reason_suspicious);
    assert_eq!(shown.arguments, r#"{"note":"a\u202eb"}"#);
    let asker = shown.asker.unwrap();
    assert_eq!(
        (asker.claimed_client.as_str(), asker.host.as_str()),
        (r"Claude\u{202e}", "laptop⏎")
    );
    assert_eq!(asker.transport, "stdio");
    assert_eq!(shown.items[0].description, r"the database\u{202e}");
    assert_eq!((shown.votes[0].reason.as_str(), shown.votes[0].uses), (r"fine\u{202e}", 2));
    assert_eq!(shown.votes[0].kind(), v1::GrantKind::Lease);
}

#[test]
fn an_approval_keeps_its_digest_its_times_and_why_one_may_not_vote() {
    let shown = approval(&view(Approval::Pending(Pending::new(ask()))));
    assert_eq!(shown.status(), v1::ApprovalStatus::Pending);
    assert_eq!(shown.digest, ask().digest().to_string());
    assert_eq!(shown.short_digest.len(), 10);
    assert_eq!(shown.created_at, Some(prost_types::Timestamp { seconds: 1, nanos: 123_000_000 }));
    let requested = shown.requested_duration.unwrap();
    assert_eq!((requested.seconds, requested.nanos), (1, 500_000_000));
    assert_eq!(shown.history, Some(v1::History { had_before: true, asks_today: 3 }));
    assert!(!shown.may_vote);
    assert_eq!(shown.may_not_vote_because, "the key that asks is their own");
}

#[test]
fn a_settled_approval_may_not_be_voted_on_whatever_the_view_says() {
    let withdrawn = Approval::Withdrawn(Withdrawn {
        ask: ask(),
        votes: vec![],
        by: "claude-desktop".to_owned(),
        at: UnixTime::from_ms(3_000),
    });
    let shown = approval(&ApprovalView { may_vote: Ok(()), ..view(withdrawn) });
    assert!(!shown.may_vote);
    assert_eq!(shown.outcome_reason, "taken back by claude-desktop");
    assert_eq!(shown.settled_at.unwrap().seconds, 3);
}

#[test]
fn what_expired_unseen_is_told_from_what_nobody_answered() {
    let expired = |cause| {
        let at = UnixTime::from_ms(3_000);
        approval(&view(Approval::Expired(Expired { ask: ask(), votes: vec![], cause, at })))
    };
    assert!(!expired(ExpiryCause::Unanswered).nobody_reached);
    let unseen = expired(ExpiryCause::NobodyReached);
    assert!(unseen.nobody_reached);
    assert!(unseen.outcome_reason.contains("no message about it had reached anybody"));
    assert!(!approval(&view(Approval::Pending(Pending::new(ask())))).nobody_reached);
}

#[test]
fn json_stays_the_same_json_when_it_is_made_safe() {
    for json in [r#"{"a":"é 日本 \" \\ \n"}"#, "{\"tag\":\"\u{e0041}\u{200b}\u{7f}\"}", "{}"] {
        let read = |text: &str| serde_json::from_str::<serde_json::Value>(text).unwrap();
        let shown = text::escape_json(json);
        assert_eq!(read(&shown), read(json));
        assert!(!text::escape_untrusted(&shown).suspicious, "{shown}");
    }
}

#[test]
fn a_vote_says_what_it_narrows() {
    let command = vote_command(v1::VoteRequest {
        duration: Some(prost_types::Duration { seconds: 60, nanos: 0 }),
        uses: 3,
        kind: v1::GrantKind::Once.into(),
        only: vec!["vouchsafe://secrets/a".to_owned()],
        ..yes()
    });
    let Ballot::Approve(narrowing) = command.unwrap().ballot else { panic!("it is a yes") };
    assert_eq!(narrowing.duration, Some(Duration::from_mins(1)));
    assert_eq!((narrowing.uses, narrowing.kind), (Some(3), GrantKind::Once));
    assert_eq!(narrowing.only.len(), 1);
    assert_eq!(vote_command(yes()).unwrap().ballot, Ballot::Approve(Narrowing::default()));
}

#[test]
fn a_vote_that_makes_no_sense_is_refused_by_its_field() {
    for (request, message) in [
        (v1::VoteRequest { ballot: 0, ..yes() }, "ballot is missing"),
        (
            v1::VoteRequest { ballot: 9, ..yes() },
            "ballot has the value 9, which this daemon does not know",
        ),
        (
            v1::VoteRequest { kind: 9, ..yes() },
            "kind has the value 9, which this daemon does not know",
        ),
        (v1::VoteRequest { id: String::new(), ..yes() }, "id is missing"),
        (
            v1::VoteRequest { digest: String::new(), ..yes() },
            "digest is missing: an answer carries the digest of what its giver saw",
        ),
        (
            v1::VoteRequest { digest: "abc".to_owned(), ..yes() },
            "digest: a digest is 64 hexadecimal digits",
        ),
        (
            v1::VoteRequest { rendering_digest: "abc".to_owned(), ..yes() },
            "rendering_digest: a digest is 64 hexadecimal digits",
        ),
        (
            v1::VoteRequest { ballot: v1::Ballot::Deny.into(), uses: 1, ..yes() },
            "a denial has no limits",
        ),
        (
            v1::VoteRequest { only: vec!["vouchsafe://audit".to_owned(); 21], ..yes() },
            "only has 21 entries, and may have 20",
        ),
        (
            v1::VoteRequest {
                duration: Some(prost_types::Duration { seconds: -1, nanos: 0 }),
                ..yes()
            },
            "duration is negative, or no duration",
        ),
    ] {
        assert_eq!(vote_command(request).unwrap_err().message, message);
    }
}

#[test]
fn each_status_reads_back_as_it_is_written() {
    for one in Status::ALL {
        assert_eq!(status(status_out(one).into()), Ok(one));
    }
    assert!(status(0).is_err());
}
