//! One user, whom anything may be changed about.

use tonic::{Request, Response, Status};
use vouchsafe_proto::v1::users_server::Users as UsersService;
use vouchsafe_proto::v1::{
    CreateSignInCodeRequest, CreateSignInCodeResponse, CreateUserRequest, DisableUserRequest,
    EnableUserRequest, IssueTokenRequest, ListUsersRequest, ListUsersResponse, ShowUserRequest,
    UpdateUserRequest, User, UserWithToken,
};

use super::{Asked, Book, authenticated};

pub(super) struct Users(pub(super) Book);

fn user() -> User {
    User { name: "jane".to_owned(), ..User::default() }
}

#[tonic::async_trait]
impl UsersService for Users {
    async fn create_user(
        &self,
        request: Request<CreateUserRequest>,
    ) -> Result<Response<UserWithToken>, Status> {
        authenticated(&request)?;
        Ok(Response::new(UserWithToken::default()))
    }

    async fn list_users(
        &self,
        request: Request<ListUsersRequest>,
    ) -> Result<Response<ListUsersResponse>, Status> {
        authenticated(&request)?;
        Ok(Response::new(ListUsersResponse { users: vec![user()], ..Default::default() }))
    }

    async fn show_user(&self, request: Request<ShowUserRequest>) -> Result<Response<User>, Status> {
        authenticated(&request)?;
        Ok(Response::new(user()))
    }

    async fn update_user(
        &self,
        request: Request<UpdateUserRequest>,
    ) -> Result<Response<User>, Status> {
        authenticated(&request)?;
        self.0.write(Asked::UpdateUser(request.into_inner()));
        Ok(Response::new(user()))
    }

    async fn enable_user(
        &self,
        request: Request<EnableUserRequest>,
    ) -> Result<Response<User>, Status> {
        authenticated(&request)?;
        Ok(Response::new(user()))
    }

    async fn disable_user(
        &self,
        request: Request<DisableUserRequest>,
    ) -> Result<Response<User>, Status> {
        authenticated(&request)?;
        Ok(Response::new(user()))
    }

    async fn issue_token(
        &self,
        request: Request<IssueTokenRequest>,
    ) -> Result<Response<UserWithToken>, Status> {
        authenticated(&request)?;
        Ok(Response::new(UserWithToken::default()))
    }

    async fn create_sign_in_code(
        &self,
        request: Request<CreateSignInCodeRequest>,
    ) -> Result<Response<CreateSignInCodeResponse>, Status> {
        authenticated(&request)?;
        self.0.write(Asked::SignIn);
        let url = "http://127.0.0.1:7431/sign-in#code".to_owned();
        Ok(Response::new(CreateSignInCodeResponse { url, expires_at: None }))
    }
}
