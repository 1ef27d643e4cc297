//! Carries out calls of tools.

use rmcp::model::{CallToolResponse, JsonObject};
use rmcp::service::RequestContext;
use rmcp::{ErrorData, RoleServer};
use tokio::sync::OwnedSemaphorePermit;
use vouchsafe_core::caller::Agent;

use super::Door;
use super::arguments::Call;
use super::durable::Made;
use super::results::{self, Reply, Step};
use super::tools::Tool;
use super::wait::Held;
use crate::broker::{Charge, Refused};

impl Door {
    /// Calls a tool; a refusal is a result, so that the model can do something about it. A call that
    /// is refused costs nothing.
    pub(super) async fn call(
        &self,
        tool: Tool,
        arguments: JsonObject,
        agent: &Agent,
        context: &RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        let (call, charge, _place) = match self.prepare(tool, arguments, agent).await {
            Ok(prepared) => prepared,
            Err(refused) => return self.refuse(tool, &refused),
        };
        let outcome = match durable_tool(tool, context) {
            Some(made) => self.begin(made, call, agent).await,
            None => self.run(tool, call, agent, context).await.map(Answer::Held),
        };
        let (status, response) = match outcome {
            Ok(Answer::Held(Held::Done(reply))) => respond(reply),
            Ok(Answer::Held(Held::Pending { pending, .. })) => respond(results::pending(&pending)),
            Ok(Answer::Task(task)) => ("task", Ok(task)),
            Ok(Answer::Held(Held::Gone)) => ("gone", Err(gone())),
            Err(refused) => {
                charge.give_back();
                return self.refuse(tool, &refused);
            }
        };
        self.metrics.called(tool.as_str(), status);
        response
    }

    /// The result of a call that was refused.
    pub(super) fn refuse(
        &self,
        tool: Tool,
        refused: &Refused,
    ) -> Result<CallToolResponse, ErrorData> {
        let (status, response) = respond(results::refused(refused));
        self.metrics.called(tool.as_str(), status);
        response
    }

    /// Checks that the agent may make this call now, and counts it.
    async fn prepare(
        &self,
        tool: Tool,
        arguments: JsonObject,
        agent: &Agent,
    ) -> Result<(Call, Charge, Option<OwnedSemaphorePermit>), Refused> {
        if let Err(refused) = tool.check(agent) {
            return Err(self.broker.refuse_agent(agent, tool.as_str(), refused).await);
        }
        let (call, place) = (Call::parse(tool, arguments)?, self.place()?);
        match self.broker.charge(agent).await {
            Ok(charge) => Ok((call, charge, place)),
            Err(refused) => Err(self.broker.refuse_agent(agent, tool.as_str(), refused).await),
        }
    }

    async fn run(
        &self,
        tool: Tool,
        call: Call,
        agent: &Agent,
        context: &RequestContext<RoleServer>,
    ) -> Result<Held, Refused> {
        let broker = &self.broker;
        let reply = match call {
            Call::ReadSecret { .. }
            | Call::RequestAccess(_)
            | Call::ChangeSecret(_)
            | Call::QueryAudit { .. }
            | Call::AwaitApproval { .. } => {
                let call = &call;
                let ask = |agent: Agent| async move {
                    // What it may do can have changed while it waited.
                    tool.check(&agent)?;
                    self.ask(call, &agent).await
                };
                return self.hold(agent, context, ask).await;
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
                let usage = broker.usage(agent).await?;
                results::whoami(agent, usage, broker.block_for().as_secs())
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
            Call::ChangeSecret(ask) => {
                Ok(results::changed(self.broker.change_secret(agent, ask.clone()).await?))
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
        Tool::WriteSecret | Tool::RotateSecret | Tool::DeleteSecret => Made::Change,
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
