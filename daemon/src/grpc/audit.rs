//! `vouchsafe.v1.Audit`.

use tonic::{Request, Response, Status, async_trait};
use vouchsafe_proto::v1::audit_server::Audit;
use vouchsafe_proto::v1::{
    AuditEntry, Checkpoint, ExportAuditRequest, ExportAuditResponse, GroupAuditRequest,
    GroupAuditResponse, QueryAuditRequest, QueryAuditResponse, ShowCheckpointRequest,
    TailAuditRequest,
};

use super::streams::Events;
use super::{Door, caller, convert};

#[async_trait]
impl Audit for Door {
    async fn query_audit(
        &self,
        request: Request<QueryAuditRequest>,
    ) -> Result<Response<QueryAuditResponse>, Status> {
        let (by, request) = caller(request)?;
        let query = convert::audit_query(request.filter)?;
        let found = self.broker.query_audit(&by, query, convert::page(request.page)?).await?;
        let entries = found.items.into_iter().map(convert::audit_entry).collect();
        Ok(Response::new(QueryAuditResponse { entries, next_token: found.next }))
    }

    async fn group_audit(
        &self,
        request: Request<GroupAuditRequest>,
    ) -> Result<Response<GroupAuditResponse>, Status> {
        let (by, request) = caller(request)?;
        let query = convert::audit_query(request.filter)?;
        let field = convert::group_by(&request.by)?;
        let groups = self.broker.group_audit(&by, query, field).await?;
        Ok(Response::new(convert::audit_groups(groups)))
    }

    type TailAuditStream = Events<AuditEntry>;

    async fn tail_audit(
        &self,
        request: Request<TailAuditRequest>,
    ) -> Result<Response<Self::TailAuditStream>, Status> {
        let (by, request) = caller(request)?;
        let place = self.place()?;
        let query = convert::audit_query(request.filter)?;
        let tail = self.broker.tail_audit(&by, query, convert::tail_last(request.last)?).await?;
        Ok(Response::new(self.stream(place, tail, convert::audit_entry)))
    }

    type ExportAuditStream = Events<ExportAuditResponse>;

    async fn export_audit(
        &self,
        request: Request<ExportAuditRequest>,
    ) -> Result<Response<Self::ExportAuditStream>, Status> {
        let (by, ExportAuditRequest {}) = caller(request)?;
        let place = self.place()?;
        let export = self.broker.export_audit(&by).await?;
        Ok(Response::new(self.stream(place, export, convert::export_part)))
    }

    async fn show_checkpoint(
        &self,
        request: Request<ShowCheckpointRequest>,
    ) -> Result<Response<Checkpoint>, Status> {
        let (by, ShowCheckpointRequest {}) = caller(request)?;
        let (note, verifier_key) = self.broker.show_checkpoint(&by).await?;
        Ok(Response::new(Checkpoint { note, verifier_key }))
    }
}
