//! Asking once for all, waiting for people, and reading the values.

use std::cell::RefCell;
use std::time::Duration;

use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};
use tokio::sync::Notify;
use tokio::time::{Instant, sleep, sleep_until};
use zeroize::Zeroizing;

use super::progress::{Progress, approval_in};
use super::session::{Answer, LeaseSeen, Session, Trouble};
use super::value;
use crate::agent::Said;
use crate::error::{CliError, Exit};
use crate::text::safe_line;
use crate::time::{self, Time};

const REJOIN_EVERY: Duration = Duration::from_secs(1);
/// How long a daemon that is away is waited for where nobody knows how long the ask waits.
const AWAY_MAX: Duration = Duration::from_hours(1);
/// The same, once people have answered.
const AWAY_APPROVED_MAX: Duration = Duration::from_secs(30);

/// What is asked for, and why.
pub(super) struct Wish {
    /// Of secrets, each once.
    pub(super) uris: Vec<String>,
    pub(super) reason: String,
    pub(super) reason_kind: Option<String>,
    pub(super) duration: Option<Duration>,
}

/// The leases that came of it, whatever happened then.
pub(super) type Leases = Vec<LeaseSeen>;

/// A value, of any bytes but NUL.
pub(super) type SecretValue = Zeroizing<Vec<u8>>;

/// Why a call that needs nobody's answer any more was not served.
enum Unserved {
    /// People would have been asked anew; that ask was taken back.
    Asks,
    Failed(CliError),
}

#[derive(Deserialize)]
struct Released<'a> {
    #[serde(borrow)]
    value: &'a RawValue,
    encoding: &'a str,
    lease: LeaseSeen,
}

impl Wish {
    /// The arguments of a call, and why it is made.
    fn args(&self, name: &str, what: Value) -> Value {
        let mut args = json!({ "reason": self.reason });
        if let Some(members) = args.as_object_mut() {
            members.insert(name.to_owned(), what);
            if let Some(kind) = &self.reason_kind {
                members.insert("reason_kind".to_owned(), json!(kind));
            }
            if let Some(duration) = self.duration {
                members.insert("duration".to_owned(), json!(format!("{}s", duration.as_secs())));
            }
        }
        args
    }

    fn access(&self) -> Value {
        self.args("resources", json!(self.uris))
    }
}

/// Asks for all of it with one approval, and waits until there is a lease on each. `leases` gains
/// those that there are, even where that fails.
pub(super) async fn ask(
    session: &mut Session,
    wish: &Wish,
    progress: &Progress,
    leases: &mut Leases,
) -> Result<(), CliError> {
    let mut waits: Option<Waits> = None;
    let mut away_since: Option<Instant> = None;
    loop {
        let began = Instant::now();
        let (tool, args) = match &waits {
            None => ("request_access", wish.access()),
            Some(waits) => ("await_approval", json!({ "approval_id": waits.approval })),
        };
        let answer = match session.call(tool, &args, &|words| progress.waits(words)).await {
            Ok(said) => Answer::of(&said),
            Err(Trouble::KeyRefused(error) | Trouble::Failed(error)) => return Err(error),
            Err(Trouble::Away(error)) => {
                let since = *away_since.get_or_insert(began);
                if is_over(waits.as_ref(), since) {
                    return Err(error);
                }
                progress.away();
                sleep(REJOIN_EVERY).await;
                continue;
            }
        };
        away_since = None;
        progress.back();
        match answer.status.as_str() {
            "approved" => {
                leases.extend(answer.leases);
                return complete(session, wish, leases).await;
            }
            "pending" => {
                let pause = Duration::from_millis(answer.retry_after_ms);
                let next = Waits::of(answer);
                progress.waits(&next.words());
                waits = Some(next);
                // An answer that came at once was not waited for: there was no room to wait in.
                sleep_until(began + pause).await;
            }
            _ => return Err(settled(answer)),
        }
    }
}

/// Reads the value of one secret under the lease on it, and learns how that lease stands.
pub(super) async fn read(
    session: &mut Session,
    wish: &Wish,
    uri: &str,
    leases: &mut Leases,
) -> Result<SecretValue, CliError> {
    let args = wish.args("uri", json!(uri));
    let said = unasked(session, "read_secret", &args).await.map_err(|why| match why {
        Unserved::Asks => CliError::new(
            Exit::Refused,
            format!("the lease on {uri} ended before its value was read"),
        )
        .with_next("nothing was run; run it again to ask anew"),
        Unserved::Failed(error) => error,
    })?;
    let Some(Released { value, encoding, lease }) = said.read() else {
        return Err(unread(Answer::of(&said)));
    };
    leases.retain(|known| known.id != lease.id);
    leases.push(lease);
    let value = value::decode(value.get(), encoding).ok_or_else(|| {
        CliError::failed(format!("the value of {uri} came in a form not known here"))
    })?;
    if let Some(fault) = value::fault(&value) {
        let error =
            CliError::failed(format!("the value of {uri} cannot be that of a variable: {fault}"));
        return Err(
            error.with_next("nothing was run; give this secret to the command in another way")
        );
    }
    Ok(value)
}

