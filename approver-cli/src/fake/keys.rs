//! Keys that are made and changed, and not kept.

use tonic::{Code, Request, Response, Status};
use vouchsafe_proto::v1::keys_server::Keys as KeysService;
use vouchsafe_proto::v1::{
    CreateKeyRequest, DeleteKeyRequest, DeleteKeyResponse, DisableKeyRequest, EnableKeyRequest,
    Key, KeyWithValue, ListKeysRequest, ListKeysResponse, RegenerateKeyRequest, ShowKeyRequest,
    UpdateKeyRequest,
};

use super::{Asked, Book, authenticated, refusal};

pub(super) struct Keys(pub(super) Book);

#[tonic::async_trait]
impl KeysService for Keys {
    async fn create_key(
        &self,
        request: Request<CreateKeyRequest>,
    ) -> Result<Response<KeyWithValue>, Status> {
        authenticated(&request)?;
        let request = request.into_inner();
        self.0.write(Asked::CreateKey(request.clone()));
        let key =
            Key { name: request.name, scopes: request.scopes, enabled: true, ..Key::default() };
        Ok(Response::new(KeyWithValue { key: Some(key), value: "vs_mcp_fake".to_owned() }))
    }

    async fn list_keys(
        &self,
        request: Request<ListKeysRequest>,
    ) -> Result<Response<ListKeysResponse>, Status> {
        authenticated(&request)?;
        let key = Key { name: "claude-desktop".to_owned(), rate: 60, ..Key::default() };
        Ok(Response::new(ListKeysResponse { keys: vec![key], next_token: String::new() }))
    }

    async fn show_key(&self, request: Request<ShowKeyRequest>) -> Result<Response<Key>, Status> {
        authenticated(&request)?;
        Err(refusal(Code::NotFound, "KEY_NOT_FOUND", "there is no such key", "list them"))
    }

    async fn update_key(
        &self,
        request: Request<UpdateKeyRequest>,
    ) -> Result<Response<Key>, Status> {
        authenticated(&request)?;
        let request = request.into_inner();
        self.0.write(Asked::UpdateKey(request.clone()));
        Ok(Response::new(Key { name: request.name, ..Key::default() }))
    }

    async fn enable_key(&self, _: Request<EnableKeyRequest>) -> Result<Response<Key>, Status> {
        Err(Status::unimplemented("enable"))
    }

    async fn disable_key(&self, _: Request<DisableKeyRequest>) -> Result<Response<Key>, Status> {
        Err(Status::unimplemented("disable"))
    }

    async fn regenerate_key(
        &self,
        _: Request<RegenerateKeyRequest>,
    ) -> Result<Response<KeyWithValue>, Status> {
        Err(Status::unimplemented("regenerate"))
    }

    async fn delete_key(
        &self,
        _: Request<DeleteKeyRequest>,
    ) -> Result<Response<DeleteKeyResponse>, Status> {
        Err(Status::unimplemented("delete"))
    }
}
