//! `vouchsafe.v1.Status`.

use tonic::{Request, Response, Status, async_trait};
use vouchsafe_proto::v1::status_server::Status as StatusService;
use vouchsafe_proto::v1::{
    RotateRootKeyRequest, RotateRootKeyResponse, RunChecksRequest, RunChecksResponse,
    ShowStatusRequest, ShowStatusResponse, WhoAmIRequest, WhoAmIResponse,
};

use super::{Door, caller, convert};

#[async_trait]
impl StatusService for Door {
    async fn show_status(
        &self,
        request: Request<ShowStatusRequest>,
    ) -> Result<Response<ShowStatusResponse>, Status> {
        let (by, ShowStatusRequest {}) = caller(request)?;
        let status = self.broker.status(&by).await?;
        Ok(Response::new(convert::status(status)))
    }

    async fn who_am_i(
        &self,
        request: Request<WhoAmIRequest>,
    ) -> Result<Response<WhoAmIResponse>, Status> {
        let (by, WhoAmIRequest {}) = caller(request)?;
        let user = self.broker.who_am_i(&by).await?;
        Ok(Response::new(convert::who_am_i(&user)))
    }

    async fn run_checks(
        &self,
        request: Request<RunChecksRequest>,
    ) -> Result<Response<RunChecksResponse>, Status> {
        let (by, RunChecksRequest {}) = caller(request)?;
        let results = self.broker.run_checks(&by).await?;
        let results = results.into_iter().map(convert::check_result).collect();
        Ok(Response::new(RunChecksResponse { results }))
    }

    async fn rotate_root_key(
        &self,
        request: Request<RotateRootKeyRequest>,
    ) -> Result<Response<RotateRootKeyResponse>, Status> {
        let (by, RotateRootKeyRequest {}) = caller(request)?;
        let (old_key_id, new_key_id) = self.broker.rotate_root_key(&by).await?;
        Ok(Response::new(RotateRootKeyResponse { old_key_id, new_key_id }))
    }
}