/// An ask that waits.
struct Waits {
    approval: String,
    until: Option<Time>,
}

impl Waits {
    fn of(answer: Answer) -> Self {
        Self { approval: answer.approval_id, until: time::exact_arg(&answer.expires_at).ok() }
    }

    /// As the daemon says it of one that it holds.
    fn words(&self) -> String {
        let until = self.until.map(|at| format!(" (expires {})", at.format("%H:%MZ")));
        format!("waiting for approval {}{}", self.approval, until.unwrap_or_default())
    }
}

/// Whether the daemon has been away for so long that there is nothing to wait for any more.
fn is_over(waits: Option<&Waits>, away_since: Instant) -> bool {
    match waits.and_then(|waits| waits.until) {
        Some(until) => time::now() > until,
        None => away_since.elapsed() > AWAY_MAX,
    }
}

/// What was held before, or is given without asking, is no part of what was approved; what the
/// approver left out is not asked for again.
async fn complete(session: &mut Session, wish: &Wish, leases: &mut Leases) -> Result<(), CliError> {
    if missing(wish, leases).is_empty() {
        return Ok(());
    }
    match unasked(session, "request_access", &wish.access()).await {
        Ok(said) => {
            let answer = Answer::of(&said);
            if answer.status != "approved" {
                return Err(settled(answer));
            }
            *leases = answer.leases;
            Ok(())
        }
        Err(Unserved::Failed(error)) => Err(error),
        Err(Unserved::Asks) => {
            let missing = missing(wish, leases).join(", ");
            Err(CliError::new(
                Exit::Refused,
                format!("not all was approved: {missing} was left out"),
            )
            .with_next("nothing was run; ask for what was approved, or speak with the approver"))
        }
    }
}

fn missing(wish: &Wish, leases: &Leases) -> Vec<String> {
    let is_leased = |uri: &&String| leases.iter().any(|lease| lease.resource == **uri);
    wish.uris.iter().filter(|uri| !is_leased(uri)).cloned().collect()
}

/// Calls what nobody has to be asked for. Where people are asked after all, takes that back.
async fn unasked(session: &mut Session, tool: &str, args: &Value) -> Result<Said, Unserved> {
    let since = Instant::now();
    loop {
        let (asked, approval) = (Notify::new(), RefCell::new(String::new()));
        let heard = |words: &str| {
            approval.replace(approval_in(words).unwrap_or_default());
            asked.notify_one();
        };
        let said = tokio::select! {
            biased;
            said = session.call(tool, args, &heard) => Some(said),
            () = asked.notified() => None,
        };
        let approval = match said {
            None => approval.into_inner(),
            Some(Ok(said)) if said.status() == "pending" => said.text("/approval_id"),
            Some(Ok(said)) => return Ok(said),
            Some(Err(Trouble::Away(_))) if since.elapsed() < AWAY_APPROVED_MAX => {
                sleep(REJOIN_EVERY).await;
                continue;
            }
            Some(Err(trouble)) => return Err(Unserved::Failed(trouble.into())),
        };
        let args = json!({ "approval_id": approval });
        // One that cannot be taken back expires by itself.
        drop(session.call("withdraw_approval", &args, &|_| ()).await);
        return Err(Unserved::Asks);
    }
}

/// It was asked for, and not granted.
fn settled(answer: Answer) -> CliError {
    let status = answer.status.as_str();
    if !matches!(status, "denied" | "expired" | "withdrawn") {
        return answer.into_error();
    }
    let reason = safe_line(&answer.reason);
    let next = if status == "denied" {
        "nothing was run; speak with the approver before you ask again"
    } else {
        "nothing was run; run it again if it is still needed"
    };
    CliError::new(Exit::Refused, format!("the ask was {status}: {reason}")).with_next(next)
}

/// It was to be read, and there was no value.
fn unread(answer: Answer) -> CliError {
    if answer.status == "redacted" {
        return CliError::new(Exit::Refused, "this key may not see values").with_next(
            "nothing was run; an operator can give it secrets:reveal with `vouchsafe keys update`",
        );
    }
    settled(answer)
}
