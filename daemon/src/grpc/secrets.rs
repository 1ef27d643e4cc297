//! `vouchsafe.v1.Secrets`.

use tonic::{Request, Response, Status, async_trait};
use vouchsafe_proto::v1::secrets_server::Secrets;
use vouchsafe_proto::v1::{
    DeleteSecretRequest, DeleteSecretResponse, GenerateSecretRequest, ImportSecretsRequest,
    ImportSecretsResponse, ListSecretVersionsRequest, ListSecretVersionsResponse,
    ListSecretsRequest, ListSecretsResponse, PutSecretRequest, RollBackSecretRequest,
    RotateSecretRequest, Secret, ShowSecretRequest, UndeleteSecretRequest, UpdateSecretRequest,
};

use super::{Door, caller, convert};

#[async_trait]
impl Secrets for Door {
    async fn list_secrets(
        &self,
        request: Request<ListSecretsRequest>,
    ) -> Result<Response<ListSecretsResponse>, Status> {
        let (by, mut request) = caller(request)?;
        let page = convert::page(request.page.take())?;
        let filter = convert::secret_filter(request)?;
        let found = self.broker.list_secrets(&by, filter, page).await?;
        let secrets = found.items.iter().map(convert::secret).collect();
        Ok(Response::new(ListSecretsResponse { secrets, next_token: found.next }))
    }

    async fn show_secret(
        &self,
        request: Request<ShowSecretRequest>,
    ) -> Result<Response<Secret>, Status> {
        let (by, request) = caller(request)?;
        let project = convert::optional("project", request.project)?;
        let path = convert::secret_path(&request.path)?;
        let secret = self.broker.show_secret(&by, project, path.as_str()).await?;
        Ok(Response::new(convert::secret(&secret)))
    }

    async fn put_secret(
        &self,
        request: Request<PutSecretRequest>,
    ) -> Result<Response<Secret>, Status> {
        let (by, request) = caller(request)?;
        let put = convert::put_secret(request)?;
        let secret = self.broker.put_secret(&by, put).await?;
        Ok(Response::new(convert::secret(&secret)))
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

    async fn generate_secret(
        &self,
        request: Request<GenerateSecretRequest>,
    ) -> Result<Response<Secret>, Status> {
        let (by, request) = caller(request)?;
        let wanted = convert::generate_secret(request)?;
        let secret = self.broker.generate_secret(&by, wanted).await?;
        Ok(Response::new(convert::secret(&secret)))
    }

    async fn rotate_secret(
        &self,
        request: Request<RotateSecretRequest>,
    ) -> Result<Response<Secret>, Status> {
        let (by, request) = caller(request)?;
        let project = convert::optional("project", request.project)?;
        let path = convert::secret_path(&request.path)?;
        let secret = self.broker.rotate_secret(&by, project, path.as_str()).await?;
        Ok(Response::new(convert::secret(&secret)))
    }

    async fn roll_back_secret(
        &self,
        request: Request<RollBackSecretRequest>,
    ) -> Result<Response<Secret>, Status> {
        let (by, request) = caller(request)?;
        let project = convert::optional("project", request.project)?;
        let path = convert::secret_path(&request.path)?;
        let to = request.to_version;
        let secret = self.broker.roll_back_secret(&by, project, path.as_str(), to).await?;
        Ok(Response::new(convert::secret(&secret)))
    }

    async fn update_secret(
        &self,
        request: Request<UpdateSecretRequest>,
    ) -> Result<Response<Secret>, Status> {
        let (by, request) = caller(request)?;
        let project = convert::optional("project", request.project)?;
        let path = convert::secret_path(&request.path)?;
        let settings = convert::secret_settings(request.settings)?;
        let secret = self.broker.update_secret(&by, project, path.as_str(), settings).await?;
        Ok(Response::new(convert::secret(&secret)))
    }

    async fn import_secrets(
        &self,
        request: Request<ImportSecretsRequest>,
    ) -> Result<Response<ImportSecretsResponse>, Status> {
        let (by, request) = caller(request)?;
        let items = convert::import_items(request.items)?;
        let project = convert::optional("project", request.project)?;
        let imported = if request.dry_run {
            self.broker.plan_import(&by, project, items).await?
        } else {
            self.broker.import_secrets(&by, project, items).await?
        };
        Ok(Response::new(convert::imported(imported)))
    }

    async fn delete_secret(
        &self,
        request: Request<DeleteSecretRequest>,
    ) -> Result<Response<DeleteSecretResponse>, Status> {
        let (by, request) = caller(request)?;
        let project = convert::optional("project", request.project)?;
        let path = convert::secret_path(&request.path)?;
        let reason = convert::reason(request.reason)?;
        let deleted = self.broker.delete_secret(&by, project, path.as_str(), reason).await?;
        Ok(Response::new(convert::deleted_secret(&deleted)))
    }

    async fn undelete_secret(
        &self,
        request: Request<UndeleteSecretRequest>,
    ) -> Result<Response<Secret>, Status> {
        let (by, request) = caller(request)?;
        let project = convert::optional("project", request.project)?;
        let path = convert::secret_path(&request.path)?;
        let id = convert::optional("id", request.id)?;
        let secret = self.broker.undelete_secret(&by, project, path.as_str(), id).await?;
        Ok(Response::new(convert::secret(&secret)))
    }
}
