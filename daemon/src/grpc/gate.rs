//! Who may call what: one table, asked in one place, before any method is reached.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use http::header::{AUTHORIZATION, HeaderMap};
use http::{Request, Response};
use tonic::Status;
use tonic::body::Body;
use tower::{Layer, Service};
use vouchsafe_core::caller::{Reach, Role, User, UserRecord};

use crate::broker::{Broker, Code, Refused};

/// What a method asks of its caller.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
struct Needs {
    who: Who,
    about: About,
}

/// Who may call.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Who {
    /// Whoever is somebody, with a role or without.
    Anybody,
    /// Whoever has one of these roles; an admin has them all.
    AnyOf(&'static [Role]),
}

/// Where one has to have the role.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum About {
    /// In one project at least: the call then reaches the projects in which one has it.
    Projects,
    /// In all: the call is about what belongs to none.
    Everything,
}

impl Needs {
    const fn any_of(roles: &'static [Role]) -> Self {
        Self { who: Who::AnyOf(roles), about: About::Projects }
    }

    const fn of_everything(self) -> Self {
        Self { about: About::Everything, ..self }
    }
}

/// What the rules let somebody do, not their roles.
const SIGN_IN: Needs = Needs { who: Who::Anybody, about: About::Projects };
const ADMINISTER: Needs = Needs::any_of(&[Role::Admin]);
const OPERATE: Needs = Needs::any_of(&[Role::Operator]);
const AUDIT: Needs = Needs::any_of(&[Role::Auditor]);
const VOTE: Needs = Needs::any_of(&[Role::Approver]);
const REVOKE: Needs = Needs::any_of(&[Role::Approver, Role::Operator]);
const REVIEW: Needs = Needs::any_of(&[Role::Approver, Role::Auditor]);
const INSPECT: Needs = Needs::any_of(&[Role::Operator, Role::Auditor]);
const LOOK: Needs = Needs::any_of(&[Role::Approver, Role::Operator, Role::Auditor]);
const ANY_ROLE: Needs = Needs::any_of(&Role::ALL);

/// Every method of every service. One that is not here is refused.
const METHODS: &[(&str, Needs)] = &[
    ("/vouchsafe.v1.Approvals/ListApprovals", LOOK),
    ("/vouchsafe.v1.Approvals/ShowApproval", LOOK),
    ("/vouchsafe.v1.Approvals/ShowStats", LOOK),
    ("/vouchsafe.v1.Approvals/SuggestRules", LOOK),
    ("/vouchsafe.v1.Approvals/Vote", VOTE),
    ("/vouchsafe.v1.Approvals/WatchApprovals", LOOK),
    ("/vouchsafe.v1.Audit/ExportAudit", AUDIT.of_everything()),
    ("/vouchsafe.v1.Audit/GroupAudit", AUDIT),
    ("/vouchsafe.v1.Audit/QueryAudit", AUDIT),
    ("/vouchsafe.v1.Audit/ShowCheckpoint", AUDIT.of_everything()),
    ("/vouchsafe.v1.Audit/TailAudit", AUDIT),
    ("/vouchsafe.v1.Emergency/BreakGlass", SIGN_IN),
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
    ("/vouchsafe.v1.Notify/ListChannels", INSPECT.of_everything()),
    ("/vouchsafe.v1.Notify/ListDeliveries", LOOK),
    ("/vouchsafe.v1.Notify/RetryDelivery", OPERATE.of_everything()),
    ("/vouchsafe.v1.Notify/TestChannel", OPERATE.of_everything()),
    ("/vouchsafe.v1.Policy/CheckPolicy", LOOK.of_everything()),
    ("/vouchsafe.v1.Policy/ExplainPolicy", LOOK),
    ("/vouchsafe.v1.Policy/ReloadPolicy", OPERATE.of_everything()),
    ("/vouchsafe.v1.Policy/ReplayPolicy", LOOK),
    ("/vouchsafe.v1.Policy/ShowPolicy", LOOK),
    ("/vouchsafe.v1.Policy/TestPolicy", LOOK.of_everything()),
    ("/vouchsafe.v1.Projects/ArchiveProject", OPERATE.of_everything()),
    ("/vouchsafe.v1.Projects/CreateProject", OPERATE.of_everything()),
    ("/vouchsafe.v1.Projects/ListProjects", ANY_ROLE),
    ("/vouchsafe.v1.Projects/RestoreProject", OPERATE.of_everything()),
    ("/vouchsafe.v1.Projects/UpdateProject", OPERATE.of_everything()),
    ("/vouchsafe.v1.Secrets/DeleteSecret", OPERATE),
    ("/vouchsafe.v1.Secrets/GenerateSecret", OPERATE),
    ("/vouchsafe.v1.Secrets/ImportSecrets", OPERATE),
    ("/vouchsafe.v1.Secrets/ListSecretVersions", INSPECT),
    ("/vouchsafe.v1.Secrets/ListSecrets", INSPECT),
    ("/vouchsafe.v1.Secrets/PutSecret", OPERATE),
    ("/vouchsafe.v1.Secrets/RollBackSecret", OPERATE),
    ("/vouchsafe.v1.Secrets/RotateSecret", OPERATE),
    ("/vouchsafe.v1.Secrets/ShowSecret", INSPECT),
    ("/vouchsafe.v1.Secrets/UndeleteSecret", OPERATE),
    ("/vouchsafe.v1.Secrets/UpdateSecret", OPERATE),
    ("/vouchsafe.v1.Status/RotateRootKey", ADMINISTER.of_everything()),
    ("/vouchsafe.v1.Status/RunChecks", OPERATE.of_everything()),
    ("/vouchsafe.v1.Status/ShowStatus", ANY_ROLE),
    ("/vouchsafe.v1.Status/WhoAmI", SIGN_IN),
    ("/vouchsafe.v1.Users/CreateSignInCode", SIGN_IN),
    ("/vouchsafe.v1.Users/CreateUser", ADMINISTER.of_everything()),
    ("/vouchsafe.v1.Users/DisableUser", ADMINISTER.of_everything()),
    ("/vouchsafe.v1.Users/EnableUser", ADMINISTER.of_everything()),
    ("/vouchsafe.v1.Users/IssueToken", ADMINISTER.of_everything()),
    ("/vouchsafe.v1.Users/ListUsers", INSPECT.of_everything()),
    ("/vouchsafe.v1.Users/ShowUser", INSPECT.of_everything()),
    ("/vouchsafe.v1.Users/UpdateUser", ADMINISTER.of_everything()),
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
    let (user, record) = broker.sign_in(bearer(request.headers())).await?;
    // Nothing behind the gate has a use for the token.
    request.headers_mut().remove(AUTHORIZATION);
    match check(&path, needs, &record) {
        Ok(reach) => {
            request.extensions_mut().insert(User { reach, ..user });
            Ok(())
        }
        Err(refused) => Err(broker.refuse_user(&user, &path, refused).await.into()),
    }
}

