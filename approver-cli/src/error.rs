//! What went wrong, what to do next, and the exit code that says so.

use std::io;

use tonic::{Code, Status};
use tonic_types::StatusExt as _;

use crate::text::safe_line;

/// The exit codes. They are fixed: scripts rely on them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exit {
    Done,
    Failed,
    Usage,
    Refused,
    NotFound,
    Conflict,
    Unreachable,
    Fault,
    /// What the command came to that `exec` ran.
    Command(u8),
}

impl Exit {
    /// The code as the operating system takes it.
    pub(crate) fn code(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Failed => 1,
            Self::Usage => 2,
            Self::Refused => 3,
            Self::NotFound => 4,
            Self::Conflict => 5,
            Self::Unreachable => 6,
            Self::Fault => 7,
            Self::Command(code) => code,
        }
    }
}

/// A failed command: one sentence about what happened, and one about what to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct CliError {
    /// A sentence that starts in lower case and has no full stop; empty: nothing to say.
    pub(crate) message: String,
    pub(crate) next: Option<String>,
    pub(crate) exit: Exit,
}

impl CliError {
    pub(crate) fn new(exit: Exit, message: impl Into<String>) -> Self {
        Self { message: message.into(), next: None, exit }
    }

    pub(crate) fn failed(message: impl Into<String>) -> Self {
        Self::new(Exit::Failed, message)
    }

    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self::new(Exit::Usage, message)
    }

    pub(crate) fn fault(message: impl Into<String>) -> Self {
        Self::new(Exit::Fault, message)
    }

    /// Says what to do next.
    pub(crate) fn with_next(mut self, next: impl Into<String>) -> Self {
        self.next = Some(next.into());
        self
    }

    /// The reader of our output has gone (`vouchsafe audit | head`): stop, quietly.
    pub(crate) fn hung_up() -> Self {
        Self::new(Exit::Done, "")
    }

    /// `action` is what was being done: "reading /a/file".
    pub(crate) fn io(action: &str, error: &io::Error) -> Self {
        if error.kind() == io::ErrorKind::BrokenPipe {
            return Self::hung_up();
        }
        let exit =
            if error.kind() == io::ErrorKind::NotFound { Exit::NotFound } else { Exit::Failed };
        Self::new(exit, format!("{action} failed: {error}"))
    }
}

impl From<Status> for CliError {
    fn from(status: Status) -> Self {
        let info = status.get_details_error_info();
        let reason = info.as_ref().map(|info| info.reason.as_str()).unwrap_or_default();
        let next = info
            .as_ref()
            .and_then(|info| info.metadata.get("next"))
            .filter(|next| !next.is_empty())
            .map(|next| safe_line(next))
            .or_else(|| usual_next(reason, status.code()).map(ToOwned::to_owned));
        let message = match safe_line(status.message()) {
            message if info.is_some() && !message.is_empty() => message,
            message => plain_message(status.code(), &message),
        };
        Self { message, next, exit: exit_of(status.code()) }
    }
}

fn exit_of(code: Code) -> Exit {
    match code {
        Code::Ok => Exit::Done,
        Code::Unauthenticated | Code::PermissionDenied => Exit::Refused,
        Code::NotFound => Exit::NotFound,
        Code::FailedPrecondition | Code::AlreadyExists | Code::Aborted => Exit::Conflict,
        Code::Unavailable | Code::ResourceExhausted => Exit::Unreachable,
        Code::InvalidArgument | Code::OutOfRange => Exit::Usage,
        Code::Cancelled
        | Code::Unknown
        | Code::DeadlineExceeded
        | Code::Unimplemented
        | Code::Internal
        | Code::DataLoss => Exit::Failed,
    }
}

