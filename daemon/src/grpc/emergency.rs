//! `vouchsafe.v1.Emergency`.

use tonic::{Request, Response, Status, async_trait};
use vouchsafe_proto::v1::emergency_server::Emergency;
use vouchsafe_proto::v1::{
    BreakGlassRequest, BreakGlassResponse, ListReviewsRequest, ListReviewsResponse,
    ListStopsRequest, ListStopsResponse, ResumeLeasesRequest, ResumeLeasesResponse, Review,
    ReviewBreakGlassRequest, StopLeasesRequest, StopLeasesResponse,
};

use super::{Door, caller, convert};

#[async_trait]
impl Emergency for Door {
    async fn stop_leases(
        &self,
        request: Request<StopLeasesRequest>,
    ) -> Result<Response<StopLeasesResponse>, Status> {
        let (by, StopLeasesRequest { project, key, reason }) = caller(request)?;
        let what = convert::stop_of(project, key)?;
        let stopped = self.broker.stop_leases(&by, what, convert::reason(reason)?).await?;
        Ok(Response::new(convert::stopped(&stopped)))
    }

    async fn resume_leases(
        &self,
        request: Request<ResumeLeasesRequest>,
    ) -> Result<Response<ResumeLeasesResponse>, Status> {
        let (by, ResumeLeasesRequest { project, key, reason }) = caller(request)?;
        let what = convert::stop_of(project, key)?;
        let resumed = self.broker.resume_leases(&by, what, convert::reason(reason)?).await?;
        Ok(Response::new(convert::resumed(&resumed)))
    }

    async fn list_stops(
        &self,
        request: Request<ListStopsRequest>,
    ) -> Result<Response<ListStopsResponse>, Status> {
        let (by, ListStopsRequest {}) = caller(request)?;
        let stops = self.broker.list_stops(&by).await?;
        Ok(Response::new(ListStopsResponse { stops: stops.iter().map(convert::stop).collect() }))
    }

    async fn break_glass(
        &self,
        request: Request<BreakGlassRequest>,
    ) -> Result<Response<BreakGlassResponse>, Status> {
        let (by, request) = caller(request)?;
        let broken = self.broker.break_glass(&by, convert::glass_command(request)?).await?;
        Ok(Response::new(convert::broken_glass(&broken)))
    }

    async fn list_reviews(
        &self,
        request: Request<ListReviewsRequest>,
    ) -> Result<Response<ListReviewsResponse>, Status> {
        let (by, ListReviewsRequest { project, open }) = caller(request)?;
        let project = convert::optional("project", project)?;
        let reviews = self.broker.list_reviews(&by, project, open).await?;
        let reviews = reviews.iter().map(convert::review).collect();
        Ok(Response::new(ListReviewsResponse { reviews }))
    }

    async fn review_break_glass(
        &self,
        request: Request<ReviewBreakGlassRequest>,
    ) -> Result<Response<Review>, Status> {
        let (by, ReviewBreakGlassRequest { id, justified, note }) = caller(request)?;
        let (id, note) = (convert::id("id", id)?, convert::reason(note)?);
        let review = self.broker.review_break_glass(&by, &id, justified, note).await?;
        Ok(Response::new(convert::review(&review)))
    }
}
