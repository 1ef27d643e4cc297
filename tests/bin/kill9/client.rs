//! One of the many: does this and that until its daemon dies.

use std::sync::Arc;

use serde_json::json;
use tonic::{Code, Status};
use vouchsafe_proto::v1::revoke_leases_request::Which;
use vouchsafe_proto::v1::{ApprovalStatus, Ballot, PutSecretRequest, RevokeLeasesRequest};
use vouchsafe_tests::process::{Agent, Answer, RealDaemon, Trouble, User};

use super::Random;
use super::journal::{Event, Journal};

#[derive(Debug)]
pub(super) struct Client {
    user: User,
    agent: Agent,
    journal: Arc<Journal>,
    random: Random,
}

/// The daemon has gone: what was asked last may have happened or not.
struct Gone;

impl Client {
    pub(super) fn new(
        daemon: &RealDaemon,
        key: &str,
        journal: Arc<Journal>,
        random: Random,
    ) -> Self {
        let user = User::new(&daemon.path(), &daemon.admin_token());
        let agent = Agent::new(daemon.url("/mcp"), key);
        Self { user, agent, journal, random }
    }

    /// Works until the daemon is gone.
    pub(super) async fn work(mut self) {
        while self.step().await.is_ok() {}
    }

    async fn step(&mut self) -> Result<(), Gone> {
        match self.random.below(12) {
            0..3 => self.put().await,
            3..5 => self.ask().await,
            5..7 => self.propose().await,
            7..9 => self.vote().await,
            9..11 => self.read().await,
            _ => self.revoke().await,
        }
    }

    /// A new secret, and now and then a second version of it.
    async fn put(&mut self) -> Result<(), Gone> {
        let number = self.journal.new_secret();
        let path = format!("asked/S{number}");
        let versions = if self.random.below(4) == 0 { 2 } else { 1 };
        for version in 1..=versions {
            let value = format!("value {version} of {number}: {:016x}", self.random.next());
            let request = PutSecretRequest {
                path: path.clone(),
                value: value.clone().into_bytes(),
                expected_version: Some(version - 1),
                ..PutSecretRequest::default()
            };
            let put = alive(self.user.secrets().put_secret(request).await)?.unwrap().into_inner();
            assert_eq!(put.version, version);
            self.journal.note(Event::Put { path: path.clone(), version, value });
        }
        Ok(())
    }

    async fn ask(&mut self) -> Result<(), Gone> {
        match self.journal.take_unasked() {
            Some(path) => self.read_path(path).await,
            None => self.put().await,
        }
    }

    /// A value for a secret that is not there: it is written when somebody approves it.
    async fn propose(&mut self) -> Result<(), Gone> {
        let path = format!("asked/P{}", self.journal.new_secret());
        let value = format!("proposed: {:016x}", self.random.next());
        let uri = format!("vouchsafe://secrets/{path}");
        let ask = json!({ "uri": uri, "value": value, "reason": "work" });
        let answer = self.call("write_secret", ask).await?;
        match answer.status() {
            "pending" => self.journal.note(Event::Proposed {
                id: answer.text("/approval_id").to_owned(),
                digest: answer.text("/digest").to_owned(),
                path,
                value,
            }),
            // This key has a hundred asks pending.
            "refused" => {}
            _ => panic!("{answer:?}"),
        }
        Ok(())
    }

    async fn read(&mut self) -> Result<(), Gone> {
        match self.random.pick(&self.journal.approved()).cloned() {
            Some(path) => self.read_path(path).await,
            None => self.ask().await,
        }
    }

    async fn read_path(&mut self, path: String) -> Result<(), Gone> {
        let uri = format!("vouchsafe://secrets/{path}");
        let begun = self.journal.len();
        let ask = json!({ "uri": uri, "reason": "work" });
        let answer = self.call("read_secret", ask).await?;
        match answer.status() {
            "ok" => self.journal.note(Event::Read {
                lease: answer.text("/lease/id").to_owned(),
                path,
                version: answer.content.pointer("/version").unwrap().as_u64().unwrap(),
                value: answer.text("/value").to_owned(),
                begun,
            }),
            "pending" => self.journal.note(Event::Asked {
                id: answer.text("/approval_id").to_owned(),
                digest: answer.text("/digest").to_owned(),
                path,
            }),
            // This key was told before that it may not have it, or has a hundred asks pending.
            "denied" | "refused" => {}
            _ => panic!("{answer:?}"),
        }
        Ok(())
    }

    async fn call(&self, tool: &str, ask: serde_json::Value) -> Result<Answer, Gone> {
        match self.agent.call(tool, ask).await {
            Ok(answer) => Ok(answer),
            Err(Trouble::Broken(_)) => Err(Gone),
            Err(trouble) => panic!("{trouble:?}"),
        }
    }

    async fn vote(&mut self) -> Result<(), Gone> {
        let Some(id) = self.random.pick(&self.journal.open()).cloned() else {
            return self.ask().await;
        };
        let digest = alive(self.user.show(&id).await)?.unwrap().digest;
        let approve = self.random.below(4) != 0;
        let ballot = if approve { Ballot::Approve } else { Ballot::Deny };
        match alive(self.user.vote(&id, &digest, ballot).await)? {
            Ok(answer) => {
                let leases = answer.leases.into_iter().map(|lease| lease.id).collect();
                self.journal.note(Event::Voted { id, approve, leases });
            }
            Err(status) => {
                assert_eq!(status.code(), Code::FailedPrecondition, "{status:?}");
                let shown = alive(self.user.show(&id).await)?.unwrap();
                let approved = match shown.status() {
                    ApprovalStatus::Approved => true,
                    ApprovalStatus::Denied => false,
                    _ => panic!("{status:?} of {shown:?}"),
                };
                self.journal.note(Event::Seen { id, approved });
            }
        }
        Ok(())
    }

    async fn revoke(&mut self) -> Result<(), Gone> {
        let Some(lease) = self.random.pick(&self.journal.leases()).cloned() else {
            return self.vote().await;
        };
        let request = RevokeLeasesRequest {
            reason: "work".to_owned(),
            which: Some(Which::Id(lease.clone())),
            ..RevokeLeasesRequest::default()
        };
        match alive(self.user.leases().revoke_leases(request).await)? {
            // Ours, or somebody else's a moment before: it has ended.
            Ok(_) => self.journal.note(Event::Revoked { lease }),
            Err(status) => assert_eq!(status.code(), Code::FailedPrecondition, "{status:?}"),
        }
        Ok(())
    }
}

/// Tells an answer from the end of the daemon.
fn alive<T>(answer: Result<T, Status>) -> Result<Result<T, Status>, Gone> {
    match answer {
        Err(status)
            if matches!(
                status.code(),
                Code::Unavailable | Code::Unknown | Code::Cancelled | Code::Internal
            ) =>
        {
            Err(Gone)
        }
        answer => Ok(answer),
    }
}
