//! Stops and broken glasses that change nothing.

use tonic::{Request, Response, Status};
use vouchsafe_proto::v1::emergency_server::Emergency as EmergencyService;
use vouchsafe_proto::v1::{
    BreakGlassRequest, BreakGlassResponse, Lease, ListReviewsRequest, ListReviewsResponse,
    ListStopsRequest, ListStopsResponse, ResumeLeasesRequest, ResumeLeasesResponse, Review,
    ReviewBreakGlassRequest, Stop, StopLeasesRequest, StopLeasesResponse,
};

use super::{Asked, Book, authenticated};

pub(super) struct Emergency(pub(super) Book);

fn stop() -> Stop {
    Stop { what: "all".to_owned(), by: "jane".to_owned(), ..Stop::default() }
}

fn review() -> Review {
    Review { id: "rv_1".to_owned(), by: "jane".to_owned(), ..Review::default() }
}

#[tonic::async_trait]
impl EmergencyService for Emergency {
    async fn stop_leases(
        &self,
        request: Request<StopLeasesRequest>,
    ) -> Result<Response<StopLeasesResponse>, Status> {
        authenticated(&request)?;
        self.0.write(Asked::Stop(request.into_inner()));
        Ok(Response::new(StopLeasesResponse { stop: Some(stop()), ..Default::default() }))
    }

    async fn resume_leases(
        &self,
        request: Request<ResumeLeasesRequest>,
    ) -> Result<Response<ResumeLeasesResponse>, Status> {
        authenticated(&request)?;
        self.0.write(Asked::Resume(request.into_inner()));
        Ok(Response::new(ResumeLeasesResponse { ended: Some(stop()), ..Default::default() }))
    }

    async fn list_stops(
        &self,
        request: Request<ListStopsRequest>,
    ) -> Result<Response<ListStopsResponse>, Status> {
        authenticated(&request)?;
        Ok(Response::new(ListStopsResponse { stops: vec![stop()] }))
    }

    async fn break_glass(
        &self,
        request: Request<BreakGlassRequest>,
    ) -> Result<Response<BreakGlassResponse>, Status> {
        authenticated(&request)?;
        self.0.write(Asked::BreakGlass(request.into_inner()));
        let lease = Lease { id: "ls_1".to_owned(), ..Lease::default() };
        let told = vec!["joe".to_owned()];
        let answer = BreakGlassResponse { lease: Some(lease), review: Some(review()), told };
        Ok(Response::new(answer))
    }

    async fn list_reviews(
        &self,
        request: Request<ListReviewsRequest>,
    ) -> Result<Response<ListReviewsResponse>, Status> {
        authenticated(&request)?;
        Ok(Response::new(ListReviewsResponse { reviews: vec![review()] }))
    }

    async fn review_break_glass(
        &self,
        request: Request<ReviewBreakGlassRequest>,
    ) -> Result<Response<Review>, Status> {
        authenticated(&request)?;
        self.0.write(Asked::Review(request.into_inner()));
        Ok(Response::new(Review { reviewer: "joe".to_owned(), ..review() }))
    }
}