fn needs(path: &str) -> Result<Needs, Status> {
    let found = METHODS.iter().find(|(method, _)| *method == path);
    found.map(|(_, needs)| *needs).ok_or_else(|| {
        Status::unimplemented("there is no such method here; the daemon may be older than you are")
    })
}

/// Where somebody may do what a method does, or why they may nowhere.
fn check(path: &str, needs: Needs, user: &UserRecord) -> Result<Reach, Refused> {
    let roles = match needs.who {
        Who::Anybody => return Ok(Reach::Everywhere),
        Who::AnyOf(roles) => roles,
    };
    let reach = user.reach(roles);
    let reaches = match (needs.about, &reach) {
        (_, Reach::Everywhere) => true,
        (About::Projects, Reach::Projects(projects)) => !projects.is_empty(),
        (About::Everything, Reach::Projects(_)) => false,
    };
    if reaches {
        return Ok(reach);
    }
    let method = path.rsplit('/').next().unwrap_or(path);
    let wanted = either(roles.iter().copied());
    let place = match needs.about {
        About::Everything if !user.project_roles.is_empty() => " in all projects",
        About::Everything | About::Projects => "",
    };
    let message =
        format!("{method} needs the role {wanted}{place}, and {} has {}", user.name, own(user));
    let next = format!("Ask an admin for the role {wanted}, or sign in as somebody who has it.");
    Err(Refused::new(Code::RoleNeeded, message, next))
}

/// `approver, operator or auditor`.
fn either(roles: impl Iterator<Item = Role>) -> String {
    join(roles, "or")
}

/// `approver and auditor`, `operator in shop`, or that there is none.
fn own(user: &UserRecord) -> String {
    let everywhere = Some(join(user.roles.iter(), "and")).filter(|roles| !roles.is_empty());
    let there = user.project_roles.iter();
    let there =
        there.map(|there| format!("{} in {}", join(there.roles.iter(), "and"), there.project_name));
    let all: Vec<_> = everywhere.into_iter().chain(there).collect();
    if all.is_empty() { "no role".to_owned() } else { all.join(", ") }
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
