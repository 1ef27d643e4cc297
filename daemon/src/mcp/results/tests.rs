use std::time::Duration;

use serde_json::json;
use vouchsafe_core::approval::{Ask, Asker, Denied, Expired, ExpiryCause, History, Withdrawn};
use vouchsafe_core::caller::Claims;
use vouchsafe_core::id::{ApprovalId, ID_BYTES, KeyId, LeaseId, ProjectId, UserId};
use vouchsafe_core::lease::{Active, Ended, Ending, Terms};
use vouchsafe_core::time::{BootId, Now};

use super::*;
use crate::mcp::schemas;

fn now() -> Now {
    let wall = UnixTime::parse_rfc3339("2026-11-21T14:00:00.123Z").unwrap();
    Now { wall, since_boot_ms: 0, boot: BootId::new("a") }
}

fn ask() -> Ask {
    let id = [7; ID_BYTES];
    Ask {
        id: ApprovalId::from_random(id),
        project: ProjectId::from_random(id),
        project_name: "default".to_owned(),
        asker: Asker {
            key: Some(KeyId::from_random(id)),
            key_name: "claude".to_owned(),
            owner: Some(UserId::from_random(id)),
            owner_name: "jane".to_owned(),
            claims: Claims::default(),
        },
        operation: Operation::Read,
        items: Vec::new(),
        arguments: "{}".to_owned(),
        change: None,
        reason: None,
        reason_kind: None,
        requested: None,
        asked_at: now().wall,
        deadline: now().deadline(Duration::from_mins(5)),
        rule_set: "00".to_owned(),
        history: History::default(),
    }
}

fn some_lease() -> Active {
    Active {
        terms: Terms {
            id: LeaseId::from_random([1; ID_BYTES]),
            project_name: "default".to_owned(),
            project: ProjectId::from_random([2; ID_BYTES]),
            approval: Some(ask().id),
            holder: KeyId::from_random([3; ID_BYTES]),
            holder_name: "claude".to_owned(),
            resource: "vouchsafe://secrets/a/B".parse().unwrap(),
            secret: None,
            version: 3,
            follow_rotation: false,
            operation: Operation::Read,
            arguments: None,
            observed: false,
            rule: "r".to_owned(),
            issued_at: now().wall,
            limit: now().deadline(Duration::from_hours(1)),
            renewal_ms: 900_000,
            renewable: true,
        },
        deadline: now().deadline(Duration::from_mins(15)),
        uses_left: None,
        used: 1,
        renewals: 0,
    }
}

fn value(bytes: &[u8]) -> Release {
    Release::Value {
        resource: "vouchsafe://secrets/a/B".parse().unwrap(),
        version: 3,
        value: SecretBytes::new(bytes.to_vec()),
        lease: Box::new(Lease::Active(some_lease())),
    }
}

fn done(step: Step) -> Reply {
    let Step::Done(reply) = step else { panic!("pending") };
    reply
}

#[test]
fn a_pending_result_says_what_to_do() {
    let reply = pending(&Pending::new(ask()));
    let id = ask().id.to_string();
    assert_eq!(reply.content["status"], "pending");
    assert_eq!(reply.content["approval_id"], id);
    assert_eq!(reply.content["digest"], ask().digest().short());
    assert_eq!(reply.content["expires_at"], "2026-11-21T14:05:00.123Z");
    assert_eq!(reply.content["retry_after_ms"], 2_000);
    assert_eq!(
        reply.content["next"],
        json!({ "tool": "await_approval", "arguments": { "approval_id": id } })
    );
    assert!(reply.content["message"].as_str().unwrap().contains("14:05Z"));
    assert_eq!(reply.into_result().is_error, Some(false));
}

#[test]
fn what_was_not_granted_is_an_error_with_its_reason() {
    let at = now().wall;
    let votes = Vec::new();
    let denied = Denied {
        ask: ask(),
        votes: votes.clone(),
        by: "jane".to_owned(),
        reason: "not\u{202e} today".to_owned(),
        at,
    };
    let expired = Expired { ask: ask(), votes: votes.clone(), cause: ExpiryCause::Unanswered, at };
    let withdrawn = Withdrawn { ask: ask(), votes, by: "claude".to_owned(), at };
    for (approval, status, reason) in [
        (Approval::Denied(denied), "denied", "not\\u{202e} today"),
        (Approval::Expired(expired), "expired", "nobody answered in time"),
        (Approval::Withdrawn(withdrawn), "withdrawn", "taken back by claude"),
    ] {
        let reply = settled(&approval);
        assert_eq!(reply.content["status"], status);
        assert_eq!(reply.content["reason"], reason);
        assert_eq!(reply.content["approval_id"], ask().id.to_string());
        assert!(reply.content["message"].as_str().unwrap().contains(reason));
        assert_eq!(reply.into_result().is_error, Some(true));
    }
}

