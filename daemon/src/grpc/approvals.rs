//! `vouchsafe.v1.Approvals`.

use tonic::{Request, Response, Status, async_trait};
use vouchsafe_proto::v1::approvals_server::Approvals;
use vouchsafe_proto::v1::{
    Approval, ApprovalEvent, ListApprovalsRequest, ListApprovalsResponse, ShowApprovalRequest,
    ShowStatsRequest, ShowStatsResponse, SuggestRulesRequest, SuggestRulesResponse, VoteRequest,
    VoteResponse, WatchApprovalsRequest,
};

use super::streams::Events;
use super::{Door, caller, convert};

#[async_trait]
impl Approvals for Door {
    async fn list_approvals(
        &self,
        request: Request<ListApprovalsRequest>,
    ) -> Result<Response<ListApprovalsResponse>, Status> {
        let (by, mut request) = caller(request)?;
        let page = convert::page(request.page.take())?;
        let filter = convert::approval_filter(request)?;
        let found = self.broker.list_approvals(&by, filter, page).await?;
        let approvals = found.items.iter().map(convert::approval).collect();
        Ok(Response::new(ListApprovalsResponse { approvals, next_token: found.next }))
    }

    async fn show_approval(
        &self,
        request: Request<ShowApprovalRequest>,
    ) -> Result<Response<Approval>, Status> {
        let (by, request) = caller(request)?;
        let view = self.broker.show_approval(&by, &convert::id("id", request.id)?).await?;
        Ok(Response::new(convert::approval(&view)))
    }

    async fn vote(&self, request: Request<VoteRequest>) -> Result<Response<VoteResponse>, Status> {
        let (by, request) = caller(request)?;
        let (view, leases) = self.broker.vote(&by, convert::vote_command(request)?).await?;
        Ok(Response::new(VoteResponse {
            approval: Some(convert::approval(&view)),
            leases: leases.iter().map(convert::lease).collect(),
        }))
    }

    type WatchApprovalsStream = Events<ApprovalEvent>;

    async fn watch_approvals(
        &self,
        request: Request<WatchApprovalsRequest>,
    ) -> Result<Response<Self::WatchApprovalsStream>, Status> {
        let (by, request) = caller(request)?;
        let place = self.place()?;
        let project = convert::optional("project", request.project)?;
        let watch = self.broker.watch_approvals(&by, project).await?;
        Ok(Response::new(self.stream(place, watch, convert::approval_event)))
    }

    async fn show_stats(
        &self,
        request: Request<ShowStatsRequest>,
    ) -> Result<Response<ShowStatsResponse>, Status> {
        let (by, request) = caller(request)?;
        let (project, since, wanted) = convert::stats_wanted(request)?;
        let stats = self.broker.show_stats(&by, project, since, wanted).await?;
        Ok(Response::new(convert::stats(&stats)))
    }

    async fn suggest_rules(
        &self,
        request: Request<SuggestRulesRequest>,
    ) -> Result<Response<SuggestRulesResponse>, Status> {
        let (by, request) = caller(request)?;
        let (project, since, min) = convert::suggestions_wanted(request)?;
        let found = self.broker.suggest_rules(&by, project, since, min).await?;
        Ok(Response::new(convert::suggestions(found)))
    }
}
