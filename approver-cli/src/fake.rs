//! A daemon that knows two approvals, and writes down what else it is asked, on a real Unix socket,
//! for the tests of this crate.

mod emergency;
mod keys;
mod leases;
mod notify;
mod secrets;
mod users;

use std::collections::HashMap;
use std::pin::Pin;
use std::sync::{Arc, Mutex};

use futures_util::{Stream, StreamExt as _, stream};
use tokio::net::UnixListener;
use tokio::task::JoinSet;
use tokio_stream::wrappers::UnixListenerStream;
use tonic::transport::Server;
use tonic::{Code, Request, Response, Status};
use tonic_types::{ErrorDetails, StatusExt as _};
use vouchsafe_proto::v1::approvals_server::{Approvals, ApprovalsServer};
use vouchsafe_proto::v1::emergency_server::EmergencyServer;
use vouchsafe_proto::v1::keys_server::KeysServer;
use vouchsafe_proto::v1::leases_server::LeasesServer;
use vouchsafe_proto::v1::notify_server::NotifyServer;
use vouchsafe_proto::v1::secrets_server::SecretsServer;
use vouchsafe_proto::v1::users_server::UsersServer;
use vouchsafe_proto::v1::{
    AnswerStats, Approval, ApprovalEvent, ApprovalStatus, BreakGlassRequest, CreateKeyRequest,
    DeleteSecretRequest, GenerateSecretRequest, ImportSecretsRequest, ListApprovalsRequest,
    ListApprovalsResponse, ListDeliveriesRequest, ListSecretsRequest, PutSecretRequest,
    ResumeLeasesRequest, RetryDeliveryRequest, ReviewBreakGlassRequest, RevokeLeasesRequest,
    RollBackSecretRequest, RotateSecretRequest, ShowApprovalRequest, ShowStatsRequest,
    ShowStatsResponse, StopLeasesRequest, SuggestRulesRequest, SuggestRulesResponse, SuggestedRule,
    UndeleteSecretRequest, UpdateKeyRequest, UpdateSecretRequest, UpdateUserRequest, VoteRequest,
    VoteResponse, WatchApprovalsRequest,
};

use crate::card::tests::approval;
use crate::home::{self, Home};

pub(crate) const TOKEN: &str = "vs_user_fake";

/// Running until it is dropped.
pub(crate) struct Fake {
    pub(crate) votes: Arc<Mutex<Vec<VoteRequest>>>,
    asked: Book,
    _tasks: JoinSet<()>,
}

/// What it was asked besides, in order.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Asked {
    CreateKey(CreateKeyRequest),
    UpdateKey(UpdateKeyRequest),
    Stop(StopLeasesRequest),
    Resume(ResumeLeasesRequest),
    BreakGlass(BreakGlassRequest),
    Review(ReviewBreakGlassRequest),
    ListSecrets(ListSecretsRequest),
    PutSecret(PutSecretRequest),
    GenerateSecret(GenerateSecretRequest),
    RotateSecret(RotateSecretRequest),
    RollBackSecret(RollBackSecretRequest),
    UpdateSecret(UpdateSecretRequest),
    ImportSecrets(ImportSecretsRequest),
    DeleteSecret(DeleteSecretRequest),
    UndeleteSecret(UndeleteSecretRequest),
    Stats(ShowStatsRequest),
    Suggest(SuggestRulesRequest),
    Revoke(RevokeLeasesRequest),
    UpdateUser(UpdateUserRequest),
    SignIn,
    Deliveries(ListDeliveriesRequest),
    Retry(RetryDeliveryRequest),
}

impl Fake {
    pub(crate) fn asked(&self) -> Vec<Asked> {
        self.asked.0.lock().unwrap().clone()
    }
}

/// Where that is written down.
#[derive(Clone, Default)]
struct Book(Arc<Mutex<Vec<Asked>>>);

impl Book {
    fn write(&self, asked: Asked) {
        self.0.lock().unwrap().push(asked);
    }
}

/// Listens in this home, whose credentials it writes.
pub(crate) fn start(home: &Home) -> Fake {
    let credentials = format!("user = \"admin\"\ntoken = \"{TOKEN}\"\n");
    home::write_private(&home.credentials_file(), credentials.as_bytes()).unwrap();
    let listener = UnixListener::bind(home.grpc_socket()).unwrap();
    let votes = Arc::new(Mutex::new(Vec::new()));
    let asked = Book::default();
    let server = Server::builder()
        .add_service(ApprovalsServer::new(TwoApprovals {
            votes: Arc::clone(&votes),
            asked: asked.clone(),
        }))
        .add_service(LeasesServer::new(leases::Leases(asked.clone())))
        .add_service(KeysServer::new(keys::Keys(asked.clone())))
        .add_service(SecretsServer::new(secrets::Secrets(asked.clone())))
        .add_service(EmergencyServer::new(emergency::Emergency(asked.clone())))
        .add_service(UsersServer::new(users::Users(asked.clone())))
        .add_service(NotifyServer::new(notify::Notify(asked.clone())));
    let mut tasks = JoinSet::new();
    tasks.spawn(async move {
        let incoming = UnixListenerStream::new(listener);
        server.serve_with_incoming(incoming).await.unwrap();
    });
    Fake { votes, asked, _tasks: tasks }
}

