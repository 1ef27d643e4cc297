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
    Trouble(Trouble),
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
    let mut until: Option<Time> = None;
    let mut away_since: Option<Instant> = None;
    loop {
        let began = Instant::now();
        let (tool, args) = match progress.approval() {
            None => ("request_access", wish.access()),
            Some(id) => ("await_approval", json!({ "approval_id": id })),
        };
        let heard = |words: &str| progress.waits(words);
        let answer = match call_until(session, tool, &args, &heard).await {
            Ok(said) => Answer::of(&said),
            Err(Unserved::Asks) => {
                learn(session, progress.approval(), leases).await;
                return Err(in_part(leases));
            }
            Err(Unserved::Trouble(Trouble::Away(error))) => {
                if is_over(until, *away_since.get_or_insert(began)) {
                    return Err(error);
                }
                progress.away();
                sleep(REJOIN_EVERY).await;
                continue;
            }
            Err(Unserved::Trouble(trouble)) => return Err(trouble.into()),
        };
        away_since = None;
        progress.back();
        match answer.status.as_str() {
            "approved" => {
                leases.extend(answer.leases);
                return complete(session, wish, leases).await;
            }
            "pending" => {
                until = time::exact_arg(&answer.expires_at).ok();
                progress.waits(&waiting(&answer.approval_id, until));
                // An answer that came at once was not waited for: there was no room to wait in.
                sleep_until(began + Duration::from_millis(answer.retry_after_ms)).await;
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
        Unserved::Trouble(trouble) => trouble.into(),
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

/// As the daemon says it while it holds a call.
fn waiting(approval: &str, until: Option<Time>) -> String {
    let until = until.map(|at| format!(" (expires {})", at.format("%H:%MZ"))).unwrap_or_default();
    format!("waiting for approval {approval}{until}")
}

/// Whether the daemon has been away for so long that there is nothing to wait for any more.
fn is_over(until: Option<Time>, away_since: Instant) -> bool {
    match until {
        Some(until) => time::now() > until,
        None => away_since.elapsed() > AWAY_MAX,
    }
}

/// What was held before, or is given without asking, is no part of what was approved.
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
        Err(Unserved::Trouble(trouble)) => Err(trouble.into()),
        Err(Unserved::Asks) => Err(in_part(leases)),
    }
}

/// The leases of an approval that was given in part, so that they can be given back.
async fn learn(session: &mut Session, approval: Option<String>, leases: &mut Leases) {
    let args = json!({ "approval_id": approval.unwrap_or_default() });
    if let Ok(said) = session.call("await_approval", &args, &|_| ()).await {
        leases.extend(Answer::of(&said).leases);
    }
}

/// What an approver left out is not asked for again.
fn in_part(leases: &Leases) -> CliError {
    let given: Vec<String> = leases.iter().map(|lease| safe_line(&lease.resource)).collect();
    CliError::new(Exit::Refused, format!("not all was approved, but only {}", given.join(", ")))
        .with_next("nothing was run; ask for what was approved, or speak with the approver")
}

fn missing(wish: &Wish, leases: &Leases) -> Vec<String> {
    let is_leased = |uri: &&String| leases.iter().any(|lease| lease.resource == **uri);
    wish.uris.iter().filter(|uri| !is_leased(uri)).cloned().collect()
}

/// Calls what nobody has to be asked for any more.
async fn unasked(session: &mut Session, tool: &str, args: &Value) -> Result<Said, Unserved> {
    let since = Instant::now();
    loop {
        match call_until(session, tool, args, &approval_in).await {
            Err(Unserved::Trouble(Trouble::Away(_))) if since.elapsed() < AWAY_APPROVED_MAX => {
                sleep(REJOIN_EVERY).await;
            }
            Ok(said) if said.status() == "pending" => {
                withdraw(session, said.text("/approval_id")).await;
                return Err(Unserved::Asks);
            }
            other => return other,
        }
    }
}

/// Calls, and gives the call up once people are asked what they should not be: what `heard` makes
/// of its progress then is the approval, which is taken back.
async fn call_until(
    session: &mut Session,
    tool: &str,
    args: &Value,
    heard: &dyn Fn(&str) -> Option<String>,
) -> Result<Said, Unserved> {
    let (asked, approval) = (Notify::new(), RefCell::new(None));
    let listen = |words: &str| {
        if let Some(other) = heard(words) {
            approval.replace(Some(other));
            asked.notify_one();
        }
    };
    tokio::select! {
        biased;
        said = session.call(tool, args, &listen) => return said.map_err(Unserved::Trouble),
        () = asked.notified() => {}
    }
    withdraw(session, approval.take().unwrap_or_default()).await;
    Err(Unserved::Asks)
}

/// One that cannot be taken back expires by itself.
async fn withdraw(session: &mut Session, approval: String) {
    let args = json!({ "approval_id": approval });
    drop(session.call("withdraw_approval", &args, &|_| ()).await);
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
