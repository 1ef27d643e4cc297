//! `vouchsafe.v1.Leases`.

use tonic::{Request, Response, Status, async_trait};
use vouchsafe_proto::v1::leases_server::Leases;
use vouchsafe_proto::v1::{
    Lease, ListLeasesRequest, ListLeasesResponse, ListSessionsRequest, ListSessionsResponse,
    RevokeLeasesRequest, RevokeLeasesResponse, ShowLeaseRequest,
};

use super::{Door, caller, convert};

#[async_trait]
impl Leases for Door {
    async fn list_leases(
        &self,
        request: Request<ListLeasesRequest>,
    ) -> Result<Response<ListLeasesResponse>, Status> {
        let (by, mut request) = caller(request)?;
        let page = convert::page(request.page.take())?;
        let found = self.broker.list_leases(&by, convert::lease_filter(request)?, page).await?;
        let leases = found.items.iter().map(convert::lease).collect();
        Ok(Response::new(ListLeasesResponse { leases, next_token: found.next }))
    }

    async fn show_lease(
        &self,
        request: Request<ShowLeaseRequest>,
    ) -> Result<Response<Lease>, Status> {
        let (by, request) = caller(request)?;
        let lease = self.broker.show_lease(&by, &convert::id("id", request.id)?).await?;
        Ok(Response::new(convert::lease(&lease)))
    }

    async fn list_sessions(
        &self,
        request: Request<ListSessionsRequest>,
    ) -> Result<Response<ListSessionsResponse>, Status> {
        let (by, ListSessionsRequest { project, key }) = caller(request)?;
        let project = convert::optional("project", project)?;
        let key = convert::optional("key", key)?;
        let sessions = self.broker.list_sessions(&by, project, key).await?;
        let sessions = sessions.iter().map(convert::session).collect();
        Ok(Response::new(ListSessionsResponse { sessions }))
    }

    async fn revoke_leases(
        &self,
        request: Request<RevokeLeasesRequest>,
    ) -> Result<Response<RevokeLeasesResponse>, Status> {
        let (by, request) = caller(request)?;
        let project = convert::optional("project", request.project)?;
        let reason = convert::reason(request.reason)?;
        let which = convert::which(request.which)?;
        let revoked = if request.dry_run {
            self.broker.leases_to_revoke(&by, project, which).await?
        } else {
            self.broker.revoke_leases(&by, project, which, reason).await?
        };
        let sessions_ended = revoked.sessions;
        let revoked = revoked.leases.iter().map(convert::lease).collect();
        Ok(Response::new(RevokeLeasesResponse { revoked, sessions_ended }))
    }
}
