//! How much a key may do: requests in a minute, calls of tools in a month.
//!
//! Both are counted in memory, under a lock. What is stored of requests is up to half a second old;
//! what is stored of calls is ahead of them (see [`month`]).

mod month;
mod window;

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use vouchsafe_core::audit::Action;
use vouchsafe_core::caller::Agent;
use vouchsafe_core::id::{KeyId, ProjectId};
use vouchsafe_core::key::Key;
use vouchsafe_core::time::{Now, UnixTime};

use self::month::{Counted, Month, month_of, next_month};
use self::window::Window;
use super::{Broker, Code, KeyUsage, Refused, Stop, entries};
use crate::store::Tx;

/// What every key has used.
#[derive(Debug, Default)]
pub(super) struct Limits {
    windows: Mutex<HashMap<KeyId, Window>>,
    months: Mutex<HashMap<ProjectId, Month>>,
    /// Held by whoever changes what is stored of calls, so that changes are stored in order.
    turn: tokio::sync::Mutex<()>,
}

/// Taken from the limits, to be written.
#[derive(Clone, Debug, Default)]
pub(super) struct Used {
    windows: Vec<(KeyId, String)>,
    calls: Vec<(ProjectId, KeyId, String, u64)>,
}

/// One call that counts towards a month. Whoever drops it leaves it spent.
#[derive(Debug)]
#[must_use = "a call that was refused gives its place back"]
pub struct Charge {
    broker: Broker,
    key: KeyId,
    project: ProjectId,
    month: String,
}

impl Charge {
    /// The call was refused, and costs nothing.
    pub fn give_back(self) {
        let mut months = self.broker.inner.limits.months();
        if let Some(month) = months.get_mut(&self.project).filter(|month| month.is(&self.month)) {
            month.give_back(self.key);
        }
    }
}

impl Used {
    pub(super) fn is_empty(&self) -> bool {
        self.windows.is_empty() && self.calls.is_empty()
    }

    pub(super) fn write(&self, tx: &mut Tx<'_>) -> Result<(), Stop> {
        for (key, recent) in &self.windows {
            tx.save_recent(*key, recent)?;
        }
        for (_, key, month, calls) in &self.calls {
            tx.save_calls(*key, month, *calls)?;
        }
        Ok(())
    }
}

impl Limits {
    /// The right to change what is stored of calls.
    pub(super) async fn turn(&self) -> tokio::sync::MutexGuard<'_, ()> {
        self.turn.lock().await
    }

    fn windows(&self) -> MutexGuard<'_, HashMap<KeyId, Window>> {
        self.windows.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn months(&self) -> MutexGuard<'_, HashMap<ProjectId, Month>> {
        self.months.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What has to be written, by whoever has the [`Self::turn`]. Forgets who is idle.
    pub(super) fn take(&self, stops: bool, now: &Now) -> Used {
        let mut used = Used::default();
        let mut windows = self.windows();
        for (key, window) in windows.iter_mut() {
            used.windows.extend(window.take_note().map(|note| (*key, note)));
        }
        windows.retain(|_, window| !window.is_idle(now));
        drop(windows);
        let mut months = self.months();
        for (project, month) in months.iter_mut() {
            let name = month.name().to_owned();
            let calls = month.take_unsaved(stops, now).into_iter();
            used.calls.extend(calls.map(|(key, calls)| (*project, key, name.clone(), calls)));
        }
        months.retain(|_, month| !month.is_idle(now));
        used
    }

    /// What was taken is written.
    pub(super) fn written(&self, used: &Used) {
        let mut months = self.months();
        for (project, key, name, calls) in &used.calls {
            if let Some(month) = months.get_mut(project).filter(|month| month.is(name)) {
                month.stored(*key, *calls);
            }
        }
    }

    /// What was taken could not be written. Calls need nothing: what is stored of them is more.
    pub(super) fn give_back(&self, used: &Used) {
        let mut windows = self.windows();
        for (key, _) in &used.windows {
            if let Some(window) = windows.get_mut(key) {
                window.note_again();
            }
        }
    }

    /// A project has another limit, said by whoever has the [`Self::turn`].
    pub(super) fn limit_project(&self, project: ProjectId, limit: Option<u64>) {
        if let Some(month) = self.months().get_mut(&project) {
            month.limit = limit;
        }
    }

    fn with_window<T>(&self, key: KeyId, f: impl FnOnce(&mut Window) -> T) -> Option<T> {
        self.windows().get_mut(&key).map(f)
    }

    fn with_month<T>(
        &self,
        project: ProjectId,
        name: &str,
        f: impl FnOnce(&mut Month) -> T,
    ) -> Option<T> {
        self.months().get_mut(&project).filter(|month| month.is(name)).map(f)
    }
}

