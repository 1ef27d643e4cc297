//! The leases that the command lives by: renewed as far as they go, watched, and given back.

use std::time::Duration;

use serde_json::json;
use tokio::time::{Instant, sleep, sleep_until, timeout};

use super::ask::Leases;
use super::note;
use super::session::{Answer, LeaseSeen, Session, Trouble};
use crate::error::CliError;
use crate::text::safe_line;
use crate::time::{self, Time};

/// How often the leases are looked at.
const LOOK_EVERY: Duration = Duration::from_secs(5);
/// The same for a key that may make only so many calls a month.
const LOOK_SELDOM: Duration = Duration::from_mins(1);
/// Before another try where looking failed.
const RETRY_AFTER: Duration = Duration::from_secs(1);
/// A lease is renewed when this part of its time is left.
const RENEW_AT: i32 = 4;
/// For giving all of them back.
const RELEASE_MAX: Duration = Duration::from_secs(5);

/// All of them, and the way to the daemon.
pub(super) struct Held {
    session: Session,
    leases: Vec<Lease>,
    every: Option<Duration>,
    next_look: Option<Instant>,
    /// That they cannot be looked after was told.
    away: bool,
}

/// A lease that has ended.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Ended {
    pub(super) resource: String,
    /// What happened to it.
    pub(super) how: String,
}

struct Lease {
    id: String,
    resource: String,
    expires_at: Time,
    max_expires_at: Time,
    /// When to renew it next; none: it cannot be renewed.
    renew_at: Option<Time>,
    /// The daemon still knows it as active. One whose last use was the reading of its value is not,
    /// and stands for what was given until its time is up.
    active: bool,
    /// It came of our own ask, so that giving it back takes it from nobody else.
    own: bool,
    told: bool,
}

impl Held {
    /// Leases that came of an ask that began then.
    pub(super) fn new(session: Session, leases: Leases, began: Time) -> Self {
        let leases = leases.into_iter().filter_map(|seen| Lease::of(&seen, began)).collect();
        Self { session, leases, every: None, next_look: None, away: false }
    }

    /// Waits until one of them has ended, and keeps them as long as they go. Dropping the future
    /// loses nothing.
    pub(super) async fn ended(&mut self) -> Ended {
        loop {
            if let Some(ended) = self.pop_expired() {
                return ended;
            }
            if self.leases.iter().all(|lease| lease.told) {
                return std::future::pending().await;
            }
            let pause = self.pause();
            sleep_until(*self.next_look.get_or_insert_with(|| Instant::now() + pause)).await;
            let ended = self.look().await;
            self.next_look = None;
            if let Some(ended) = ended {
                return ended;
            }
        }
    }

    /// Gives back what is ours. What cannot be given back ends by itself.
    pub(super) async fn release(mut self) {
        let release = async {
            for lease in self.leases.iter().filter(|lease| lease.own && lease.active) {
                let args = json!({ "lease_id": lease.id });
                let said = self.session.call("release_lease", &args, &|_| ()).await?;
                let answer = Answer::of(&said);
                if said.is_error && answer.code != "LEASE_ENDED" {
                    return Err(Trouble::Failed(answer.into_error()));
                }
            }
            Ok(())
        };
        let why = match timeout(RELEASE_MAX, release).await {
            Ok(Ok(())) => return,
            Ok(Err(trouble)) => CliError::from(trouble).message,
            Err(_) => "the daemon did not answer in time".to_owned(),
        };
        note(&format!("not all leases were given back, they end by themselves: {why}"));
    }

    /// Until something is due.
    fn pause(&self) -> Duration {
        let now = time::now();
        let open = self.leases.iter().filter(|lease| !lease.told);
        let due = open.flat_map(|lease| [Some(lease.expires_at), lease.renew_at]).flatten().min();
        let due = due.map(|at| (at - now).to_std().unwrap_or_default());
        let every = self.every.unwrap_or(LOOK_EVERY);
        // A moment later, so that what is due at that time is due.
        due.map_or(every, |due| due.saturating_add(Duration::from_millis(10)).min(every))
    }

    /// Renews what is due, and finds out what has ended before its time.
    async fn look(&mut self) -> Option<Ended> {
        match self.try_look().await {
            Ok(ended) => {
                if std::mem::take(&mut self.away) {
                    note("the leases are looked after again");
                }
                ended
            }
            Err(Trouble::KeyRefused(error)) => self.pop_all(&error),
            Err(Trouble::Away(error) | Trouble::Failed(error)) => {
                if !std::mem::replace(&mut self.away, true) {
                    let why = error.message;
                    note(&format!("the leases last until their time is up, unwatched: {why}"));
                }
                sleep(RETRY_AFTER).await;
                None
            }
        }
    }

    async fn try_look(&mut self) -> Result<Option<Ended>, Trouble> {
        self.learn_pace().await?;
        self.renew().await?;
        let said = self.session.call("list_leases", &json!({}), &|_| ()).await?;
        let answer = Answer::of(&said);
        if said.is_error {
            return Err(Trouble::Failed(answer.into_error()));
        }
        for seen in &answer.leases {
            if let Some(lease) = self.leases.iter_mut().find(|lease| lease.id == seen.id) {
                lease.learn(seen);
            }
        }
        let now = time::now();
        let gone = self.leases.iter_mut().find(|lease| {
            let listed = answer.leases.iter().any(|seen| seen.id == lease.id);
            lease.active && !listed && !lease.told && lease.expires_at > now
        });
        let Some(gone) = gone else { return Ok(None) };
        gone.active = false;
        // Renewing what has ended is refused, and the refusal says how it ended.
        let args = json!({ "lease_id": gone.id });
        let said = self.session.call("renew_lease", &args, &|_| ()).await?;
        gone.told = true;
        let how = match Answer::of(&said).into_error().message {
            how if how.is_empty() => format!("the lease {} has ended", safe_line(&gone.id)),
            how => how,
        };
        Ok(Some(Ended { resource: gone.resource.clone(), how }))
    }

