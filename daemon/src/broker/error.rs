//! What a caller is told when a command is not carried out.

use std::fmt;
use std::time::Duration;

use vouchsafe_core::caller::Agent;
use vouchsafe_core::key::Scope;

/// A command that was not carried out: what happened and why, and what to do next.
///
/// Both sentences may be shown to whoever asked; neither ever holds a value, a token, or text of
/// an agent's that was not made safe to show.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{message}")]
pub struct Refused {
    /// The stable code.
    pub code: Code,
    /// What happened and why, without a full stop.
    pub message: String,
    /// What to do next, a sentence; empty where there is nothing to do.
    pub next: String,
    /// After how long it may go better, in whole seconds; none: time does not help, or nobody knows.
    pub retry_after: Option<Duration>,
}

/// What kind of answer a code is; each door maps it to its own protocol's.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Kind {
    /// Who asks is not known: 401.
    Unauthenticated,
    /// Who asks may not: 403.
    Forbidden,
    /// There is no such thing: 404.
    NotFound,
    /// The request makes no sense: 400.
    Invalid,
    /// It was so once, but is not any more, or not yet: 409.
    Conflict,
    /// There is one already: 409.
    Exists,
    /// Too much at once: 429.
    Busy,
    /// Not now: 503.
    Unavailable,
    /// It may have happened or not: 503, and look before trying again.
    Unknown,
    /// Our fault: 500.
    Internal,
}

