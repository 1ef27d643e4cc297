//! Carries out calls of tools.

use rmcp::model::{CallToolResponse, JsonObject};
use rmcp::service::RequestContext;
use rmcp::{ErrorData, RoleServer};
use vouchsafe_core::caller::Agent;
use vouchsafe_core::key::Scope;

use super::Door;
use super::arguments::Call;
use super::durable::Made;
use super::results::{self, Reply, Step};
use super::tools::Tool;
use super::wait::Held;
use crate::broker::{Code, Refused};

impl Door {
    /// Calls a tool; a refusal is a result, so that the model can do something about it.
    pub(super) async fn call(
        &self,
        tool: Tool,
        arguments: JsonObject,
        agent: &Agent,
        context: &RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        let outcome = match self.prepare(tool, arguments, agent) {
            Ok((call, _place)) => match durable_tool(tool, context) {
                Some(made) => self.begin(made, call, agent).await,
                None => self.run(call, agent, context).await.map(Answer::Held),
            },
            Err(refused) => Err(refused),
        };
        let (status, response) = match outcome {
            Ok(Answer::Held(Held::Done(reply))) => respond(reply),
            Ok(Answer::Held(Held::Pending { pending, .. })) => respond(results::pending(&pending)),
            Ok(Answer::Task(task)) => ("task", Ok(task)),
            Ok(Answer::Held(Held::Gone)) => ("gone", Err(gone())),
            Err(refused) => respond(results::refused(&refused)),
        };
        self.metrics.called(tool.as_str(), status);
        response
    }

    fn prepare(
        &self,
        tool: Tool,
        arguments: JsonObject,
        agent: &Agent,
    ) -> Result<(Call, Option<tokio::sync::OwnedSemaphorePermit>), Refused> {
        if let Some(scope) = tool.scope().filter(|_| !tool.allowed(&agent.scopes)) {
            return Err(scope_needed(scope));
        }
        Ok((Call::parse(tool, arguments)?, self.place()?))
    }

    async fn run(
        &self,
        call: Call,
        agent: &Agent,
        context: &RequestContext<RoleServer>,
    ) -> Result<Held, Refused> {
        let broker = &self.broker;
        let reply = match call {
            Call::ReadSecret { .. }
            | Call::RequestAccess(_)
            | Call::QueryAudit { .. }
            | Call::AwaitApproval { .. } => {
                return self.hold(agent, context, || self.ask(&call, agent)).await;
            }
            Call::ListSecrets { pattern, page } => {
                results::secrets(&broker.list_secrets_for(agent, pattern, page).await?)
            }
            Call::WithdrawApproval { id } => {
                results::withdrawn(&broker.withdraw_approval(agent, &id).await?)
            }
            Call::ListLeases => results::lease_list(&broker.list_leases_for(agent).await?),
            Call::RenewLease { id, duration } => {
                results::renewed(&broker.renew_lease(agent, &id, duration).await?)
            }
            Call::ReleaseLease { id } => {
                results::released(&broker.release_lease(agent, &id).await?)
            }
            Call::Whoami => {
                broker.still_valid(agent).await?;
                results::whoami(agent, broker.block_for().as_secs())
            }
        };
        Ok(Held::Done(reply))
    }

    /// One of the calls that people may have to answer first.
    async fn ask(&self, call: &Call, agent: &Agent) -> Result<Step, Refused> {
        match call {
            Call::ReadSecret { resource, plea } => {
                let released = self.broker.read_secret(agent, resource, plea.clone()).await?;
                Ok(results::release(released))
            }
            Call::QueryAudit { query, by, page, plea } => {
                let (query, page) = (query.clone(), page.clone());
                let answer =
                    self.broker.query_audit_for(agent, query, by.as_deref(), page, plea.clone());
                Ok(results::log(answer.await?))
            }
            Call::RequestAccess(ask) => {
                let operation = ask.operation;
                let access = self.broker.request_access(agent, ask.clone()).await?;
                Ok(results::access(access, operation))
            }
            Call::AwaitApproval { id } => {
                Ok(results::standing(self.broker.await_approval(agent, id).await?))
            }
            Call::ListSecrets { .. }
            | Call::WithdrawApproval { .. }
            | Call::ListLeases
            | Call::RenewLease { .. }
            | Call::ReleaseLease { .. }
            | Call::Whoami => Err(Refused::internal()),
        }
    }

    /// For a client that keeps tasks: asks once, and makes a task of what has to wait.
    async fn begin(&self, made: Made, call: Call, agent: &Agent) -> Result<Answer, Refused> {
        Ok(match self.ask(&call, agent).await? {
            Step::Done(reply) => Answer::Held(Held::Done(reply)),
            Step::Pending(pending) => Answer::Task(made.task(&pending).into()),
        })
    }
}

enum Answer {
    Held(Held),
    Task(CallToolResponse),
}

/// What kind of task a call may become, where the client of this request keeps tasks.
fn durable_tool(tool: Tool, context: &RequestContext<RoleServer>) -> Option<Made> {
    let made = match tool {
        Tool::ReadSecret => Made::Read,
        Tool::RequestAccess => Made::Access,
        Tool::ListSecrets
        | Tool::AwaitApproval
        | Tool::WithdrawApproval
        | Tool::ListLeases
        | Tool::RenewLease
        | Tool::ReleaseLease
        | Tool::QueryAudit
        | Tool::Whoami => return None,
    };
    let keeps = context.client_capabilities().is_some_and(|client| client.supports_tasks());
    keeps.then_some(made)
}

fn respond(reply: Reply) -> (&'static str, Result<CallToolResponse, ErrorData>) {
    (reply.status, Ok(reply.into_result().into()))
}

/// Nobody is there to read it.
pub(super) fn gone() -> ErrorData {
    ErrorData::internal_error("the call was cancelled; the approval stays", None)
}

pub(super) fn scope_needed(scope: Scope) -> Refused {
    Refused::new(
        Code::ScopeNeeded,
        format!("this key does not have the scope {scope}"),
        "Tell the person you work for: the owner of the key or an admin can change its scopes.",
    )
}
