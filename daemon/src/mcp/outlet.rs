//! The one way out: every answer to an agent passes here, over HTTP and over the socket.
//!
//! A [`Door`] serves nobody by itself. What it comes to is searched for the values that the key may
//! not see, and they are masked; where that cannot be done, the answer is withheld. What goes back
//! unsearched is what ties an answer to its request (its id, the token of its progress), which is
//! the client's own, and what rmcp itself says of a message that is no request.

use std::borrow::Cow;
use std::convert::Infallible;

use rmcp::model::{
    CacheScope, CallToolRequestParams, CallToolResponse, CallToolResult, CancelTaskParams,
    CompleteRequestMethod, CompleteRequestParams, CompleteResult, ContentBlock, CustomRequest,
    CustomResult, ErrorCode, GetPromptRequestMethod, GetPromptRequestParams, GetPromptResponse,
    GetTaskParams, GetTaskResult, Implementation, InputRequiredResult, JsonObject,
    ListPromptsRequestMethod, ListPromptsResult, ListResourcesResult, ListToolsResult,
    PaginatedRequestParams, ProgressNotificationParam, ReadResourceRequestParams,
    ReadResourceResponse, ReadResourceResult, ResourceContents, ServerCapabilities, ServerConfig,
    Task, TaskPayload, UpdateTaskParams,
};
use rmcp::service::RequestContext;
use rmcp::{ErrorData, RoleServer, ServerHandler};
use serde_json::Value;
use vouchsafe_core::approval::Pending;
use vouchsafe_core::id::ApprovalId;
use vouchsafe_core::redact::Redactor;
use vouchsafe_core::secret::REDACTED;
use vouchsafe_core::text;
use vouchsafe_core::time::UnixTime;

use super::results::{self, clock};
use super::tools::Tool;
use super::{Door, error};
use crate::broker::Refused;

/// How much of the name of an unknown method is repeated, in characters.
const METHOD_CHARS_MAX: usize = 100;

const INSTRUCTIONS: &str = "Vouchsafe keeps secrets and hands them out when a person has \
    vouched for it. list_secrets tells what there is and what each needs; read_secret asks for a \
    value. Give a reason that says what you need it for: a person reads it and decides by it. \
    When a result says status `pending`, people have been asked: tell the person you work for \
    which approval is waiting, then call await_approval with the approval_id, or the same tool \
    with the same arguments; that asks nobody twice. When it says `denied`, do not ask again. \
    Values are good under a lease: ask again after it ends, release it when you are done, and \
    never write a value into files, logs or messages.";

/// A door with its way out: what rmcp serves.
#[derive(Clone, Debug)]
pub struct Outlet {
    door: Door,
}

/// What an agent can be answered with.
trait Answer: Sized {
    /// Whether it can hold text that is not ours.
    const FOREIGN: bool = true;

    /// Masks what is in it.
    fn mask(&mut self, redactor: &Redactor);

    /// What is answered instead where it may not leave.
    fn withheld(refused: &Refused) -> Result<Self, ErrorData> {
        Err(error(refused))
    }
}

impl Outlet {
    /// The way out of this door.
    pub(super) fn of(door: Door) -> Self {
        Self { door }
    }

    /// Lets an answer out, without the values that its reader may not see.
    async fn out<A: Answer>(
        &self,
        context: &RequestContext<RoleServer>,
        answer: Result<A, ErrorData>,
    ) -> Result<A, ErrorData> {
        if answer.is_ok() && !A::FOREIGN {
            return answer;
        }
        let redactor = match self.door.known_agent(context) {
            Ok(agent) => self.door.broker.redactor_for(&agent).await,
            Err(refused) => Err(refused),
        };
        match (redactor, answer) {
            (Ok(None), answer) => answer,
            (Ok(Some(redactor)), Ok(mut answer)) => {
                answer.mask(&redactor);
                Ok(answer)
            }
            (Ok(Some(redactor)), Err(mut error)) => {
                error.mask(&redactor);
                Err(error)
            }
            (Err(refused), _) => A::withheld(&refused),
        }
    }

    async fn missing<M: rmcp::model::ConstString, T>(
        &self,
        context: &RequestContext<RoleServer>,
    ) -> Result<T, ErrorData> {
        let answer = self.door.missing::<M>(context).await;
        self.out(context, answer).await.map(|never| match never {})
    }
}

impl ServerHandler for Outlet {
    fn get_info(&self) -> ServerConfig {
        let capabilities =
            ServerCapabilities::builder().enable_tools().enable_resources().enable_tasks().build();
        ServerConfig::new(capabilities)
            .with_server_info(
                Implementation::new("vouchsafe", env!("CARGO_PKG_VERSION")).with_title("Vouchsafe"),
            )
            .with_instructions(INSTRUCTIONS)
    }

