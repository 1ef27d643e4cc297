//! Tasks (SEP-2663) over approvals: a task is nothing but another name of an approval, so it is
//! durable, owned and limited as that is.
//!
//! The id of a task is the approval's; one that `read_secret` made ends in `.read`, because what
//! completes it is the value and not the lease, and one about a change in `.change`.

use rmcp::ErrorData;
use rmcp::model::{
    CreateTaskResult, DetailedTask, GetTaskResult, JsonObject, Task, TaskPayload, TaskStatus,
};
use serde_json::Value;
use vouchsafe_core::approval::{Approval, Ask, Pending, Status};
use vouchsafe_core::caller::Agent;
use vouchsafe_core::id::ApprovalId;
use vouchsafe_core::lease::Lease;

use super::results::{self, RETRY_MS, Reply, Step, clock};
use super::tools::Tool;
use super::{Door, error};
use crate::broker::{AwaitOutcome, ChangeMade, Code, Kind, Plea, Refused};

const READ_SUFFIX: &str = ".read";
const CHANGE_SUFFIX: &str = ".change";

/// Which call made a task.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Made {
    /// `read_secret`: the value completes it.
    Read,
    /// `request_access`: the leases complete it.
    Access,
    /// `write_secret`, `rotate_secret` or `delete_secret`: that it is made completes it.
    Change,
}

impl Made {
    /// The task of this approval.
    pub(super) fn task(self, pending: &Pending) -> CreateTaskResult {
        CreateTaskResult::new(self.describe(&pending.ask, None))
    }

    fn describe(self, ask: &Ask, settled: Option<&Approval>) -> Task {
        let changed = settled.and_then(Approval::settled_at).unwrap_or(ask.asked_at);
        let ttl = ask.deadline.wall.since(ask.asked_at).as_millis();
        let message = match settled {
            Some(approval) => format!("approval {} is {}", ask.id, approval.status().as_str()),
            None => {
                format!("waiting for approval {} (expires {})", ask.id, clock(ask.deadline.wall))
            }
        };
        Task::new(self.id(ask.id), TaskStatus::Working, ask.asked_at.rfc3339(), changed.rfc3339())
            .with_ttl_ms(u64::try_from(ttl).unwrap_or(u64::MAX))
            .with_poll_interval_ms(RETRY_MS)
            .with_status_message(message)
    }

    fn id(self, approval: ApprovalId) -> String {
        match self {
            Self::Read => format!("{approval}{READ_SUFFIX}"),
            Self::Access => approval.to_string(),
            Self::Change => format!("{approval}{CHANGE_SUFFIX}"),
        }
    }

    fn parse(task: &str) -> Result<(Self, ApprovalId), ErrorData> {
        let suffixes = [(Self::Read, READ_SUFFIX), (Self::Change, CHANGE_SUFFIX)];
        let made =
            suffixes.iter().find_map(|(made, suffix)| Some((*made, task.strip_suffix(suffix)?)));
        let (made, id) = made.unwrap_or((Self::Access, task));
        id.parse().map(|id| (made, id)).map_err(|_| unknown())
    }
}

impl Door {
    /// Where a task stands, with its result once there is one.
    pub(super) async fn task(&self, agent: &Agent, task: &str) -> Result<GetTaskResult, ErrorData> {
        let (made, id) = self.allowed(agent, task).await?;
        let _place = self.place().map_err(|refused| error(&refused))?;
        let (task, payload) = match self.standing(agent, id).await? {
            AwaitOutcome::Pending(pending) => {
                (made.describe(&pending.ask, None), TaskPayload::Working)
            }
            AwaitOutcome::Approved { approval, leases } => {
                let reply = match made {
                    Made::Change => match ChangeMade::of(&approval, true) {
                        Some(change) => results::change_made(&change),
                        None => return Err(unknown()),
                    },
                    Made::Access => results::leased(&leases, approval.ask().operation),
                    Made::Read => self.read_for_task(agent, &approval, &leases).await,
                };
                (made.describe(approval.ask(), Some(&approval)), completed(reply))
            }
            AwaitOutcome::Settled(approval) => {
                let payload = match approval.status() {
                    Status::Withdrawn => TaskPayload::Cancelled,
                    Status::Pending | Status::Approved | Status::Denied | Status::Expired => {
                        completed(results::settled(&approval))
                    }
                };
                (made.describe(approval.ask(), Some(&approval)), payload)
            }
        };
        Ok(GetTaskResult::new(DetailedTask::new(task, payload)))
    }