macro_rules! codes {
    ($($(#[$doc:meta])* $name:ident = $text:literal, $kind:ident;)*) => {
        /// The stable codes of refusals, the same in every door, in the log and in scripts.
        #[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
        pub enum Code { $($(#[$doc])* $name,)* }

        impl Code {
            /// Every code there is.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// The code as it is written everywhere.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$name => $text,)* }
            }

            /// What kind of answer it is.
            pub const fn kind(self) -> Kind {
                match self { $(Self::$name => Kind::$kind,)* }
            }
        }
    };
}

codes! {
    /// No credential, or one that nobody has.
    Unauthenticated = "UNAUTHENTICATED", Unauthenticated;
    /// A key where a user token is needed, or the other way round.
    WrongCredential = "WRONG_CREDENTIAL", Unauthenticated;
    /// The key is disabled.
    KeyDisabled = "KEY_DISABLED", Unauthenticated;
    /// The key's time is up.
    KeyExpired = "KEY_EXPIRED", Unauthenticated;
    /// The user is disabled.
    UserDisabled = "USER_DISABLED", Unauthenticated;
    /// The key belongs to another project.
    WrongProject = "WRONG_PROJECT", Forbidden;
    /// The key lacks a scope.
    ScopeNeeded = "SCOPE_NEEDED", Forbidden;
    /// The key's list of tools does not name this one.
    ToolNotAllowed = "TOOL_NOT_ALLOWED", Forbidden;
    /// The project is archived.
    ProjectArchived = "PROJECT_ARCHIVED", Forbidden;
    /// No rule lets this user break the glass for this.
    NotForBreakGlass = "NOT_FOR_BREAK_GLASS", Forbidden;
    /// The review is of the user's own doing.
    OwnReview = "OWN_REVIEW", Forbidden;
    /// The user lacks a role.
    RoleNeeded = "ROLE_NEEDED", Forbidden;
    /// The rules refuse it.
    PolicyRefused = "POLICY_REFUSED", Forbidden;
    /// The key that asks is the voter's own.
    OwnRequest = "OWN_REQUEST", Forbidden;
    /// No rule names the voter.
    NotAnApprover = "NOT_AN_APPROVER", Forbidden;
    /// The lease or the approval is another key's.
    NotYours = "NOT_YOURS", Forbidden;
    /// The rule wants a reason.
    ReasonNeeded = "REASON_NEEDED", Invalid;
    /// The rule wants a longer reason.
    ReasonTooShort = "REASON_TOO_SHORT", Invalid;
    /// The rule wants a reason of another form.
    ReasonForm = "REASON_FORM", Invalid;
    /// The rule wants one of its kinds of reason.
    ReasonKindNeeded = "REASON_KIND_NEEDED", Invalid;
    /// Something in the request makes no sense.
    InvalidArgument = "INVALID_ARGUMENT", Invalid;
    /// More than one thing has an id that begins so.
    AmbiguousId = "AMBIGUOUS_ID", Invalid;
    /// The user has no address for the channel.
    NoAddress = "NO_ADDRESS", Invalid;
    /// An answer that is wider than what was asked.
    NotNarrower = "NOT_NARROWER", Invalid;
    /// No such secret.
    SecretNotFound = "SECRET_NOT_FOUND", NotFound;
    /// No such approval.
    ApprovalNotFound = "APPROVAL_NOT_FOUND", NotFound;
    /// No such review.
    ReviewNotFound = "REVIEW_NOT_FOUND", NotFound;
    /// Nothing of the kind is stopped.
    NotStopped = "NOT_STOPPED", NotFound;
    /// The message was not given up.
    NothingToRetry = "NOTHING_TO_RETRY", Conflict;
    /// No such lease.
    LeaseNotFound = "LEASE_NOT_FOUND", NotFound;
    /// There is no such channel.
    ChannelNotFound = "CHANNEL_NOT_FOUND", NotFound;
    /// There is no such message.
    MessageNotFound = "MESSAGE_NOT_FOUND", NotFound;
    /// No such key.
    KeyNotFound = "KEY_NOT_FOUND", NotFound;
    /// No such user.
    UserNotFound = "USER_NOT_FOUND", NotFound;
    /// No such project.
    ProjectNotFound = "PROJECT_NOT_FOUND", NotFound;
    /// The approval was answered before.
    ApprovalSettled = "APPROVAL_SETTLED", Conflict;
    /// The approval's time was up.
    ApprovalExpired = "APPROVAL_EXPIRED", Conflict;
    /// The voter has voted before.
    AlreadyVoted = "ALREADY_VOTED", Conflict;
    /// The key was changed between the door and the command.
    KeyChanged = "KEY_CHANGED", Conflict;
    /// The answer was given on something else than what is asked.
    StaleDigest = "STALE_DIGEST", Conflict;
    /// The key that proposes a change may not do so any more.
    AskerBarred = "ASKER_BARRED", Conflict;
    /// The user has broken the glass before, and nobody has reviewed that yet.
    ReviewOpen = "REVIEW_OPEN", Conflict;
    /// Somebody has reviewed it before.
    ReviewClosed = "REVIEW_CLOSED", Conflict;
    /// Somebody else is signed in there.
    OtherUser = "OTHER_USER", Conflict;
    /// It is stopped already.
    AlreadyStopped = "ALREADY_STOPPED", Conflict;
    /// The lease has ended.
    LeaseEnded = "LEASE_ENDED", Conflict;
    /// The lease reaches as far as it may.
    LeaseAtLimit = "LEASE_AT_LIMIT", Conflict;
    /// The secret has moved on.
    VersionConflict = "VERSION_CONFLICT", Conflict;
    /// The secret was not made by a generator, so that there is none to rotate it by.
    NotGenerated = "NOT_GENERATED", Conflict;
    /// There is a secret at the path of the one to be undeleted.
    PathTaken = "PATH_TAKEN", Conflict;
    /// The root key was not rotated.
    RootKey = "ROOT_KEY", Conflict;
    /// The last of its kind, which has to stay.
    LastAdmin = "LAST_ADMIN", Conflict;
    /// There is one of that name.
    AlreadyExists = "ALREADY_EXISTS", Exists;
    /// The key makes more requests than it may in a minute.
    RateLimited = "RATE_LIMITED", Busy;
    /// The key, or its project, has no calls left this month.
    QuotaExceeded = "QUOTA_EXCEEDED", Busy;
    /// Too many asks of this key are pending.
    TooManyPending = "TOO_MANY_PENDING", Busy;
    /// The store's queue is full.
    StoreBusy = "STORE_BUSY", Busy;
    /// Somebody has stopped it.
    Stopped = "STOPPED", Unavailable;
    /// The disk is full.
    StoreFull = "STORE_FULL", Unavailable;
    /// The project has more values than an answer can be searched for.
    TooManyValues = "TOO_MANY_VALUES", Unavailable;
    /// The daemon is stopping.
    ShuttingDown = "SHUTTING_DOWN", Unavailable;
    /// The commit's outcome is not known.
    OutcomeUnknown = "OUTCOME_UNKNOWN", Unknown;
    /// Our fault.
    Internal = "INTERNAL", Internal;
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Refused {
    /// A refusal of this code.
    pub fn new(code: Code, message: impl Into<String>, next: impl Into<String>) -> Self {
        Self { code, message: message.into(), next: next.into(), retry_after: None }
    }

    /// Our own fault; the cause goes to the daemon's log and nowhere else.
    pub fn internal() -> Self {
        Self::new(
            Code::Internal,
            "internal error",
            "The daemon's log has the cause; nothing was released.",
        )
    }

    /// A request that makes no sense.
    pub fn invalid(message: impl Into<String>, next: impl Into<String>) -> Self {
        Self::new(Code::InvalidArgument, message, next)
    }

    /// The same, with after how long it may go better.
    #[must_use]
    pub fn retry_after(self, retry_after: Duration) -> Self {
        Self { retry_after: Some(retry_after), ..self }
    }
}

/// What an agent is told whose key lacks a scope, the same at every door.
pub fn scope_needed(agent: &Agent, scope: Scope) -> Refused {
    let name = &agent.name;
    Refused::new(
        Code::ScopeNeeded,
        format!("this needs the scope {scope}; the key `{name}` has {}", agent.scopes.words()),
        format!("An operator can add it with `vouchsafe keys update {name} --scopes ..`."),
    )
}

/// What an agent is told whose key has a list of tools that this one is not on.
pub fn tool_not_allowed(agent: &Agent, tool: &str) -> Refused {
    let (name, tools) = (&agent.name, &agent.settings.tools);
    Refused::new(
        Code::ToolNotAllowed,
        format!("the key `{name}` may not use the tool {tool}; it may use {tools}"),
        format!(
            "An operator can change that with `vouchsafe keys update {name} --allow-tools ..`."
        ),
    )
}