impl Broker {
    /// Counts one request of an agent, where its rate leaves one. What is refused does not count.
    pub async fn admit_request(&self, agent: &Agent) -> Result<(), Refused> {
        let now = self.now();
        let rate = agent.settings.rate.per_minute();
        let admitted = loop {
            let limits = &self.inner.limits;
            if let Some(admitted) = limits.with_window(agent.key, |window| window.admit(rate, &now))
            {
                break admitted;
            }
            // Until it has counted something it may be forgotten again at once.
            self.load_windows(&[agent.key], &now).await?;
        };
        admitted.map_err(|wait| {
            let refused = rate_limited(agent, rate, wait);
            self.note_refused(agent, &refused);
            refused
        })
    }

    /// Counts one call of a tool, where the limits of the key and of its project leave one.
    pub async fn charge(&self, agent: &Agent) -> Result<Charge, Refused> {
        let (key, project, cap) = (agent.key, agent.project, agent.settings.monthly);
        loop {
            let now = self.now();
            let month = month_of(now.wall);
            self.load_month(project, &month).await?;
            let counted =
                self.inner.limits.with_month(project, &month, |m| m.count(key, cap, &now));
            match counted {
                Some(Counted::Yes) => {
                    return Ok(Charge { broker: self.clone(), key, project, month });
                }
                Some(Counted::Store(_)) => self.store_block(agent, &month).await?,
                Some(Counted::KeyOver(cap)) => {
                    let whose = format!("the key `{}` has made its {cap} calls", agent.name);
                    let how = format!("`vouchsafe keys update {} --monthly ..`", agent.name);
                    return Err(quota_exceeded(&whose, &how, now.wall));
                }
                Some(Counted::ProjectOver(limit)) => {
                    let name = &agent.project_name;
                    let whose =
                        format!("the keys of the project `{name}` have made their {limit} calls");
                    let how = format!("`vouchsafe projects update {name} --monthly ..`");
                    return Err(quota_exceeded(&whose, &how, now.wall));
                }
                None => {}
            }
        }
    }

    /// What an agent has used of its limits, and what is left.
    pub async fn usage(&self, agent: &Agent) -> Result<KeyUsage, Refused> {
        let settings = &agent.settings;
        let rate = settings.rate.per_minute();
        self.usage_of(agent.key, agent.project, settings.monthly, rate).await
    }

    /// What a key has used of its limits, and what is left.
    pub(super) async fn key_usage(&self, key: &Key) -> Result<KeyUsage, Refused> {
        let settings = &key.settings;
        self.usage_of(key.id, key.project, settings.monthly, settings.rate.per_minute()).await
    }

    /// Calls by all keys of a project this month.
    pub(super) async fn calls_this_month(&self, project: ProjectId) -> Result<u64, Refused> {
        let month = month_of(self.now().wall);
        self.load_month(project, &month).await?;
        let used = self.inner.limits.with_month(project, &month, |month| month.used());
        Ok(used.unwrap_or_default())
    }

    async fn usage_of(
        &self,
        key: KeyId,
        project: ProjectId,
        cap: Option<u64>,
        rate: u32,
    ) -> Result<KeyUsage, Refused> {
        let now = self.now();
        let month = month_of(now.wall);
        self.load_windows(&[key], &now).await?;
        self.load_month(project, &month).await?;
        let limits = &self.inner.limits;
        let used = limits.with_month(project, &month, |month| month.usage(key, cap));
        let (calls, calls_left) = used.unwrap_or_default();
        let rate_left = limits.with_window(key, |window| window.left(rate, &now)).unwrap_or(rate);
        Ok(KeyUsage { calls, calls_left, rate_left, resets_at: next_month(now.wall) })
    }

