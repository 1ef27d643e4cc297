//! People who speak gRPC over the home's Unix socket.
#![expect(clippy::unwrap_used, reason = "a test's client has nobody to report to")]

use std::path::Path;

use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::UnixStream;
use tonic::codegen::InterceptedService;
use tonic::metadata::AsciiMetadataValue;
use tonic::service::Interceptor;
use tonic::transport::{Channel, Endpoint, Uri};
use tonic::{Request, Status};
use tonic_types::StatusExt as _;
use vouchsafe_proto::v1::approvals_client::ApprovalsClient;
use vouchsafe_proto::v1::audit_client::AuditClient;
use vouchsafe_proto::v1::emergency_client::EmergencyClient;
use vouchsafe_proto::v1::export_audit_response::Part;
use vouchsafe_proto::v1::keys_client::KeysClient;
use vouchsafe_proto::v1::leases_client::LeasesClient;
use vouchsafe_proto::v1::notify_client::NotifyClient;
use vouchsafe_proto::v1::policy_client::PolicyClient;
use vouchsafe_proto::v1::projects_client::ProjectsClient;
use vouchsafe_proto::v1::revoke_leases_request::Which;
use vouchsafe_proto::v1::secrets_client::SecretsClient;
use vouchsafe_proto::v1::status_client::StatusClient;
use vouchsafe_proto::v1::users_client::UsersClient;
use vouchsafe_proto::v1::{
    Approval, ApprovalStatus, AuditFilter, Ballot, ExportAuditRequest, Lease, ListApprovalsRequest,
    PageRequest, PutSecretRequest, QueryAuditRequest, RevokeLeasesRequest, Secret,
    ShowApprovalRequest, ShowLeaseRequest, VoteRequest, VoteResponse,
};

use crate::events::{eventually, within};

/// One person with their token.
#[derive(Clone, Debug)]
pub struct Person {
    channel: Channel,
    bearer: Bearer,
}

/// Puts a token, or none, into every request.
#[derive(Clone, Debug)]
pub struct Bearer(Option<AsciiMetadataValue>);

/// The way a person's requests take.
pub type Signed = InterceptedService<Channel, Bearer>;

/// The whole log as it was handed out.
#[derive(Clone, Debug)]
pub struct Export {
    /// The lines, each with its line feed.
    pub lines: Vec<u8>,
    /// The signed checkpoint.
    pub note: String,
    /// The key that it names.
    pub verifier_key: String,
}

/// What a refusal says.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Said {
    /// The gRPC code.
    pub grpc: tonic::Code,
    /// Our code.
    pub code: String,
    /// What happened and why.
    pub message: String,
    /// What to do next.
    pub next: String,
}

impl Interceptor for Bearer {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        if let Some(token) = &self.0 {
            request.metadata_mut().insert("authorization", token.clone());
        }
        Ok(request)
    }
}

/// A connection to the socket at this path.
pub fn connect(socket: &Path) -> Channel {
    let socket = socket.to_owned();
    Endpoint::from_static("http://vouchsafe.invalid").connect_with_connector_lazy(
        tower::service_fn(move |_: Uri| {
            let socket = socket.clone();
            async move { UnixStream::connect(socket).await.map(TokioIo::new) }
        }),
    )
}

/// What a refusal says, in its parts.
pub fn said(status: &Status) -> Said {
    let info = status.get_details_error_info();
    let info = info.as_ref();
    Said {
        grpc: status.code(),
        code: info.map(|info| info.reason.clone()).unwrap_or_default(),
        message: status.message().to_owned(),
        next: info.and_then(|info| info.metadata.get("next").cloned()).unwrap_or_default(),
    }
}

macro_rules! clients {
    ($($name:ident: $client:ident;)*) => {
        $(
            /// The client of this service.
            pub fn $name(&self) -> $client<Signed> {
                $client::with_interceptor(self.channel.clone(), self.bearer.clone())
            }
        )*
    };
}

impl Person {
    /// Somebody with this token, or with none.
    pub fn new(channel: Channel, token: Option<&str>) -> Self {
        let bearer = token.map(|token| format!("Bearer {token}").parse().unwrap());
        Self { channel, bearer: Bearer(bearer) }
    }

    clients! {
        approvals: ApprovalsClient;
        audit: AuditClient;
        emergency: EmergencyClient;
        keys: KeysClient;
        leases: LeasesClient;
        notify: NotifyClient;
        policy: PolicyClient;
        projects: ProjectsClient;
        secrets: SecretsClient;
        status: StatusClient;
        users: UsersClient;
    }

    /// The one connection, for calls by name.
    pub fn channel(&self) -> Signed {
        InterceptedService::new(self.channel.clone(), self.bearer.clone())
    }

