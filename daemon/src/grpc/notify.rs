//! `vouchsafe.v1.Notify`.

use tonic::{Request, Response, Status, async_trait};
use vouchsafe_proto::v1::notify_server::Notify;
use vouchsafe_proto::v1::{
    ListChannelsRequest, ListChannelsResponse, ListDeliveriesRequest, ListDeliveriesResponse,
    RetryDeliveryRequest, RetryDeliveryResponse, TestChannelRequest, TestChannelResponse,
};

use super::{Door, caller, convert};

#[async_trait]
impl Notify for Door {
    async fn list_channels(
        &self,
        request: Request<ListChannelsRequest>,
    ) -> Result<Response<ListChannelsResponse>, Status> {
        let (by, ListChannelsRequest {}) = caller(request)?;
        let channels = self.broker.list_channels(&by).await?;
        let channels = channels.iter().map(convert::channel).collect();
        Ok(Response::new(ListChannelsResponse { channels }))
    }

    async fn test_channel(
        &self,
        request: Request<TestChannelRequest>,
    ) -> Result<Response<TestChannelResponse>, Status> {
        let (by, TestChannelRequest { channel }) = caller(request)?;
        let test = self.broker.test_channel(&by, &convert::channel_name(channel)?).await?;
        Ok(Response::new(convert::channel_test(test)))
    }

    async fn list_deliveries(
        &self,
        request: Request<ListDeliveriesRequest>,
    ) -> Result<Response<ListDeliveriesResponse>, Status> {
        let (by, mut request) = caller(request)?;
        let page = convert::page(request.page.take())?;
        let query = convert::delivery_query(request)?;
        let found = self.broker.list_deliveries(&by, query, page).await?;
        let deliveries = found.items.iter().map(convert::delivery).collect();
        Ok(Response::new(ListDeliveriesResponse { deliveries, next_token: found.next }))
    }

    async fn retry_delivery(
        &self,
        request: Request<RetryDeliveryRequest>,
    ) -> Result<Response<RetryDeliveryResponse>, Status> {
        let (by, RetryDeliveryRequest { which }) = caller(request)?;
        let which = convert::which_deliveries(which)?;
        let queued = self.broker.retry_deliveries(&by, which).await?;
        Ok(Response::new(RetryDeliveryResponse { queued }))
    }
}
