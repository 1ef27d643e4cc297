//! Who may call what: one table, asked in one place, before any method is reached.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use http::header::{AUTHORIZATION, HeaderMap};
use http::{Request, Response};
use tonic::Status;
use tonic::body::Body;
use tower::{Layer, Service};
use vouchsafe_core::caller::{Role, Roles, User};

use crate::broker::{Broker, Code, Refused};

/// What a method asks of its caller.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Needs {
    /// To be somebody, with a role or without.
    SignIn,
    /// One of these roles; an admin has them all.
    AnyOf(&'static [Role]),
}

const ADMINISTER: Needs = Needs::AnyOf(&[Role::Admin]);
const OPERATE: Needs = Needs::AnyOf(&[Role::Operator]);
const AUDIT: Needs = Needs::AnyOf(&[Role::Auditor]);
const VOTE: Needs = Needs::AnyOf(&[Role::Approver]);
const REVOKE: Needs = Needs::AnyOf(&[Role::Approver, Role::Operator]);
const REVIEW: Needs = Needs::AnyOf(&[Role::Approver, Role::Auditor]);
const INSPECT: Needs = Needs::AnyOf(&[Role::Operator, Role::Auditor]);
const LOOK: Needs = Needs::AnyOf(&[Role::Approver, Role::Operator, Role::Auditor]);
const ANY_ROLE: Needs = Needs::AnyOf(&Role::ALL);

/// Every method of every service. One that is not here is refused.
const METHODS: &[(&str, Needs)] = &[
    ("/vouchsafe.v1.Approvals/ListApprovals", LOOK),
    ("/vouchsafe.v1.Approvals/ShowApproval", LOOK),
    ("/vouchsafe.v1.Approvals/Vote", VOTE),
    ("/vouchsafe.v1.Approvals/WatchApprovals", LOOK),
    ("/vouchsafe.v1.Audit/ExportAudit", AUDIT),
    ("/vouchsafe.v1.Audit/GroupAudit", AUDIT),
    ("/vouchsafe.v1.Audit/QueryAudit", AUDIT),
    ("/vouchsafe.v1.Audit/ShowCheckpoint", AUDIT),
    ("/vouchsafe.v1.Audit/TailAudit", AUDIT),
    ("/vouchsafe.v1.Emergency/BreakGlass", Needs::SignIn),
    ("/vouchsafe.v1.Emergency/ListReviews", LOOK),
    ("/vouchsafe.v1.Emergency/ListStops", ANY_ROLE),
    ("/vouchsafe.v1.Emergency/ResumeLeases", REVOKE),
    ("/vouchsafe.v1.Emergency/ReviewBreakGlass", REVIEW),
    ("/vouchsafe.v1.Emergency/StopLeases", REVOKE),
    ("/vouchsafe.v1.Keys/CreateKey", OPERATE),
    ("/vouchsafe.v1.Keys/DeleteKey", OPERATE),
    ("/vouchsafe.v1.Keys/DisableKey", OPERATE),
    ("/vouchsafe.v1.Keys/EnableKey", OPERATE),
    ("/vouchsafe.v1.Keys/ListKeys", INSPECT),
    ("/vouchsafe.v1.Keys/RegenerateKey", OPERATE),
    ("/vouchsafe.v1.Keys/ShowKey", INSPECT),
    ("/vouchsafe.v1.Keys/UpdateKey", OPERATE),
    ("/vouchsafe.v1.Leases/ListLeases", LOOK),
    ("/vouchsafe.v1.Leases/ListSessions", LOOK),
    ("/vouchsafe.v1.Leases/RevokeLeases", REVOKE),
    ("/vouchsafe.v1.Leases/ShowLease", LOOK),
    ("/vouchsafe.v1.Policy/CheckPolicy", LOOK),
    ("/vouchsafe.v1.Policy/ExplainPolicy", LOOK),
    ("/vouchsafe.v1.Policy/ReloadPolicy", OPERATE),
    ("/vouchsafe.v1.Policy/ShowPolicy", LOOK),
    ("/vouchsafe.v1.Policy/TestPolicy", LOOK),
    ("/vouchsafe.v1.Secrets/DeleteSecret", OPERATE),
    ("/vouchsafe.v1.Secrets/ListSecretVersions", INSPECT),
    ("/vouchsafe.v1.Secrets/ListSecrets", INSPECT),
    ("/vouchsafe.v1.Secrets/PutSecret", OPERATE),
    ("/vouchsafe.v1.Secrets/ShowSecret", INSPECT),
    ("/vouchsafe.v1.Status/RotateRootKey", ADMINISTER),
    ("/vouchsafe.v1.Status/RunChecks", OPERATE),
    ("/vouchsafe.v1.Status/ShowStatus", ANY_ROLE),
    ("/vouchsafe.v1.Status/WhoAmI", Needs::SignIn),
    ("/vouchsafe.v1.Users/CreateUser", ADMINISTER),
    ("/vouchsafe.v1.Users/DisableUser", ADMINISTER),
    ("/vouchsafe.v1.Users/EnableUser", ADMINISTER),
    ("/vouchsafe.v1.Users/IssueToken", ADMINISTER),
    ("/vouchsafe.v1.Users/ListUsers", INSPECT),
    ("/vouchsafe.v1.Users/ShowUser", INSPECT),
    ("/vouchsafe.v1.Users/UpdateUser", ADMINISTER),
];