    /// Reads the last minutes of these keys, where they are not known.
    pub(super) async fn load_windows(&self, keys: &[KeyId], now: &Now) -> Result<(), Refused> {
        let unknown: Vec<_> = {
            let windows = self.inner.limits.windows();
            keys.iter().copied().filter(|key| !windows.contains_key(key)).collect()
        };
        if unknown.is_empty() {
            return Ok(());
        }
        let found = self.look("key_recent", move |reader| {
            let recent = unknown.into_iter().map(|key| Ok((key, reader.key_recent(key)?)));
            recent.collect::<Result<Vec<_>, Stop>>()
        });
        let found = found.await?;
        let mut windows = self.inner.limits.windows();
        for (key, recent) in found {
            windows.entry(key).or_insert_with(|| Window::read(&recent, now));
        }
        Ok(())
    }

    /// Reads a project's calls of a month, where they are not known.
    async fn load_month(&self, project: ProjectId, name: &str) -> Result<(), Refused> {
        let limits = &self.inner.limits;
        if limits.with_month(project, name, |_| ()).is_some() {
            return Ok(());
        }
        let _turn = limits.turn().await;
        if limits.with_month(project, name, |_| ()).is_some() {
            return Ok(());
        }
        let month = name.to_owned();
        let found = self.look("calls_in", move |reader| {
            let limit = reader.project(project)?.and_then(|project| project.monthly);
            Ok((limit, reader.calls_in(project, &month)?))
        });
        let (limit, stored) = found.await?;
        let month = Month::new(name, limit, stored, &self.now());
        limits.months().insert(project, month);
        Ok(())
    }

    /// Stores the next block of an agent's calls as made, unless somebody just has.
    async fn store_block(&self, agent: &Agent, name: &str) -> Result<(), Refused> {
        let limits = &self.inner.limits;
        let _turn = limits.turn().await;
        let (key, cap) = (agent.key, agent.settings.monthly);
        let now = self.now();
        let wanted = limits.with_month(agent.project, name, |month| {
            let counted = month.count(key, cap, &now);
            if counted == Counted::Yes {
                month.give_back(key);
            }
            counted
        });
        let Some(Counted::Store(calls)) = wanted else { return Ok(()) };
        let (subject, month) = (entries::by_agent(Action::DOOR_REFUSED, agent), name.to_owned());
        // Calls that give leases and asks back go on while the disk is full.
        self.run_essential("save_calls", subject, move |tx| Ok(tx.save_calls(key, &month, calls)?))
            .await?;
        limits.with_month(agent.project, name, |month| month.stored(key, calls));
        Ok(())
    }
}

fn rate_limited(agent: &Agent, rate: u32, wait: Duration) -> Refused {
    let wait = whole_seconds(wait);
    let (name, seconds) = (&agent.name, wait.as_secs());
    Refused::new(
        Code::RateLimited,
        format!("the key `{name}` has made the {rate} requests that it may make in a minute"),
        format!(
            "Wait {seconds} seconds, then go on; `vouchsafe keys update {name} --rate ..` gives \
             it more."
        ),
    )
    .retry_after(wait)
}

fn quota_exceeded(whose: &str, how: &str, now: UnixTime) -> Refused {
    let (month, next) = (month_of(now), next_month(now));
    let day: String = next.rfc3339().chars().take(10).collect();
    Refused::new(
        Code::QuotaExceeded,
        format!("{whose} of {month}"),
        format!("There are new ones from {day}, 00:00 UTC on; {how} gives more."),
    )
    .retry_after(whole_seconds(next.since(now)))
}

/// Rounded up to whole seconds.
fn whole_seconds(time: Duration) -> Duration {
    let extra = u64::from(time.subsec_nanos() > 0);
    Duration::from_secs(time.as_secs().saturating_add(extra))
}

#[cfg(test)]
mod tests;
