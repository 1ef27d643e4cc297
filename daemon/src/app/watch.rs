//! Notices when the policy folder changes.
//!
//! The system tells of changes where it can, and the folder is looked at every few seconds besides:
//! what it is told of is a reason to look, and never the truth. So a folder whose changes nobody
//! tells of (a network drive, a file behind a link) is read a little later, and that is all.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use notify::event::{AccessKind, AccessMode};
use notify::{Event, EventKind, RecommendedWatcher, RecursiveMode, Watcher as _};
use tokio::sync::Notify;
use tokio::time::{MissedTickBehavior, interval, timeout};

use crate::broker::Broker;
use crate::policy_files::Stamp;

/// How long nothing may change before a set counts as written: an editor, a copy or a checkout
/// takes several steps.
const QUIET: Duration = Duration::from_millis(300);
/// How often it is waited for that, at most: somebody may write without end.
const QUIET_WAITS_MAX: u32 = 30;
/// How often the folder is looked at though nobody tells of a change.
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// Which folder a path leads to: the path without links, and the folder's own number.
type Place = (PathBuf, u64);

/// A watch on a folder, or none.
struct Watch {
    changed: Arc<Notify>,
    watching: Option<(Place, RecommendedWatcher)>,
    /// What was last said of it.
    why_not: Option<String>,
}

/// Reads the policy folder whenever it has changed, until the broker drains.
pub(super) async fn policies(broker: Broker, dir: PathBuf) {
    let draining = broker.draining();
    let mut watch = Watch { changed: Arc::default(), watching: None, why_not: None };
    let mut ticks = interval(LOOK_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        watch.follow(&dir, &broker);
        tokio::select! {
            _ = ticks.tick() => {}
            () = watch.changed.notified() => {}
            () = draining.cancelled() => return,
        }
        match broker.policy_has_changed().await {
            Ok(false) => continue,
            Ok(true) => {}
            Err(refused) => {
                tracing::warn!(code = %refused.code, "the policy folder could not be looked at");
                continue;
            }
        }
        tokio::select! {
            () = watch.quiet(&dir) => {}
            () = draining.cancelled() => return,
        }
        // The broker says in the log what came of it, file by file.
        if let Err(refused) = broker.reload(None).await {
            tracing::error!(code = %refused.code, "the policy folder could not be read again");
        }
    }
}

impl Watch {
    /// Watches the folder that the path leads to now: it may be another one than before.
    fn follow(&mut self, dir: &Path, broker: &Broker) {
        let place = place(dir);
        let same =
            |(watched, _): &(Place, RecommendedWatcher)| Some(watched) == place.as_ref().ok();
        if self.watching.as_ref().is_some_and(same) {
            return;
        }
        self.watching = None;
        let begun = place.map_err(notify::Error::io).and_then(|place| {
            let watcher = begin(dir, Arc::clone(&self.changed))?;
            Ok((place, watcher))
        });
        let why_not = match begun {
            Ok(watching) => {
                self.watching = Some(watching);
                // What has changed since the last look nobody has told of.
                self.changed.notify_one();
                None
            }
            Err(error) => Some(error.to_string()),
        };
        if why_not != self.why_not {
            if let Some(why) = &why_not {
                tracing::error!(
                    %why,
                    "the policy folder cannot be watched: changes are noticed a few seconds late"
                );
            } else {
                tracing::info!("the policy folder is watched again");
            }
            broker.policy_unwatched(why_not.clone());
            self.why_not = why_not;
        }
    }

    /// Waits until the folder has been left alone for a while.
    async fn quiet(&self, dir: &Path) {
        let mut before = Stamp::of(dir);
        for _ in 0..QUIET_WAITS_MAX {
            let told = timeout(QUIET, self.changed.notified()).await.is_ok();
            let now = Stamp::of(dir);
            if !told && now == before {
                return;
            }
            before = now;
        }
    }
}

fn begin(dir: &Path, changed: Arc<Notify>) -> notify::Result<RecommendedWatcher> {
    let mut watcher = notify::recommended_watcher(move |event: notify::Result<Event>| {
        // An error tells that something was missed.
        if event.map_or(true, |event| changes(event.kind)) {
            changed.notify_one();
        }
    })?;
    watcher.watch(dir, RecursiveMode::Recursive)?;
    Ok(watcher)
}

/// Whether an event may come of a change. Reading is none, and we read.
const fn changes(kind: EventKind) -> bool {
    match kind {
        EventKind::Access(kind) => matches!(kind, AccessKind::Close(AccessMode::Write)),
        EventKind::Any
        | EventKind::Create(_)
        | EventKind::Modify(_)
        | EventKind::Remove(_)
        | EventKind::Other => true,
    }
}

fn place(dir: &Path) -> std::io::Result<Place> {
    Ok((fs::canonicalize(dir)?, fs::metadata(dir)?.ino()))
}
