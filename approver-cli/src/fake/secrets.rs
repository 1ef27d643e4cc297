//! Secrets that are changed, and not kept. `production/OLD` exists, at version 3.

use tonic::{Code, Request, Response, Status};
use vouchsafe_proto::v1::secrets_server::Secrets as SecretsService;
use vouchsafe_proto::v1::{
    DeleteSecretRequest, DeleteSecretResponse, GenerateSecretRequest, ImportSecretsRequest,
    ImportSecretsResponse, ImportedSecret, ListSecretVersionsRequest, ListSecretVersionsResponse,
    ListSecretsRequest, ListSecretsResponse, PutSecretRequest, RollBackSecretRequest,
    RotateSecretRequest, Secret, SecretVersion, ShowSecretRequest, UndeleteSecretRequest,
    UpdateSecretRequest,
};

use super::{Asked, Book, authenticated, refusal};

pub(super) struct Secrets(pub(super) Book);

/// What is answered, whatever was asked.
fn answer(path: String) -> Response<Secret> {
    let public_key = "-----BEGIN PUBLIC KEY-----\nMC4=\n-----END PUBLIC KEY-----\n".to_owned();
    Response::new(Secret { path, version: 4, public_key, ..Secret::default() })
}

#[tonic::async_trait]
impl SecretsService for Secrets {
    async fn list_secrets(
        &self,
        request: Request<ListSecretsRequest>,
    ) -> Result<Response<ListSecretsResponse>, Status> {
        authenticated(&request)?;
        self.0.write(Asked::ListSecrets(request.into_inner()));
        let secrets = vec![Secret { path: "production/OLD".to_owned(), ..Secret::default() }];
        Ok(Response::new(ListSecretsResponse { secrets, next_token: String::new() }))
    }

    async fn show_secret(
        &self,
        request: Request<ShowSecretRequest>,
    ) -> Result<Response<Secret>, Status> {
        authenticated(&request)?;
        Ok(answer(request.into_inner().path))
    }

    async fn put_secret(
        &self,
        request: Request<PutSecretRequest>,
    ) -> Result<Response<Secret>, Status> {
        authenticated(&request)?;
        let request = request.into_inner();
        self.0.write(Asked::PutSecret(request.clone()));
        Ok(answer(request.path))
    }

    async fn list_secret_versions(
        &self,
        request: Request<ListSecretVersionsRequest>,
    ) -> Result<Response<ListSecretVersionsResponse>, Status> {
        authenticated(&request)?;
        let versions = vec![SecretVersion { version: 4, current: true, ..Default::default() }];
        Ok(Response::new(ListSecretVersionsResponse { versions }))
    }

    async fn generate_secret(
        &self,
        request: Request<GenerateSecretRequest>,
    ) -> Result<Response<Secret>, Status> {
        authenticated(&request)?;
        let request = request.into_inner();
        self.0.write(Asked::GenerateSecret(request.clone()));
        Ok(answer(request.path))
    }

    async fn rotate_secret(
        &self,
        request: Request<RotateSecretRequest>,
    ) -> Result<Response<Secret>, Status> {
        authenticated(&request)?;
        let request = request.into_inner();
        self.0.write(Asked::RotateSecret(request.clone()));
        Ok(answer(request.path))
    }

    async fn roll_back_secret(
        &self,
        request: Request<RollBackSecretRequest>,
    ) -> Result<Response<Secret>, Status> {
        authenticated(&request)?;
        let request = request.into_inner();
        self.0.write(Asked::RollBackSecret(request.clone()));
        Ok(answer(request.path))
    }

    async fn update_secret(
        &self,
        request: Request<UpdateSecretRequest>,
    ) -> Result<Response<Secret>, Status> {
        authenticated(&request)?;
        let request = request.into_inner();
        self.0.write(Asked::UpdateSecret(request.clone()));
        Ok(answer(request.path))
    }

    /// `TAKEN` can never be put; what does not expect the version that is there is refused.
    async fn import_secrets(
        &self,
        request: Request<ImportSecretsRequest>,
    ) -> Result<Response<ImportSecretsResponse>, Status> {
        authenticated(&request)?;
        let request = request.into_inner();
        self.0.write(Asked::ImportSecrets(request.clone()));
        let before = |path: &str| if path == "production/OLD" { 3 } else { 0 };
        let moved = request.items.iter().any(|item| {
            item.expected_version.is_some_and(|expected| expected != before(&item.path))
        });
        if moved || (!request.dry_run && request.items.iter().any(|i| i.expected_version.is_none()))
        {
            let message = "it has moved on";
            return Err(refusal(Code::FailedPrecondition, "VERSION_CONFLICT", message, "look"));
        }
        let secrets = request.items.into_iter().rev().map(|item| {
            let before = before(&item.path);
            let problem = if item.path.ends_with("TAKEN") { "it is taken" } else { "" };
            let problem = problem.to_owned();
            ImportedSecret { path: item.path, before, after: before + 1, problem }
        });
        Ok(Response::new(ImportSecretsResponse { secrets: secrets.collect() }))
    }

    async fn delete_secret(
        &self,
        request: Request<DeleteSecretRequest>,
    ) -> Result<Response<DeleteSecretResponse>, Status> {
        authenticated(&request)?;
        self.0.write(Asked::DeleteSecret(request.into_inner()));
        let purged_at = Some(prost_types::Timestamp { seconds: 4_000_000_000, nanos: 0 });
        Ok(Response::new(DeleteSecretResponse { leases_revoked: 2, purged_at }))
    }

    async fn undelete_secret(
        &self,
        request: Request<UndeleteSecretRequest>,
    ) -> Result<Response<Secret>, Status> {
        authenticated(&request)?;
        let request = request.into_inner();
        self.0.write(Asked::UndeleteSecret(request.clone()));
        Ok(answer(request.path))
    }
}
