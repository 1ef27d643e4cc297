//! `vouchsafe.v1.Secrets`.

use tonic::{Request, Response, Status, async_trait};
use vouchsafe_proto::v1::secrets_server::Secrets;
use vouchsafe_proto::v1::{
    DeleteSecretRequest, DeleteSecretResponse, ListSecretVersionsRequest,
    ListSecretVersionsResponse, ListSecretsRequest, ListSecretsResponse, PutSecretRequest, Secret,
    ShowSecretRequest,
};

use super::{Door, caller, convert};

#[async_trait]
impl Secrets for Door {
    async fn list_secrets(
        &self,
        request: Request<ListSecretsRequest>,
    ) -> Result<Response<ListSecretsResponse>, Status> {
        let (by, request) = caller(request)?;
        let project = convert::optional("project", request.project)?;
        let pattern = convert::secret_pattern(&request.pattern)?;
        let page = convert::page(request.page)?;
        let found = self.broker.list_secrets(&by, project.clone(), pattern, page).await?;
        let secrets = found.items.iter().map(|one| convert::secret(one, project.as_deref()));
        Ok(Response::new(ListSecretsResponse {
            secrets: secrets.collect(),
            next_token: found.next,
        }))
    }

    async fn show_secret(
        &self,
        request: Request<ShowSecretRequest>,
    ) -> Result<Response<Secret>, Status> {
        let (by, request) = caller(request)?;
        let project = convert::optional("project", request.project)?;
        let path = convert::secret_path(&request.path)?;
        let secret = self.broker.show_secret(&by, project.clone(), path.as_str()).await?;
        Ok(Response::new(convert::secret(&secret, project.as_deref())))
    }

    async fn put_secret(
        &self,
        request: Request<PutSecretRequest>,
    ) -> Result<Response<Secret>, Status> {
        let (by, request) = caller(request)?;
        let put = convert::put_secret(request)?;
        let project = put.project.clone();
        let secret = self.broker.put_secret(&by, put).await?;
        Ok(Response::new(convert::secret(&secret, project.as_deref())))
    }

    async fn list_secret_versions(
        &self,
        request: Request<ListSecretVersionsRequest>,
    ) -> Result<Response<ListSecretVersionsResponse>, Status> {
        let (by, request) = caller(request)?;
        let project = convert::optional("project", request.project)?;
        let path = convert::secret_path(&request.path)?;
        let versions = self.broker.list_secret_versions(&by, project, path.as_str()).await?;
        let versions = versions.iter().map(convert::secret_version).collect();
        Ok(Response::new(ListSecretVersionsResponse { versions }))
    }

    async fn delete_secret(
        &self,
        request: Request<DeleteSecretRequest>,
    ) -> Result<Response<DeleteSecretResponse>, Status> {
        let (by, request) = caller(request)?;
        let project = convert::optional("project", request.project)?;
        let path = convert::secret_path(&request.path)?;
        let reason = convert::reason(request.reason)?;
        let leases_revoked = self.broker.delete_secret(&by, project, path.as_str(), reason).await?;
        Ok(Response::new(DeleteSecretResponse { leases_revoked, purged_at: None }))
    }

    async fn generate_secret(
        &self,
        _request: Request<vouchsafe_proto::v1::GenerateSecretRequest>,
    ) -> Result<Response<Secret>, Status> {
        Err(Status::unimplemented("not yet"))
    }

    async fn rotate_secret(
        &self,
        _request: Request<vouchsafe_proto::v1::RotateSecretRequest>,
    ) -> Result<Response<Secret>, Status> {
        Err(Status::unimplemented("not yet"))
    }

    async fn roll_back_secret(
        &self,
        _request: Request<vouchsafe_proto::v1::RollBackSecretRequest>,
    ) -> Result<Response<Secret>, Status> {
        Err(Status::unimplemented("not yet"))
    }

    async fn update_secret(
        &self,
        _request: Request<vouchsafe_proto::v1::UpdateSecretRequest>,
    ) -> Result<Response<Secret>, Status> {
        Err(Status::unimplemented("not yet"))
    }

    async fn import_secrets(
        &self,
        _request: Request<vouchsafe_proto::v1::ImportSecretsRequest>,
    ) -> Result<Response<vouchsafe_proto::v1::ImportSecretsResponse>, Status> {
        Err(Status::unimplemented("not yet"))
    }

    async fn undelete_secret(
        &self,
        _request: Request<vouchsafe_proto::v1::UndeleteSecretRequest>,
    ) -> Result<Response<Secret>, Status> {
        Err(Status::unimplemented("not yet"))
    }
}
