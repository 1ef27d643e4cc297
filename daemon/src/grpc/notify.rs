//! `vouchsafe.v1.Notify`.

use tonic::{Request, Response, Status, async_trait};
use vouchsafe_proto::v1::notify_server::Notify;
use vouchsafe_proto::v1::{
    ListChannelsRequest, ListChannelsResponse, ListDeliveriesRequest, ListDeliveriesResponse,
    RetryDeliveryRequest, RetryDeliveryResponse, TestChannelRequest, TestChannelResponse,
};

use super::Door;

#[async_trait]
impl Notify for Door {
    async fn list_channels(
        &self,
        _request: Request<ListChannelsRequest>,
    ) -> Result<Response<ListChannelsResponse>, Status> {
        Err(Status::unimplemented("to come"))
    }

    async fn test_channel(
        &self,
        _request: Request<TestChannelRequest>,
    ) -> Result<Response<TestChannelResponse>, Status> {
        Err(Status::unimplemented("to come"))
    }

    async fn list_deliveries(
        &self,
        _request: Request<ListDeliveriesRequest>,
    ) -> Result<Response<ListDeliveriesResponse>, Status> {
        Err(Status::unimplemented("to come"))
    }

    async fn retry_delivery(
        &self,
        _request: Request<RetryDeliveryRequest>,
    ) -> Result<Response<RetryDeliveryResponse>, Status> {
        Err(Status::unimplemented("to come"))
    }
}