/// Services that anybody who reaches the socket may call: they tell nothing of anybody's.
const OPEN: [&str; 2] = ["/grpc.health.v1.Health/", "/grpc.reflection.v1.ServerReflection/"];

/// Puts a [`Gate`] before the services.
#[derive(Clone, Debug)]
pub(super) struct GateLayer {
    broker: Broker,
}

/// Lets a request through with its [`User`], or answers it.
#[derive(Clone, Debug)]
pub(super) struct Gate<S> {
    services: S,
    broker: Broker,
}

impl GateLayer {
    pub(super) const fn new(broker: Broker) -> Self {
        Self { broker }
    }
}

impl<S> Layer<S> for GateLayer {
    type Service = Gate<S>;

    fn layer(&self, services: S) -> Gate<S> {
        Gate { services, broker: self.broker.clone() }
    }
}

impl<S> Service<Request<Body>> for Gate<S>
where
    S: Service<Request<Body>, Response = Response<Body>> + Clone + Send + 'static,
    S::Future: Send,
{
    type Response = Response<Body>;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, S::Error>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.services.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<Body>) -> Self::Future {
        // The clone that was polled ready is the one to call.
        let next = self.services.clone();
        let mut services = std::mem::replace(&mut self.services, next);
        let broker = self.broker.clone();
        Box::pin(async move {
            match admit(&broker, &mut request).await {
                Ok(()) => services.call(request).await,
                Err(status) => Ok(status.into_http()),
            }
        })
    }
}

/// Finds out who sent the request and whether they may, and leaves their [`User`] in it.
async fn admit(broker: &Broker, request: &mut Request<Body>) -> Result<(), Status> {
    let path = request.uri().path().to_owned();
    if OPEN.iter().any(|service| path.starts_with(service)) {
        return Ok(());
    }
    let needs = needs(&path)?;
    let user = broker.authenticate_user(bearer(request.headers())).await?;
    // Nothing behind the gate has a use for the token.
    request.headers_mut().remove(AUTHORIZATION);
    if let Err(refused) = check(&path, needs, &user) {
        return Err(broker.refuse_user(&user, &path, refused).await.into());
    }
    request.extensions_mut().insert(user);
    Ok(())
}

fn needs(path: &str) -> Result<Needs, Status> {
    let found = METHODS.iter().find(|(method, _)| *method == path);
    found.map(|(_, needs)| *needs).ok_or_else(|| {
        Status::unimplemented("there is no such method here; the daemon may be older than you are")
    })
}

fn check(path: &str, needs: Needs, user: &User) -> Result<(), Refused> {
    let roles = match needs {
        Needs::SignIn => return Ok(()),
        Needs::AnyOf(roles) if user.roles.allow_any(roles) => return Ok(()),
        Needs::AnyOf(roles) => roles,
    };
    let method = path.rsplit('/').next().unwrap_or(path);
    let wanted = either(roles.iter().copied());
    let message =
        format!("{method} needs the role {wanted}, and {} has {}", user.name, own(user.roles));
    let next = format!("Ask an admin for the role {wanted}, or sign in as somebody who has it.");
    Err(Refused::new(Code::RoleNeeded, message, next))
}

/// `approver, operator or auditor`.
fn either(roles: impl Iterator<Item = Role>) -> String {
    join(roles, "or")
}

/// `approver and auditor`, or that there is none.
fn own(roles: Roles) -> String {
    if roles == Roles::NONE { "no role".to_owned() } else { join(roles.iter(), "and") }
}

fn join(roles: impl Iterator<Item = Role>, last: &str) -> String {
    let names: Vec<_> = roles.map(Role::as_str).collect();
    match names.as_slice() {
        [front @ .., end] if !front.is_empty() => format!("{} {last} {end}", front.join(", ")),
        names => names.concat(),
    }
}

/// The credential of a request that has exactly one, `authorization: Bearer ...`.
fn bearer(headers: &HeaderMap) -> Option<&str> {
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let (only, None) = (values.next()?, values.next()) else { return None };
    let (scheme, credential) = only.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| credential.trim())
}

#[cfg(test)]
mod tests;
