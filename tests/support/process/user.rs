//! A person at the gRPC door.
#![expect(clippy::unwrap_used, reason = "a test whose user cannot come in ends")]

use std::path::Path;

use hyper_util::rt::TokioIo;
use tokio::net::UnixStream;
use tonic::metadata::AsciiMetadataValue;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::{Channel, Endpoint, Uri};
use tonic::{Request, Status};
use vouchsafe_core::key::RATE_MAX;
use vouchsafe_proto::v1::approvals_client::ApprovalsClient;
use vouchsafe_proto::v1::keys_client::KeysClient;
use vouchsafe_proto::v1::leases_client::LeasesClient;
use vouchsafe_proto::v1::secrets_client::SecretsClient;
use vouchsafe_proto::v1::users_client::UsersClient;
use vouchsafe_proto::v1::{
    Approval, Ballot, CreateKeyRequest, GrantKind, PutSecretRequest, Secret, ShowApprovalRequest,
    VoteRequest, VoteResponse,
};

/// Puts the token on each request.
#[derive(Clone, Debug)]
pub struct SignIn(AsciiMetadataValue);

impl tonic::service::Interceptor for SignIn {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        request.metadata_mut().insert("authorization", self.0.clone());
        Ok(request)
    }
}

/// A channel that signs in.
pub type Door = InterceptedService<Channel, SignIn>;

/// A signed-in user of one daemon. Connects when first used, and anew when the daemon restarts.
#[derive(Clone, Debug)]
pub struct User {
    door: Door,
}

impl User {
    /// By token, over the socket of this home.
    pub fn new(home: &Path, token: &str) -> Self {
        let socket = home.join("grpc.sock");
        let connector = tower::service_fn(move |_: Uri| {
            let socket = socket.clone();
            async move { UnixStream::connect(socket).await.map(TokioIo::new) }
        });
        let channel = Endpoint::from_static("http://vouchsafe.localhost")
            .connect_with_connector_lazy(connector);
        let bearer = format!("Bearer {token}").parse().unwrap();
        Self { door: InterceptedService::new(channel, SignIn(bearer)) }
    }

    /// Asks and votes.
    pub fn approvals(&self) -> ApprovalsClient<Door> {
        ApprovalsClient::new(self.door.clone())
    }

    /// Leases.
    pub fn leases(&self) -> LeasesClient<Door> {
        LeasesClient::new(self.door.clone())
    }

    /// Secrets.
    pub fn secrets(&self) -> SecretsClient<Door> {
        SecretsClient::new(self.door.clone())
    }

    /// Keys.
    pub fn keys(&self) -> KeysClient<Door> {
        KeysClient::new(self.door.clone())
    }

    /// People.
    pub fn users(&self) -> UsersClient<Door> {
        UsersClient::new(self.door.clone())
    }

    /// Makes an MCP key that may make as many requests as a test can; returns its value.
    pub async fn create_key(&self, name: &str, scopes: &[&str]) -> Result<String, Status> {
        let request = CreateKeyRequest {
            name: name.to_owned(),
            scopes: scopes.iter().map(|&scope| scope.to_owned()).collect(),
            rate: RATE_MAX,
            ..CreateKeyRequest::default()
        };
        Ok(self.keys().create_key(request).await?.into_inner().value)
    }

    /// Puts a secret.
    pub async fn put(&self, path: &str, value: &[u8]) -> Result<Secret, Status> {
        let request = PutSecretRequest {
            path: path.to_owned(),
            value: value.to_vec(),
            ..PutSecretRequest::default()
        };
        Ok(self.secrets().put_secret(request).await?.into_inner())
    }

    /// One ask.
    pub async fn show(&self, id: &str) -> Result<Approval, Status> {
        let request = ShowApprovalRequest { id: id.to_owned() };
        Ok(self.approvals().show_approval(request).await?.into_inner())
    }

    /// Answers an ask, having seen its digest.
    pub async fn vote(
        &self,
        id: &str,
        digest: &str,
        ballot: Ballot,
    ) -> Result<VoteResponse, Status> {
        let request = VoteRequest {
            id: id.to_owned(),
            ballot: ballot.into(),
            digest: digest.to_owned(),
            reason: "for the test".to_owned(),
            rendering_digest: "ab".repeat(32),
            kind: match ballot {
                Ballot::Approve => GrantKind::Lease.into(),
                Ballot::Deny | Ballot::Unspecified => 0,
            },
            ..VoteRequest::default()
        };
        Ok(self.approvals().vote(request).await?.into_inner())
    }
}
