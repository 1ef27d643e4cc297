//! The agents' door: MCP over Streamable HTTP and over the stdio bridge's socket.
//!
//! It parses, calls the broker, and says what came of it in words that a model can act on. Waiting
//! is the one thing it adds: a call that people have to answer first is held for a while, and then
//! answered with a handle. The client's patience decides nothing.

mod arguments;
mod calls;
mod durable;
mod http;
mod outlet;
mod resources;
mod results;
mod schemas;
mod socket;
mod tools;
mod wait;

use std::convert::Infallible;
use std::sync::{Arc, Mutex, PoisonError};

use axum::http::request::Parts;
use rmcp::model::{
    CallToolRequestParams, CallToolResponse, ConstString, ErrorCode, GetTaskResult, Implementation,
    ListResourcesResult, PaginatedRequestParams, ReadResourceRequestParams, ReadResourceResponse,
};
use rmcp::service::RequestContext;
use rmcp::{ErrorData, RoleServer};
use serde_json::json;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use vouchsafe_core::caller::{Agent, Claims};
use vouchsafe_core::text;

pub use self::http::{HttpService, http};
pub use self::outlet::Outlet;
pub use self::socket::{bind, serve};
use self::tools::Tool;
use crate::broker::{Broker, Code, Kind, Refused};
use crate::telemetry::Metrics;

/// How much of what a client says of itself is kept, in characters.
const CLAIM_CHARS_MAX: usize = 100;
/// The longest message, in bytes, on either way in.
const MESSAGE_BYTES_MAX: usize = 1024 * 1024;
/// Calls under way at once on one connection of the socket.
const CALLS_MAX: usize = 64;
/// The JSON-RPC code of a refusal that no standard code is for.
const REFUSED: ErrorCode = ErrorCode(1004);

/// MCP, over HTTP for whoever each request proves to be, over the socket for one agent. It serves
/// nobody by itself: [`Outlet`] does.
#[derive(Clone, Debug)]
struct Door {
    broker: Broker,
    metrics: Metrics,
    bound: Option<Bound>,
}

/// The one agent at the other end of a connection.
#[derive(Clone, Debug)]
struct Bound {
    /// As its key stood at the last request.
    agent: Arc<Mutex<Agent>>,
    calls: Arc<Semaphore>,
}

impl Door {
    /// For HTTP: the agent is found among the extensions of each request, put there by whoever
    /// let it in.
    fn http(broker: Broker, metrics: Metrics) -> Self {
        Self { broker, metrics, bound: None }
    }

    /// For one connection of the socket, whose agent has shown its key.
    fn bound(broker: Broker, metrics: Metrics, agent: Agent) -> Self {
        let calls = Arc::new(Semaphore::new(CALLS_MAX));
        let agent = Arc::new(Mutex::new(agent));
        Self { broker, metrics, bound: Some(Bound { agent, calls }) }
    }

    /// Who calls, as its key stands now, and how its client presents itself in this request; refused
    /// where it may not call any more, or not so often.
    async fn caller(&self, context: &RequestContext<RoleServer>) -> Result<Agent, Refused> {
        let (agent, client) = match &self.bound {
            Some(bound) => (self.known(bound).await?, context.client_info()),
            // Whoever let it in has found its key and counted the request. Without sessions there
            // is no handshake to remember: what rmcp falls back on is its own name.
            None => (request_agent(context)?, context.meta.client_info()),
        };
        let claimed = client.as_ref().map(claimed_client);
        let client = claimed.or(agent.claims.client.clone());
        Ok(Agent { claims: Claims { client, ..agent.claims }, ..agent })
    }

    /// The agent at the other end, which was let in once: as its key stands now, and counted.
    async fn known(&self, bound: &Bound) -> Result<Agent, Refused> {
        let before = bound.agent.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let agent = self.broker.refreshed(&before).await?;
        if agent.revision != before.revision {
            *bound.agent.lock().unwrap_or_else(PoisonError::into_inner) = agent.clone();
        }
        self.broker.admit_request(&agent).await?;
        Ok(agent)
    }

    /// Whose request this is, as far as it was let in before: nothing is counted and nothing asked.
    fn known_agent(&self, context: &RequestContext<RoleServer>) -> Result<Agent, Refused> {
        match &self.bound {
            Some(bound) => Ok(bound.agent.lock().unwrap_or_else(PoisonError::into_inner).clone()),
            None => request_agent(context),
        }
    }

    /// [`Self::caller`], where there is no result to put a refusal in.
    async fn caller_or_error(
        &self,
        context: &RequestContext<RoleServer>,
    ) -> Result<Agent, ErrorData> {
        self.caller(context).await.map_err(|refused| error(&refused))
    }