    async fn ping(&self, context: RequestContext<RoleServer>) -> Result<(), ErrorData> {
        let answer = self.door.ping(&context).await;
        self.out(&context, answer).await
    }

    async fn list_tools(
        &self,
        _request: Option<PaginatedRequestParams>,
        context: RequestContext<RoleServer>,
    ) -> Result<ListToolsResult, ErrorData> {
        let tools = self.door.tools(&context).await;
        let tools = self.out(&context, tools).await?;
        Ok(ListToolsResult::with_all_items(tools.into_iter().map(Tool::describe).collect())
            .with_ttl_ms(0)
            .with_cache_scope(CacheScope::Private))
    }

    async fn call_tool(
        &self,
        request: CallToolRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        let answer = self.door.call_tool(request, &context).await;
        self.out(&context, answer).await
    }

    async fn list_resources(
        &self,
        request: Option<PaginatedRequestParams>,
        context: RequestContext<RoleServer>,
    ) -> Result<ListResourcesResult, ErrorData> {
        let answer = self.door.list_resources(request, &context).await;
        self.out(&context, answer).await
    }

    async fn read_resource(
        &self,
        request: ReadResourceRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<ReadResourceResponse, ErrorData> {
        let answer = self.door.read_resource(request, &context).await;
        self.out(&context, answer).await
    }

    async fn get_task(
        &self,
        request: GetTaskParams,
        context: RequestContext<RoleServer>,
    ) -> Result<GetTaskResult, ErrorData> {
        let answer = self.door.get_task(&request.task_id, &context).await;
        self.out(&context, answer).await
    }

    async fn update_task(
        &self,
        request: UpdateTaskParams,
        context: RequestContext<RoleServer>,
    ) -> Result<(), ErrorData> {
        let answer = self.door.update_task(&request.task_id, &context).await;
        self.out(&context, answer).await
    }

    async fn cancel_task(
        &self,
        request: CancelTaskParams,
        context: RequestContext<RoleServer>,
    ) -> Result<(), ErrorData> {
        let answer = self.door.cancel_task(&request.task_id, &context).await;
        self.out(&context, answer).await
    }

    async fn list_prompts(
        &self,
        _request: Option<PaginatedRequestParams>,
        context: RequestContext<RoleServer>,
    ) -> Result<ListPromptsResult, ErrorData> {
        self.missing::<ListPromptsRequestMethod, _>(&context).await
    }

    async fn get_prompt(
        &self,
        _request: GetPromptRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<GetPromptResponse, ErrorData> {
        self.missing::<GetPromptRequestMethod, _>(&context).await
    }

    async fn complete(
        &self,
        _request: CompleteRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<CompleteResult, ErrorData> {
        self.missing::<CompleteRequestMethod, _>(&context).await
    }

    async fn on_custom_request(
        &self,
        request: CustomRequest,
        context: RequestContext<RoleServer>,
    ) -> Result<CustomResult, ErrorData> {
        let method = text::echo(&request.method, METHOD_CHARS_MAX);
        let unknown = ErrorData::new(ErrorCode::METHOD_NOT_FOUND, method, None);
        let answer: Result<Infallible, _> = Err(unknown);
        self.out(&context, answer).await.map(|never| match never {})
    }
}

/// What a client is told while it waits. All that is in it was made here.
#[derive(Clone, Copy, Debug)]
pub(super) struct Waiting {
    approval: ApprovalId,
    until: UnixTime,
}

impl Waiting {
    pub(super) fn on(pending: &Pending) -> Self {
        Self { approval: pending.ask.id, until: pending.deadline().wall }
    }

    /// Tells the client, the `nth` time, if it asked for that; whether it got through.
    pub(super) async fn tell(self, nth: u32, context: &RequestContext<RoleServer>) -> bool {
        let Some(token) = context.meta.get_progress_token() else { return true };
        let message =
            format!("waiting for approval {} (expires {})", self.approval, clock(self.until));
        let message = ProgressNotificationParam::new(token, f64::from(nth)).with_message(message);
        context.peer.notify_progress(message).await.is_ok()
    }
}

impl Answer for () {
    const FOREIGN: bool = false;

    fn mask(&mut self, _redactor: &Redactor) {}
}

impl Answer for Infallible {
    const FOREIGN: bool = false;

    fn mask(&mut self, _redactor: &Redactor) {}
}

impl Answer for Vec<Tool> {
    // Our own tools, described in our own words.
    const FOREIGN: bool = false;

    fn mask(&mut self, _redactor: &Redactor) {}
}

impl Answer for ErrorData {
    fn mask(&mut self, redactor: &Redactor) {
        if let Cow::Owned(masked) = redactor.redact(&self.message) {
            self.message = masked.into();
        }
        if let Some(data) = &mut self.data {
            redactor.redact_json(data);
        }
    }
}

impl Answer for CallToolResponse {
    fn mask(&mut self, redactor: &Redactor) {
        match self {
            Self::Complete(result) => mask_result(result, redactor),
            Self::InputRequired(result) => mask_input(result, redactor),
            Self::Task(created) => mask_task(&mut created.task, redactor),
            // What rmcp may add one day, and we do not answer with.
            _ => *self = CallToolResult::error(vec![ContentBlock::text(REDACTED)]).into(),
        }
    }

    fn withheld(refused: &Refused) -> Result<Self, ErrorData> {
        Ok(results::refused(refused).into_result().into())
    }
}

impl Answer for GetTaskResult {
    fn mask(&mut self, redactor: &Redactor) {
        mask_task(&mut self.task.task, redactor);
        match &mut self.task.payload {
            TaskPayload::Completed { result } => mask_completed(result, redactor),
            TaskPayload::Failed { error } => mask_members(error, redactor),
            TaskPayload::Working | TaskPayload::Cancelled => {}
            // Our tasks ask for nothing, and come to nothing else.
            other => *other = TaskPayload::Working,
        }
    }
}

impl Answer for ListResourcesResult {
    fn mask(&mut self, redactor: &Redactor) {
        for resource in &mut self.resources {
            mask_text(&mut resource.uri, redactor);
            mask_text(&mut resource.name, redactor);
            mask_some(&mut resource.title, redactor);
            mask_some(&mut resource.description, redactor);
        }
        mask_some(&mut self.next_cursor, redactor);
    }
}

impl Answer for ReadResourceResponse {
    fn mask(&mut self, redactor: &Redactor) {
        match self {
            Self::Complete(ReadResourceResult { contents, .. }) => {
                for contents in contents {
                    mask_contents(contents, redactor);
                }
            }
            Self::InputRequired(result) => mask_input(result, redactor),
            _ => *self = ReadResourceResult::new(Vec::new()).into(),
        }
    }
}

/// The text of a result is its structured content, before and after.
fn mask_result(result: &mut CallToolResult, redactor: &Redactor) {
    if let Some(content) = &mut result.structured_content {
        if redactor.redact_json(content) {
            result.content = vec![ContentBlock::text(content.to_string())];
        }
        return;
    }
    for block in &mut result.content {
        match block {
            ContentBlock::Text(block) => mask_text(&mut block.text, redactor),
            // None of our tools answers with anything but text.
            _ => *block = ContentBlock::text(REDACTED),
        }
    }
}

fn mask_completed(result: &mut JsonObject, redactor: &Redactor) {
    let called = serde_json::from_value::<CallToolResult>(Value::Object(result.clone()));
    let masked = called.and_then(|mut called| {
        mask_result(&mut called, redactor);
        serde_json::to_value(called)
    });
    match masked {
        Ok(Value::Object(masked)) => *result = masked,
        Ok(_) | Err(_) => mask_members(result, redactor),
    }
}

fn mask_members(members: &mut JsonObject, redactor: &Redactor) {
    let mut value = Value::Object(std::mem::take(members));
    redactor.redact_json(&mut value);
    if let Value::Object(masked) = value {
        *members = masked;
    }
}

fn mask_task(task: &mut Task, redactor: &Redactor) {
    mask_some(&mut task.status_message, redactor);
}

fn mask_input(result: &mut InputRequiredResult, redactor: &Redactor) {
    // We ask clients for nothing but to come again.
    result.input_requests = None;
    mask_some(&mut result.request_state, redactor);
}

fn mask_contents(contents: &mut ResourceContents, redactor: &Redactor) {
    match contents {
        ResourceContents::TextResourceContents { uri, text, .. } => {
            mask_text(uri, redactor);
            mask_text(text, redactor);
        }
        ResourceContents::BlobResourceContents { uri, blob, .. } => {
            mask_text(uri, redactor);
            mask_text(blob, redactor);
        }
        _ => *contents = ResourceContents::text(REDACTED, ""),
    }
}

fn mask_some(text: &mut Option<String>, redactor: &Redactor) {
    if let Some(text) = text {
        mask_text(text, redactor);
    }
}

fn mask_text(text: &mut String, redactor: &Redactor) {
    if let Cow::Owned(masked) = redactor.redact(text) {
        *text = masked;
    }
}
