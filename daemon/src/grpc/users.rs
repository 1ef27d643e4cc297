//! `vouchsafe.v1.Users`.

use tonic::{Request, Response, Status, async_trait};
use vouchsafe_proto::v1::users_server::Users;
use vouchsafe_proto::v1::{
    CreateSignInCodeRequest, CreateSignInCodeResponse, CreateUserRequest, DisableUserRequest,
    EnableUserRequest, IssueTokenRequest, ListUsersRequest, ListUsersResponse, ShowUserRequest,
    UpdateUserRequest, User, UserWithToken,
};

use super::{Door, caller, convert};

#[async_trait]
impl Users for Door {
    async fn create_user(
        &self,
        request: Request<CreateUserRequest>,
    ) -> Result<Response<UserWithToken>, Status> {
        let (by, request) = caller(request)?;
        let name = convert::name("name", request.name)?;
        let roles = convert::roles(&request.roles)?;
        let groups = convert::names("groups", request.groups)?;
        let project = convert::optional("project", request.project)?;
        let (user, token) = self.broker.create_user(&by, &name, roles, groups, project).await?;
        Ok(Response::new(convert::user_with_token(&user, &token)))
    }

    async fn list_users(
        &self,
        request: Request<ListUsersRequest>,
    ) -> Result<Response<ListUsersResponse>, Status> {
        let (by, request) = caller(request)?;
        let found = self.broker.list_users(&by, convert::page(request.page)?).await?;
        let users = found.items.iter().map(convert::user).collect();
        Ok(Response::new(ListUsersResponse { users, next_token: found.next }))
    }

    async fn show_user(&self, request: Request<ShowUserRequest>) -> Result<Response<User>, Status> {
        let (by, request) = caller(request)?;
        let user = self.broker.show_user(&by, &convert::name("name", request.name)?).await?;
        Ok(Response::new(convert::user(&user)))
    }

    async fn update_user(
        &self,
        request: Request<UpdateUserRequest>,
    ) -> Result<Response<User>, Status> {
        let (by, request) = caller(request)?;
        let (name, change) = convert::user_change(request)?;
        let user = self.broker.update_user(&by, &name, change).await?;
        Ok(Response::new(convert::user(&user)))
    }

    async fn enable_user(
        &self,
        request: Request<EnableUserRequest>,
    ) -> Result<Response<User>, Status> {
        let (by, request) = caller(request)?;
        let user = self.broker.enable_user(&by, &convert::name("name", request.name)?).await?;
        Ok(Response::new(convert::user(&user)))
    }

    async fn disable_user(
        &self,
        request: Request<DisableUserRequest>,
    ) -> Result<Response<User>, Status> {
        let (by, request) = caller(request)?;
        let name = convert::name("name", request.name)?;
        let reason = convert::reason(request.reason)?;
        let user = self.broker.disable_user(&by, &name, reason).await?;
        Ok(Response::new(convert::user(&user)))
    }

    async fn create_sign_in_code(
        &self,
        request: Request<CreateSignInCodeRequest>,
    ) -> Result<Response<CreateSignInCodeResponse>, Status> {
        let (by, CreateSignInCodeRequest {}) = caller(request)?;
        let (url, until) = self.broker.create_sign_in_code(&by).await?;
        Ok(Response::new(convert::sign_in_code(url, until)))
    }

    async fn issue_token(
        &self,
        request: Request<IssueTokenRequest>,
    ) -> Result<Response<UserWithToken>, Status> {
        let (by, request) = caller(request)?;
        let name = convert::name("name", request.name)?;
        let (user, token) = self.broker.issue_token(&by, &name).await?;
        Ok(Response::new(convert::user_with_token(&user, &token)))
    }
}