    /// A place among the calls of this connection; HTTP has its own limits.
    fn place(&self) -> Result<Option<OwnedSemaphorePermit>, Refused> {
        let Some(bound) = &self.bound else { return Ok(None) };
        match Arc::clone(&bound.calls).try_acquire_owned() {
            Ok(place) => Ok(Some(place)),
            Err(_full) => Err(Refused::new(
                Code::StoreBusy,
                format!("{CALLS_MAX} calls of this connection are under way"),
                "Wait for some of them to be answered.",
            )),
        }
    }
}

/// What each request comes to. None of it leaves but through [`Outlet`].
impl Door {
    async fn ping(&self, context: &RequestContext<RoleServer>) -> Result<(), ErrorData> {
        self.caller_or_error(context).await.map(drop)
    }

    /// The tools that this key may use.
    async fn tools(&self, context: &RequestContext<RoleServer>) -> Result<Vec<Tool>, ErrorData> {
        let agent = self.caller_or_error(context).await?;
        Ok(Tool::ALL.into_iter().filter(|tool| tool.check(&agent).is_ok()).collect())
    }

    async fn call_tool(
        &self,
        request: CallToolRequestParams,
        context: &RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        let Some(tool) = Tool::named(&request.name) else {
            self.caller_or_error(context).await?;
            return Err(ErrorData::invalid_params("there is no such tool", None));
        };
        match self.caller(context).await {
            Ok(agent) => {
                self.call(tool, request.arguments.unwrap_or_default(), &agent, context).await
            }
            Err(refused) => self.refuse(tool, &refused),
        }
    }

    async fn list_resources(
        &self,
        request: Option<PaginatedRequestParams>,
        context: &RequestContext<RoleServer>,
    ) -> Result<ListResourcesResult, ErrorData> {
        let agent = self.caller_or_error(context).await?;
        let cursor = request.and_then(|request| request.cursor).unwrap_or_default();
        self.resources(&agent, cursor).await
    }

    async fn read_resource(
        &self,
        request: ReadResourceRequestParams,
        context: &RequestContext<RoleServer>,
    ) -> Result<ReadResourceResponse, ErrorData> {
        let agent = self.caller_or_error(context).await?;
        self.resource(&agent, request, context).await
    }

    async fn get_task(
        &self,
        task: &str,
        context: &RequestContext<RoleServer>,
    ) -> Result<GetTaskResult, ErrorData> {
        let agent = self.caller_or_error(context).await?;
        self.task(&agent, task).await
    }

    async fn update_task(
        &self,
        task: &str,
        context: &RequestContext<RoleServer>,
    ) -> Result<(), ErrorData> {
        // Our tasks ask their client for nothing; whether there is this one is still checked.
        let agent = self.caller_or_error(context).await?;
        self.task_exists(&agent, task).await
    }

    async fn cancel_task(
        &self,
        task: &str,
        context: &RequestContext<RoleServer>,
    ) -> Result<(), ErrorData> {
        let agent = self.caller_or_error(context).await?;
        self.withdraw_task(&agent, task).await
    }

    /// What there is none of here: no answer but an error.
    async fn missing<M: ConstString>(
        &self,
        context: &RequestContext<RoleServer>,
    ) -> Result<Infallible, ErrorData> {
        self.caller_or_error(context).await?;
        Err(ErrorData::method_not_found::<M>())
    }
}

fn request_agent(context: &RequestContext<RoleServer>) -> Result<Agent, Refused> {
    context
        .extensions
        .get::<Parts>()
        .and_then(|parts| parts.extensions.get::<Agent>())
        .cloned()
        .ok_or_else(|| Refused::new(Code::Unauthenticated, "nobody was let in with this", ""))
}

/// A client's own words about itself, on one line.
fn claimed_client(client: &Implementation) -> String {
    text::echo(&format!("{} {}", client.name, client.version), CLAIM_CHARS_MAX)
}

/// A refusal where there is no result to put it in.
fn error(refused: &Refused) -> ErrorData {
    let code = match refused.code.kind() {
        Kind::Invalid => ErrorCode::INVALID_PARAMS,
        Kind::Internal => ErrorCode::INTERNAL_ERROR,
        Kind::Unauthenticated
        | Kind::Forbidden
        | Kind::NotFound
        | Kind::Conflict
        | Kind::Exists
        | Kind::Busy
        | Kind::Unavailable
        | Kind::Unknown => REFUSED,
    };
    let mut data = json!({ "code": refused.code.as_str(), "next": refused.next });
    if let (Some(wait), Some(members)) = (refused.retry_after, data.as_object_mut()) {
        members.insert("retry_after_seconds".to_owned(), wait.as_secs().into());
    }
    ErrorData::new(code, refused.message.clone(), Some(data))
}