#[test]
fn a_value_is_text_where_it_is_text() {
    for (bytes, encoding, text) in
        [(&b"hunter2"[..], "utf-8", "hunter2"), (&[0xff, 0x00][..], "base64", "/wA=")]
    {
        let content = done(release(value(bytes))).content;
        assert_eq!(content["status"], "ok");
        assert_eq!((&content["encoding"], &content["value"]), (&json!(encoding), &json!(text)));
        assert_eq!(content["version"], 3);
        let lease = &content["lease"];
        assert_eq!(lease["uses_left"], Value::Null);
        assert_eq!(lease["expires_at"], "2026-11-21T14:15:00.123Z");
        assert_eq!(lease["max_expires_at"], "2026-11-21T15:00:00.123Z");
        assert_eq!(lease["status"], "active");
    }
}

#[test]
fn an_approval_tells_the_call_it_was_for() {
    let lease = Lease::Active(some_lease());
    let reply = leased(std::slice::from_ref(&lease), Operation::Read);
    assert_eq!(
        reply.content["next"],
        json!({ "tool": "read_secret", "arguments": { "uri": "vouchsafe://secrets/a/B" } })
    );
    let reply = leased(&[lease.clone(), lease.clone()], Operation::Read);
    assert_eq!(reply.content["next"], json!({ "tool": "list_leases", "arguments": {} }));
    let reply = leased(&[lease], Operation::Use);
    assert_eq!(reply.content["next"]["tool"], "list_leases");
}

#[test]
fn a_lease_that_ended_says_how() {
    let ended = Lease::Ended(Ended {
        last: some_lease(),
        how: Ending::Exhausted,
        at: now().wall,
        by: None,
        reason: None,
    });
    assert_eq!(lease_list(&[ended]).content["leases"][0]["status"], "exhausted");
}

#[test]
fn a_list_that_goes_on_says_where() {
    let listing = SecretListing {
        uri: "vouchsafe://secrets/a/B".to_owned(),
        description: "the\ndatabase".to_owned(),
        version: 2,
        needs: Needs::Approval,
        operations: vec![Operation::List, Operation::Read],
    };
    let mut page = Paged { items: vec![listing], next: String::new() };
    let content = secrets(&page).content;
    assert_eq!(
        content,
        json!({ "secrets": [{
            "uri": "vouchsafe://secrets/a/B", "description": "the⏎database", "version": 2,
            "needs": "approval", "operations": ["list", "read"],
        }] })
    );
    page.next = "more".to_owned();
    assert_eq!(secrets(&page).content["next_token"], "more");
}

/// What is in each answer is in the schema of the tool that gives it.
#[test]
fn answers_fit_their_schemas() {
    let refusal = refused(&Refused::internal());
    let lease = Lease::Active(some_lease());
    let denied = settled(&Approval::Withdrawn(Withdrawn {
        ask: ask(),
        votes: Vec::new(),
        by: "claude".to_owned(),
        at: now().wall,
    }));
    let handle = pending(&Pending::new(ask()));
    let value = done(release(value(b"x")));
    let hidden = redacted(&"vouchsafe://secrets/a".parse().unwrap(), 1);
    let given = leased(std::slice::from_ref(&lease), Operation::Read);
    for (tool, replies) in [
        (Tool::ReadSecret, vec![&handle, &denied, &value, &hidden, &refusal]),
        (Tool::RequestAccess, vec![&handle, &denied, &given, &refusal]),
        (Tool::AwaitApproval, vec![&handle, &denied, &given, &refusal]),
        (Tool::WithdrawApproval, vec![&denied, &refusal]),
        (Tool::RenewLease, vec![&renewed(&lease), &refusal]),
        (Tool::ReleaseLease, vec![&released(&lease), &refusal]),
        (Tool::ListLeases, vec![&lease_list(std::slice::from_ref(&lease)), &refusal]),
    ] {
        let schema = schemas::output(tool);
        for reply in replies {
            let members = reply.content.as_object().unwrap();
            for (member, value) in members {
                let types = &schema["properties"][member]["type"];
                let kind = match value {
                    Value::String(_) => "string",
                    Value::Number(_) => "integer",
                    Value::Array(_) => "array",
                    Value::Object(_) => "object",
                    Value::Null | Value::Bool(_) => panic!("{member}"),
                };
                let fits = types == kind
                    || types.as_array().is_some_and(|types| types.contains(&json!(kind)));
                assert!(fits, "{}.{member}: {types}", tool.as_str());
            }
            for required in schema["required"].as_array().unwrap() {
                assert!(members.contains_key(required.as_str().unwrap()), "{}", tool.as_str());
            }
        }
    }
}