    /// Waits until this many approvals are pending, and gives them, oldest first; those of one
    /// moment in any order.
    pub async fn pending(&self, count: usize) -> Vec<Approval> {
        eventually("asks to be pending", || async {
            let mut pending = self.list(&[ApprovalStatus::Pending]).await;
            pending.reverse();
            (pending.len() == count).then_some(pending)
        })
        .await
    }

    /// Waits for the one approval that is pending.
    pub async fn the_pending(&self) -> Approval {
        self.pending(1).await.remove(0)
    }

    /// All approvals in these states, newest first.
    pub async fn list(&self, statuses: &[ApprovalStatus]) -> Vec<Approval> {
        let request = ListApprovalsRequest {
            statuses: statuses.iter().map(|status| i32::from(*status)).collect(),
            page: Some(PageRequest { size: 500, token: String::new() }),
            ..ListApprovalsRequest::default()
        };
        self.approvals().list_approvals(request).await.unwrap().into_inner().approvals
    }

    /// One approval.
    pub async fn show(&self, id: &str) -> Result<Approval, Status> {
        let request = ShowApprovalRequest { id: id.to_owned() };
        self.approvals().show_approval(request).await.map(tonic::Response::into_inner)
    }

    /// Approves as it is shown.
    pub async fn approve(&self, approval: &Approval) -> Result<VoteResponse, Status> {
        self.vote(yes(approval)).await
    }

    /// Denies as it is shown.
    pub async fn deny(&self, approval: &Approval, reason: &str) -> Result<VoteResponse, Status> {
        self.vote(no(approval, reason)).await
    }

    /// Answers.
    pub async fn vote(&self, request: VoteRequest) -> Result<VoteResponse, Status> {
        within("vote", self.approvals().vote(request)).await.map(tonic::Response::into_inner)
    }

    /// One lease.
    pub async fn lease(&self, id: &str) -> Lease {
        let request = ShowLeaseRequest { id: id.to_owned() };
        self.leases().show_lease(request).await.unwrap().into_inner()
    }

    /// Takes leases back.
    pub async fn revoke(&self, which: Which) -> Result<Vec<Lease>, Status> {
        let request = RevokeLeasesRequest {
            project: String::new(),
            reason: "no longer needed".to_owned(),
            which: Some(which),
            dry_run: false,
        };
        self.leases().revoke_leases(request).await.map(|answer| answer.into_inner().revoked)
    }

    /// Makes a secret, or a new version of it.
    pub async fn put(&self, path: &str, value: &str) -> Secret {
        let request = PutSecretRequest {
            path: path.to_owned(),
            value: value.as_bytes().to_vec(),
            ..PutSecretRequest::default()
        };
        self.secrets().put_secret(request).await.unwrap().into_inner()
    }

    /// Entries of the log that this takes, oldest first, 500 at most.
    pub async fn log(&self, filter: AuditFilter) -> Vec<Value> {
        let page = Some(PageRequest { size: 500, token: String::new() });
        let request = QueryAuditRequest { filter: Some(filter), page };
        let answer = self.audit().query_audit(request).await.unwrap().into_inner();
        let lines = answer.entries.iter().rev();
        lines.map(|entry| serde_json::from_str(&entry.line).unwrap()).collect()
    }

    /// Entries of one action, oldest first.
    pub async fn log_of(&self, action: &str) -> Vec<Value> {
        self.log(AuditFilter { action: action.to_owned(), ..AuditFilter::default() }).await
    }

    /// The whole log and its proof.
    pub async fn export(&self) -> Export {
        let mut stream =
            self.audit().export_audit(ExportAuditRequest {}).await.unwrap().into_inner();
        let mut export =
            Export { lines: Vec::new(), note: String::new(), verifier_key: String::new() };
        while let Some(message) = stream.message().await.unwrap() {
            assert!(export.note.is_empty(), "the checkpoint is the last message");
            match message.part.unwrap() {
                Part::Lines(lines) => export.lines.extend(lines),
                Part::Checkpoint(checkpoint) => {
                    export.note = checkpoint.note;
                    export.verifier_key = checkpoint.verifier_key;
                }
            }
        }
        export
    }
}

/// A yes to what is shown.
pub fn yes(approval: &Approval) -> VoteRequest {
    VoteRequest {
        id: approval.id.clone(),
        ballot: Ballot::Approve.into(),
        digest: approval.digest.clone(),
        ..VoteRequest::default()
    }
}

/// A no to what is shown.
pub fn no(approval: &Approval, reason: &str) -> VoteRequest {
    VoteRequest { ballot: Ballot::Deny.into(), reason: reason.to_owned(), ..yes(approval) }
}
