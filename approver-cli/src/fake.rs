//! A daemon that knows one approval, on a real Unix socket, for the tests of this crate.

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
use vouchsafe_proto::v1::{
    Approval, ApprovalEvent, ApprovalStatus, ListApprovalsRequest, ListApprovalsResponse,
    ShowApprovalRequest, VoteRequest, VoteResponse, WatchApprovalsRequest,
};

use crate::card::tests::approval;
use crate::home::{self, Home};

pub(crate) const TOKEN: &str = "vs_user_fake";

/// Running until it is dropped.
pub(crate) struct Fake {
    pub(crate) votes: Arc<Mutex<Vec<VoteRequest>>>,
    _tasks: JoinSet<()>,
}

/// Listens in this home, whose credentials it writes.
pub(crate) fn start(home: &Home) -> Fake {
    let credentials = format!("user = \"admin\"\ntoken = \"{TOKEN}\"\n");
    home::write_private(&home.credentials_file(), credentials.as_bytes()).unwrap();
    let listener = UnixListener::bind(home.grpc_socket()).unwrap();
    let votes = Arc::new(Mutex::new(Vec::new()));
    let service = ApprovalsServer::new(OneApproval { votes: Arc::clone(&votes) });
    let mut tasks = JoinSet::new();
    tasks.spawn(async move {
        let incoming = UnixListenerStream::new(listener);
        Server::builder().add_service(service).serve_with_incoming(incoming).await.unwrap();
    });
    Fake { votes, _tasks: tasks }
}

struct OneApproval {
    votes: Arc<Mutex<Vec<VoteRequest>>>,
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
impl Approvals for OneApproval {
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
        if approval().id.starts_with(&request.get_ref().id) {
            return Ok(Response::new(approval()));
        }
        Err(refusal(Code::NotFound, "APPROVAL_NOT_FOUND", "there is no such approval", "list them"))
    }

    async fn vote(&self, request: Request<VoteRequest>) -> Result<Response<VoteResponse>, Status> {
        authenticated(&request)?;
        let vote = request.into_inner();
        let mut votes = self.votes.lock().unwrap();
        if !votes.is_empty() {
            let message = "it was approved by jane already";
            return Err(refusal(Code::FailedPrecondition, "APPROVAL_SETTLED", message, "rest"));
        }
        votes.push(vote);
        let mut approval = approval();
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
}
