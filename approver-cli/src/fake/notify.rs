//! Two channels, of which one takes nothing, and a message that was given up.

use tonic::{Code, Request, Response, Status};
use vouchsafe_proto::v1::notify_server::Notify as NotifyService;
use vouchsafe_proto::v1::{
    Channel, Delivery, ListChannelsRequest, ListChannelsResponse, ListDeliveriesRequest,
    ListDeliveriesResponse, RetryDeliveryRequest, RetryDeliveryResponse, TestChannelRequest,
    TestChannelResponse,
};

use super::{Asked, Book, authenticated, refusal};

pub(super) struct Notify(pub(super) Book);

#[tonic::async_trait]
impl NotifyService for Notify {
    async fn list_channels(
        &self,
        request: Request<ListChannelsRequest>,
    ) -> Result<Response<ListChannelsResponse>, Status> {
        authenticated(&request)?;
        let named = |name: &str| Channel { name: name.to_owned(), ..Channel::default() };
        let channels = vec![named("email"), named("slack:dead")];
        Ok(Response::new(ListChannelsResponse { channels }))
    }

    async fn test_channel(
        &self,
        request: Request<TestChannelRequest>,
    ) -> Result<Response<TestChannelResponse>, Status> {
        authenticated(&request)?;
        let TestChannelRequest { channel } = request.into_inner();
        let answer = |delivered, said: &str, to: &str| TestChannelResponse {
            delivered,
            said: said.to_owned(),
            to: to.to_owned(),
        };
        match channel.as_str() {
            "email" => Ok(Response::new(answer(true, "250 queued", "admin@example.com"))),
            "slack:dead" => Ok(Response::new(answer(false, "channel_not_found\u{1b}", ""))),
            _ => Err(refusal(
                Code::InvalidArgument,
                "INVALID_ARGUMENT",
                "there is no channel",
                "choose",
            )),
        }
    }

    async fn list_deliveries(
        &self,
        request: Request<ListDeliveriesRequest>,
    ) -> Result<Response<ListDeliveriesResponse>, Status> {
        authenticated(&request)?;
        self.0.write(Asked::Deliveries(request.into_inner()));
        let deliveries = vec![Delivery { id: "msg_1".to_owned(), ..Delivery::default() }];
        Ok(Response::new(ListDeliveriesResponse { deliveries, next_token: String::new() }))
    }

    async fn retry_delivery(
        &self,
        request: Request<RetryDeliveryRequest>,
    ) -> Result<Response<RetryDeliveryResponse>, Status> {
        authenticated(&request)?;
        self.0.write(Asked::Retry(request.into_inner()));
        Ok(Response::new(RetryDeliveryResponse { queued: 1 }))
    }
}
