//! `vouchsafe.v1.Projects`.

use tonic::{Request, Response, Status, async_trait};
use vouchsafe_proto::v1::projects_server::Projects;
use vouchsafe_proto::v1::{
    ArchiveProjectRequest, ArchiveProjectResponse, CreateProjectRequest, ListProjectsRequest,
    ListProjectsResponse, Project, RestoreProjectRequest, UpdateProjectRequest,
};

use super::{Door, caller, convert};

#[async_trait]
impl Projects for Door {
    async fn create_project(
        &self,
        request: Request<CreateProjectRequest>,
    ) -> Result<Response<Project>, Status> {
        let (by, request) = caller(request)?;
        let name = convert::name("name", request.name)?;
        let monthly = convert::monthly(request.monthly);
        let project = self.broker.create_project(&by, &name, monthly).await?;
        Ok(Response::new(convert::project(&project)))
    }

    async fn list_projects(
        &self,
        request: Request<ListProjectsRequest>,
    ) -> Result<Response<ListProjectsResponse>, Status> {
        let (by, request) = caller(request)?;
        let found = self.broker.list_projects(&by, request.archived).await?;
        let projects = found.iter().map(convert::project).collect();
        Ok(Response::new(ListProjectsResponse { projects }))
    }

    async fn update_project(
        &self,
        request: Request<UpdateProjectRequest>,
    ) -> Result<Response<Project>, Status> {
        let (by, request) = caller(request)?;
        let name = convert::name("name", request.name)?;
        let monthly = request.monthly.map(convert::monthly);
        let project = self.broker.update_project(&by, &name, monthly).await?;
        Ok(Response::new(convert::project(&project)))
    }

    async fn archive_project(
        &self,
        request: Request<ArchiveProjectRequest>,
    ) -> Result<Response<ArchiveProjectResponse>, Status> {
        let (by, request) = caller(request)?;
        let name = convert::name("name", request.name)?;
        let reason = convert::reason(request.reason)?;
        let gone = self.broker.archive_project(&by, &name, reason).await?;
        Ok(Response::new(convert::archived(gone)))
    }

    async fn restore_project(
        &self,
        request: Request<RestoreProjectRequest>,
    ) -> Result<Response<Project>, Status> {
        let (by, request) = caller(request)?;
        let name = convert::name("name", request.name)?;
        let project = self.broker.restore_project(&by, &name).await?;
        Ok(Response::new(convert::project(&project)))
    }
}