    /// Whether there is such a task, of this agent.
    pub(super) async fn task_exists(&self, agent: &Agent, task: &str) -> Result<(), ErrorData> {
        let (_made, id) = self.allowed(agent, task).await?;
        self.standing(agent, id).await.map(drop)
    }

    /// Takes the ask behind a task back. One that is settled already stays as it is.
    pub(super) async fn withdraw_task(&self, agent: &Agent, task: &str) -> Result<(), ErrorData> {
        let (_made, id) = self.allowed(agent, task).await?;
        match self.broker.withdraw_approval(agent, &id.to_string()).await {
            Ok(_withdrawn) => Ok(()),
            Err(refused) if refused.code.kind() == Kind::Conflict => Ok(()),
            Err(refused) => Err(task_error(&refused)),
        }
    }

    /// Which task is meant, where the agent may use the tool that made it.
    async fn allowed(&self, agent: &Agent, task: &str) -> Result<(Made, ApprovalId), ErrorData> {
        let (made, id) = Made::parse(task)?;
        let allowed = match made {
            Made::Read => Tool::ReadSecret.check(agent),
            Made::Access => Tool::RequestAccess.check(agent),
            // The task tells what came of a change, and makes none.
            Made::Change => Tool::WriteSecret
                .check(agent)
                .or_else(|_| Tool::RotateSecret.check(agent))
                .or_else(|_| Tool::DeleteSecret.check(agent)),
        };
        match allowed {
            Ok(()) => Ok((made, id)),
            Err(refused) => Err(error(&self.broker.refuse_agent(agent, "tasks", refused).await)),
        }
    }

    async fn standing(&self, agent: &Agent, id: ApprovalId) -> Result<AwaitOutcome, ErrorData> {
        let standing = self.broker.await_approval(agent, &id.to_string()).await;
        standing.map_err(|refused| task_error(&refused))
    }

    /// The value that completes a task, released now, under the lease that the approval gave.
    /// Without that lease nothing is asked for: a poll must not make a new ask.
    async fn read_for_task(&self, agent: &Agent, approval: &Approval, given: &[Lease]) -> Reply {
        let active = given.iter().find(|lease| matches!(lease, Lease::Active(_)));
        let (Some(lease), [_only]) = (active, approval.ask().items.as_slice()) else {
            return results::lease_ended();
        };
        let resource = &lease.terms().resource;
        match self.broker.read_secret(agent, resource, Plea::default()).await.map(results::release)
        {
            Ok(Step::Done(reply)) => reply,
            Ok(Step::Pending(_ended_meanwhile)) => results::lease_ended(),
            Err(refused) => results::refused(&refused),
        }
    }
}

fn completed(reply: Reply) -> TaskPayload {
    let result = match serde_json::to_value(reply.into_result()) {
        Ok(Value::Object(result)) => result,
        // A result is an object of strings, numbers and lists: there is no other way to write it.
        Ok(_) | Err(_) => JsonObject::new(),
    };
    TaskPayload::Completed { result }
}

/// A task that is not there and one that is another's look the same.
fn unknown() -> ErrorData {
    ErrorData::invalid_params("there is no such task", None)
}

fn task_error(refused: &Refused) -> ErrorData {
    let hidden = matches!(refused.code.kind(), Kind::NotFound | Kind::Invalid)
        || refused.code == Code::NotYours;
    if hidden { unknown() } else { error(refused) }
}

#[cfg(test)]
mod tests {
    use vouchsafe_core::id::ID_BYTES;

    use super::*;

    #[test]
    fn a_tasks_id_says_which_call_made_it() {
        let id = ApprovalId::from_random([9; ID_BYTES]);
        for made in [Made::Read, Made::Access, Made::Change] {
            assert_eq!(Made::parse(&made.id(id)).unwrap(), (made, id));
        }
        for bad in ["", "ap_", "ap_9", "ls_0000000000000000", "x.read"] {
            assert_eq!(Made::parse(bad).unwrap_err(), unknown(), "{bad}");
        }
    }

    #[test]
    fn anothers_task_is_no_task() {
        for code in [Code::ApprovalNotFound, Code::NotYours, Code::InvalidArgument] {
            assert_eq!(task_error(&Refused::new(code, "x", "y")), unknown());
        }
        assert_ne!(task_error(&Refused::internal()), unknown());
    }
}
