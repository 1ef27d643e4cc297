//! `vouchsafe.v1.Keys`.

use tonic::{Request, Response, Status, async_trait};
use vouchsafe_proto::v1::keys_server::Keys;
use vouchsafe_proto::v1::{
    CreateKeyRequest, DeleteKeyRequest, DeleteKeyResponse, DisableKeyRequest, EnableKeyRequest,
    Key, KeyWithValue, ListKeysRequest, ListKeysResponse, RegenerateKeyRequest, ShowKeyRequest,
    UpdateKeyRequest,
};

use super::{Door, caller, convert};

#[async_trait]
impl Keys for Door {
    async fn create_key(
        &self,
        request: Request<CreateKeyRequest>,
    ) -> Result<Response<KeyWithValue>, Status> {
        let (by, request) = caller(request)?;
        let (key, value) = self.broker.create_key(&by, convert::new_key(request)?).await?;
        Ok(Response::new(convert::key_with_value(&key, &value)))
    }

    async fn list_keys(
        &self,
        request: Request<ListKeysRequest>,
    ) -> Result<Response<ListKeysResponse>, Status> {
        let (by, request) = caller(request)?;
        let project = convert::optional("project", request.project)?;
        let found = self.broker.list_keys(&by, project, convert::page(request.page)?).await?;
        let keys = found.items.iter().map(convert::key).collect();
        Ok(Response::new(ListKeysResponse { keys, next_token: found.next }))
    }

    async fn show_key(&self, request: Request<ShowKeyRequest>) -> Result<Response<Key>, Status> {
        let (by, request) = caller(request)?;
        let (project, name) = convert::project_and_name(request.project, request.name)?;
        let key = self.broker.show_key(&by, project, &name).await?;
        Ok(Response::new(convert::key(&key)))
    }

    async fn update_key(
        &self,
        request: Request<UpdateKeyRequest>,
    ) -> Result<Response<Key>, Status> {
        let (by, request) = caller(request)?;
        let (project, name, change) = convert::key_change(request)?;
        let key = self.broker.update_key(&by, project, &name, change).await?;
        Ok(Response::new(convert::key(&key)))
    }

    async fn enable_key(
        &self,
        request: Request<EnableKeyRequest>,
    ) -> Result<Response<Key>, Status> {
        let (by, request) = caller(request)?;
        let (project, name) = convert::project_and_name(request.project, request.name)?;
        let key = self.broker.enable_key(&by, project, &name).await?;
        Ok(Response::new(convert::key(&key)))
    }

    async fn disable_key(
        &self,
        request: Request<DisableKeyRequest>,
    ) -> Result<Response<Key>, Status> {
        let (by, request) = caller(request)?;
        let (project, name) = convert::project_and_name(request.project, request.name)?;
        let reason = convert::reason(request.reason)?;
        let key = self.broker.disable_key(&by, project, &name, reason).await?;
        Ok(Response::new(convert::key(&key)))
    }

    async fn regenerate_key(
        &self,
        request: Request<RegenerateKeyRequest>,
    ) -> Result<Response<KeyWithValue>, Status> {
        let (by, request) = caller(request)?;
        let (project, name) = convert::project_and_name(request.project, request.name)?;
        let (key, value) = self.broker.regenerate_key(&by, project, &name).await?;
        Ok(Response::new(convert::key_with_value(&key, &value)))
    }

    async fn delete_key(
        &self,
        request: Request<DeleteKeyRequest>,
    ) -> Result<Response<DeleteKeyResponse>, Status> {
        let (by, request) = caller(request)?;
        let (project, name) = convert::project_and_name(request.project, request.name)?;
        let reason = convert::reason(request.reason)?;
        let gone = self.broker.delete_key(&by, project, &name, reason).await?;
        Ok(Response::new(DeleteKeyResponse {
            leases_revoked: gone.leases_revoked,
            approvals_withdrawn: gone.approvals_withdrawn,
        }))
    }
}
