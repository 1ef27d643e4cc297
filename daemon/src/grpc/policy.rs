//! `vouchsafe.v1.Policy`.

use tonic::{Request, Response, Status, async_trait};
use vouchsafe_proto::v1::policy_server::Policy;
use vouchsafe_proto::v1::{
    CheckPolicyRequest, CheckPolicyResponse, ExplainPolicyRequest, ExplainPolicyResponse,
    ReloadPolicyRequest, ReloadPolicyResponse, ReplayPolicyRequest, ReplayPolicyResponse,
    ShowPolicyRequest, ShowPolicyResponse, TestPolicyRequest, TestPolicyResponse,
};

use super::{Door, caller, convert};

#[async_trait]
impl Policy for Door {
    async fn check_policy(
        &self,
        request: Request<CheckPolicyRequest>,
    ) -> Result<Response<CheckPolicyResponse>, Status> {
        let (by, request) = caller(request)?;
        let files = convert::policy_files(request.files)?;
        let checked = self.broker.check_policy(&by, files).await?;
        Ok(Response::new(convert::checked(checked)))
    }

    async fn test_policy(
        &self,
        request: Request<TestPolicyRequest>,
    ) -> Result<Response<TestPolicyResponse>, Status> {
        let (by, request) = caller(request)?;
        let files = convert::policy_files(request.files)?;
        let tested = self.broker.test_policy(&by, files).await?;
        Ok(Response::new(convert::tested(tested)))
    }

    async fn explain_policy(
        &self,
        request: Request<ExplainPolicyRequest>,
    ) -> Result<Response<ExplainPolicyResponse>, Status> {
        let (by, request) = caller(request)?;
        let operation = convert::operation("operation", request.operation)?;
        let ask = convert::explain_ask(request)?;
        let explained = self.broker.explain_policy(&by, ask, operation).await?;
        Ok(Response::new(convert::explained(explained)))
    }

    async fn show_policy(
        &self,
        request: Request<ShowPolicyRequest>,
    ) -> Result<Response<ShowPolicyResponse>, Status> {
        let (by, ShowPolicyRequest { project }) = caller(request)?;
        let project = convert::optional("project", project)?;
        let shown = self.broker.show_policy(&by, project).await?;
        Ok(Response::new(convert::shown_policy(shown)))
    }

    async fn replay_policy(
        &self,
        request: Request<ReplayPolicyRequest>,
    ) -> Result<Response<ReplayPolicyResponse>, Status> {
        let (by, request) = caller(request)?;
        let (files, project, since) = convert::replay_ask(request)?;
        let replayed = self.broker.replay_policy(&by, files, project, since).await?;
        Ok(Response::new(convert::replayed(replayed)))
    }

    async fn reload_policy(
        &self,
        request: Request<ReloadPolicyRequest>,
    ) -> Result<Response<ReloadPolicyResponse>, Status> {
        let (by, ReloadPolicyRequest {}) = caller(request)?;
        let reloaded = self.broker.reload_policy(&by).await?;
        Ok(Response::new(convert::reloaded(reloaded)))
    }
}
