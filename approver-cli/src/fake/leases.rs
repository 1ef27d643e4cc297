//! One lease, which never ends.

use tonic::{Request, Response, Status};
use vouchsafe_proto::v1::leases_server::Leases as LeasesService;
use vouchsafe_proto::v1::{
    Lease, ListLeasesRequest, ListLeasesResponse, ListSessionsRequest, ListSessionsResponse,
    RevokeLeasesRequest, RevokeLeasesResponse, ShowLeaseRequest,
};

use super::{Asked, Book, authenticated};

pub(super) struct Leases(pub(super) Book);

fn lease() -> Lease {
    Lease { id: "ls_1".to_owned(), ..Lease::default() }
}

#[tonic::async_trait]
impl LeasesService for Leases {
    async fn list_leases(
        &self,
        request: Request<ListLeasesRequest>,
    ) -> Result<Response<ListLeasesResponse>, Status> {
        authenticated(&request)?;
        Ok(Response::new(ListLeasesResponse { leases: vec![lease()], ..Default::default() }))
    }

    async fn show_lease(
        &self,
        request: Request<ShowLeaseRequest>,
    ) -> Result<Response<Lease>, Status> {
        authenticated(&request)?;
        Ok(Response::new(lease()))
    }

    async fn revoke_leases(
        &self,
        request: Request<RevokeLeasesRequest>,
    ) -> Result<Response<RevokeLeasesResponse>, Status> {
        authenticated(&request)?;
        self.0.write(Asked::Revoke(request.into_inner()));
        Ok(Response::new(RevokeLeasesResponse { revoked: vec![lease()], sessions_ended: 0 }))
    }

    async fn list_sessions(
        &self,
        request: Request<ListSessionsRequest>,
    ) -> Result<Response<ListSessionsResponse>, Status> {
        authenticated(&request)?;
        Ok(Response::new(ListSessionsResponse::default()))
    }
}