struct TwoApprovals {
    votes: Arc<Mutex<Vec<VoteRequest>>>,
    asked: Book,
}

/// The approval that is not listed.
fn other() -> Approval {
    Approval { id: "ap_8m4n0000deadbeef".to_owned(), ..approval() }
}

fn authenticated<T>(request: &Request<T>) -> Result<(), Status> {
    match request.metadata().get("authorization") {
        Some(bearer) if bearer == format!("Bearer {TOKEN}").as_str() => Ok(()),
        _ => Err(refusal(Code::Unauthenticated, "UNAUTHENTICATED", "the token is unknown", "ask")),
    }
}

fn refusal(code: Code, reason: &str, message: &str, next: &str) -> Status {
    let metadata = HashMap::from([("next".to_owned(), next.to_owned())]);
    let details = ErrorDetails::with_error_info(reason, "vouchsafe", metadata);
    Status::with_error_details(code, message, details)
}

#[tonic::async_trait]
impl Approvals for TwoApprovals {
    async fn list_approvals(
        &self,
        request: Request<ListApprovalsRequest>,
    ) -> Result<Response<ListApprovalsResponse>, Status> {
        authenticated(&request)?;
        let approvals = vec![approval()];
        Ok(Response::new(ListApprovalsResponse { approvals, next_token: String::new() }))
    }

    async fn show_approval(
        &self,
        request: Request<ShowApprovalRequest>,
    ) -> Result<Response<Approval>, Status> {
        authenticated(&request)?;
        let known = [approval(), other()];
        let asked = &request.get_ref().id;
        known.into_iter().find(|known| known.id.starts_with(asked)).map(Response::new).ok_or_else(
            || {
                refusal(
                    Code::NotFound,
                    "APPROVAL_NOT_FOUND",
                    "there is no such approval",
                    "list them",
                )
            },
        )
    }

    async fn vote(&self, request: Request<VoteRequest>) -> Result<Response<VoteResponse>, Status> {
        authenticated(&request)?;
        let vote = request.into_inner();
        let mut votes = self.votes.lock().unwrap();
        if votes.iter().any(|known| known.id == vote.id) {
            let message = "it was approved by jane already";
            return Err(refusal(Code::FailedPrecondition, "APPROVAL_SETTLED", message, "rest"));
        }
        let mut approval = Approval { id: vote.id.clone(), ..approval() };
        votes.push(vote);
        approval.status = ApprovalStatus::Approved.into();
        Ok(Response::new(VoteResponse { approval: Some(approval), leases: Vec::new() }))
    }

    type WatchApprovalsStream = Pin<Box<dyn Stream<Item = Result<ApprovalEvent, Status>> + Send>>;

    async fn watch_approvals(
        &self,
        request: Request<WatchApprovalsRequest>,
    ) -> Result<Response<Self::WatchApprovalsStream>, Status> {
        authenticated(&request)?;
        let events = vec![
            Ok(ApprovalEvent { approval: Some(approval()), caught_up: false }),
            Ok(ApprovalEvent { approval: None, caught_up: true }),
        ];
        Ok(Response::new(stream::iter(events).boxed()))
    }

    async fn show_stats(
        &self,
        request: Request<ShowStatsRequest>,
    ) -> Result<Response<ShowStatsResponse>, Status> {
        authenticated(&request)?;
        self.asked.write(Asked::Stats(request.into_inner()));
        let answers = AnswerStats { approver: "jane".to_owned(), answers: 3, ..Default::default() };
        Ok(Response::new(ShowStatsResponse { answers: vec![answers], cut: true, since: None }))
    }

    async fn suggest_rules(
        &self,
        request: Request<SuggestRulesRequest>,
    ) -> Result<Response<SuggestRulesResponse>, Status> {
        authenticated(&request)?;
        self.asked.write(Asked::Suggest(request.into_inner()));
        let rule = SuggestedRule { toml: "[[rule]]\n".to_owned(), ..Default::default() };
        Ok(Response::new(SuggestRulesResponse { rules: vec![rule], cut: true }))
    }
}