/// For a status that did not come from the daemon's own error table.
fn plain_message(code: Code, message: &str) -> String {
    match code {
        Code::Unavailable | Code::Unknown | Code::Cancelled => {
            with_detail("the connection to the daemon broke", message)
        }
        Code::DeadlineExceeded => "the daemon did not answer in time".to_owned(),
        Code::Unimplemented => with_detail("this daemon does not know that request", message),
        Code::Ok
        | Code::InvalidArgument
        | Code::NotFound
        | Code::AlreadyExists
        | Code::PermissionDenied
        | Code::ResourceExhausted
        | Code::FailedPrecondition
        | Code::Aborted
        | Code::OutOfRange
        | Code::Internal
        | Code::DataLoss
        | Code::Unauthenticated => {
            if message.is_empty() {
                format!("the daemon answered {code:?}").to_lowercase()
            } else {
                message.to_owned()
            }
        }
    }
}

fn with_detail(what: &str, detail: &str) -> String {
    if detail.is_empty() { what.to_owned() } else { format!("{what}: {detail}") }
}

/// What usually helps, where the daemon did not say.
fn usual_next(reason: &str, code: Code) -> Option<&'static str> {
    match reason {
        "STALE_DIGEST" => {
            Some("look at it again with `vouchsafe approvals show ID`, then answer what you see")
        }
        "APPROVAL_SETTLED" => Some("see how it ended with `vouchsafe approvals show ID`"),
        "AMBIGUOUS_ID" => Some("give more characters of the id"),
        "VERSION_CONFLICT" => Some("see the current version with `vouchsafe secrets show PATH`"),
        _ => match code {
            Code::Unavailable | Code::DeadlineExceeded => {
                Some("see whether the daemon runs with `vouchsafe status`, then try again")
            }
            Code::Unimplemented => Some(
                "install the same version of `vouchsafe` and `vouchsafed`; see `vouchsafe doctor`",
            ),
            Code::Internal => Some("the daemon's log has the cause"),
            Code::Unauthenticated => Some("see who you are with `vouchsafe whoami`"),
            Code::Ok
            | Code::Cancelled
            | Code::Unknown
            | Code::InvalidArgument
            | Code::NotFound
            | Code::AlreadyExists
            | Code::PermissionDenied
            | Code::ResourceExhausted
            | Code::FailedPrecondition
            | Code::Aborted
            | Code::OutOfRange
            | Code::DataLoss => None,
        },
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use tonic_types::ErrorDetails;

    use super::*;

    fn told(code: Code, reason: &str, next: Option<&str>) -> CliError {
        let metadata: HashMap<String, String> =
            next.map(|next| ("next".to_owned(), next.to_owned())).into_iter().collect();
        let details = ErrorDetails::with_error_info(reason, "vouchsafe", metadata);
        Status::with_error_details(code, "it did not work", details).into()
    }

    #[test]
    fn every_refusal_has_its_exit_code() {
        for (code, exit) in [
            (Code::Unauthenticated, 3),
            (Code::PermissionDenied, 3),
            (Code::NotFound, 4),
            (Code::FailedPrecondition, 5),
            (Code::AlreadyExists, 5),
            (Code::Aborted, 5),
            (Code::Unavailable, 6),
            (Code::ResourceExhausted, 6),
            (Code::InvalidArgument, 2),
            (Code::Internal, 1),
        ] {
            assert_eq!(told(code, "X", None).exit.code(), exit, "{code:?}");
        }
    }

    #[test]
    fn the_daemons_next_step_goes_before_ours() {
        let error = told(Code::FailedPrecondition, "STALE_DIGEST", Some("look\u{202e} again"));
        assert_eq!(error.next.as_deref(), Some("look\\u{202e} again"));
        assert_eq!(error.message, "it did not work");
        let error = told(Code::FailedPrecondition, "STALE_DIGEST", None);
        assert!(error.next.unwrap().contains("approvals show"));
    }

    #[test]
    fn a_broken_connection_is_told_in_plain_words() {
        let error = CliError::from(Status::unavailable("tcp reset"));
        assert_eq!(error.exit, Exit::Unreachable);
        assert_eq!(error.message, "the connection to the daemon broke: tcp reset");
    }

    #[test]
    fn a_reader_that_hung_up_is_no_failure() {
        let error = CliError::io("writing", &io::Error::from(io::ErrorKind::BrokenPipe));
        assert_eq!((error.exit, error.message.as_str()), (Exit::Done, ""));
    }
}