    /// A key that may make only so many calls a month is not spent on looking.
    async fn learn_pace(&mut self) -> Result<(), Trouble> {
        if self.every.is_none() {
            let me = self.session.call("whoami", &json!({}), &|_| ()).await?;
            let limited = me.value().pointer("/limits/calls_left").is_some();
            self.every = Some(if limited { LOOK_SELDOM } else { LOOK_EVERY });
        }
        Ok(())
    }

    async fn renew(&mut self) -> Result<(), Trouble> {
        let now = time::now();
        for lease in &mut self.leases {
            if lease.told || lease.renew_at.is_none_or(|at| at > now) {
                continue;
            }
            let args = json!({ "lease_id": lease.id });
            let said = self.session.call("renew_lease", &args, &|_| ()).await?;
            let answer = Answer::of(&said);
            lease.renew_at = None;
            let is_known = matches!(answer.code.as_str(), "LEASE_AT_LIMIT" | "LEASE_ENDED");
            if let Some(seen) = &answer.lease {
                lease.learn(seen);
            } else if !is_known {
                let why = answer.into_error().message;
                note(&format!("the lease on {} is not renewed: {why}", lease.resource));
            }
        }
        Ok(())
    }

    /// One whose time is up by our own clock, if there is one.
    fn pop_expired(&mut self) -> Option<Ended> {
        let now = time::now();
        let over = |lease: &&mut Lease| !lease.told && lease.expires_at <= now;
        let lease = self.leases.iter_mut().find(over)?;
        (lease.told, lease.active) = (true, false);
        let how = format!("the lease {} has ended (expired)", safe_line(&lease.id));
        Some(Ended { resource: lease.resource.clone(), how })
    }

    /// The key is no longer let in: whatever it held serves no more.
    fn pop_all(&mut self, error: &CliError) -> Option<Ended> {
        let mut open: Vec<&mut Lease> = self.leases.iter_mut().filter(|one| !one.told).collect();
        for lease in &mut open {
            (lease.told, lease.active) = (true, false);
        }
        let resources: Vec<&str> = open.iter().map(|lease| lease.resource.as_str()).collect();
        let resource = (!resources.is_empty()).then(|| resources.join(", "))?;
        Some(Ended { resource, how: error.message.clone() })
    }
}

impl Lease {
    fn of(seen: &LeaseSeen, began: Time) -> Option<Self> {
        let issued_at = time::exact_arg(&seen.issued_at).ok()?;
        let mut lease = Self {
            id: seen.id.clone(),
            resource: safe_line(&seen.resource),
            expires_at: time::exact_arg(&seen.expires_at).ok()?,
            max_expires_at: time::exact_arg(&seen.max_expires_at).ok()?,
            renew_at: None,
            active: seen.status == "active",
            own: issued_at.timestamp_millis() >= began.timestamp_millis(),
            told: false,
        };
        lease.plan(seen.renewable);
        Some(lease)
    }

    /// How it stands now; it may have been renewed.
    fn learn(&mut self, seen: &LeaseSeen) {
        if let Ok(expires_at) = time::exact_arg(&seen.expires_at)
            && expires_at != self.expires_at
        {
            self.expires_at = expires_at;
            self.plan(seen.renewable);
        }
    }

    fn plan(&mut self, renewable: bool) {
        let left = self.expires_at - time::now();
        let more = renewable && self.active && self.expires_at < self.max_expires_at;
        self.renew_at = more.then(|| self.expires_at - left / RENEW_AT);
    }
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;

    use super::*;

    fn seen(left: i64, max: i64, renewable: bool) -> LeaseSeen {
        let now = time::now();
        let at = |seconds| time::exact(now + TimeDelta::seconds(seconds));
        LeaseSeen {
            id: "ls_1".to_owned(),
            resource: "vouchsafe://secrets/a".to_owned(),
            status: "active".to_owned(),
            issued_at: time::exact(now),
            expires_at: at(left),
            max_expires_at: at(max),
            renewable,
        }
    }

    #[test]
    fn a_lease_is_renewed_before_its_last_quarter_if_that_helps() {
        let began = time::now() - TimeDelta::seconds(1);
        let lease = Lease::of(&seen(100, 200, true), began).unwrap();
        let left = (lease.expires_at - lease.renew_at.unwrap()).num_seconds();
        assert!((24..=25).contains(&left), "{left}");
        assert!(lease.own);
        assert_eq!(Lease::of(&seen(100, 100, true), began).unwrap().renew_at, None);
        assert_eq!(Lease::of(&seen(100, 200, false), began).unwrap().renew_at, None);
        let later = time::now() + TimeDelta::seconds(1);
        assert!(!Lease::of(&seen(100, 200, true), later).unwrap().own, "it was there before");
    }
}
