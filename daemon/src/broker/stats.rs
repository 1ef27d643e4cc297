//! How people answer, and what rules would have spared them.

use std::sync::Arc;
use std::time::Duration;

use vouchsafe_core::approval::Approval;
use vouchsafe_core::caller::User;
use vouchsafe_core::id::ProjectId;
use vouchsafe_core::policy::{Habit, Habits, Offer, PolicyFile, RuleSet, parse, suggest};
use vouchsafe_core::project::Project;
use vouchsafe_core::stats::{Tally, Wanted};
use vouchsafe_core::time::UnixTime;

use super::doors::live_user;
use super::replay::replay;
use super::setup::project_or_default;
use super::{Broker, DEFAULT_PROJECT, Refused, Replayed, Stats, Stop, Suggestion, Suggestions};
use crate::policy_files::{Loaded, project_of};
use crate::store::{Reader, StoreError};

/// How far back where nobody says.
const SINCE: Duration = Duration::from_hours(30 * 24);
/// Approvals that are looked at, the newest that people have answered.
const APPROVALS_MAX: u32 = 20_000;
/// How often at least something was asked for, where nobody says.
const ASKS_MIN: u32 = 10;
/// Suggestions that are made at once, those for the most frequent asks.
const SUGGESTIONS_MAX: usize = 20;
/// What the file of a suggestion is called while it is tried.
const FILE: &str = "suggested-by-vouchsafe.toml";

impl Broker {
    /// How people have answered the asks of a project since a time (the last 30 days, where none is
    /// given), the newest 20,000 at most.
    pub async fn show_stats(
        &self,
        user: &User,
        project: Option<String>,
        since: Option<UnixTime>,
        wanted: Wanted,
    ) -> Result<Stats, Refused> {
        let (user, since) = (user.clone(), self.since(since));
        self.look("show_stats", move |reader| {
            live_user(reader, &user)?;
            let project = project_or_default(reader, &user, project.as_deref())?;
            let mut tally = Tally::new(wanted);
            let cut = each_answered(reader, project.id, since, |approval| tally.add(approval))?;
            Ok(Stats { answers: tally.finish(), cut, since })
        })
        .await
    }

    /// Rules for what a key asked for so often at least (10 times, where nobody says) and people
    /// always approved since a time, 20 at most, each with what it would have changed beside the
    /// rules in force.
    ///
    /// What is suggested as a rule has been read together with the rules in force: it can be put
    /// into a policy file as it is.
    pub async fn suggest_rules(
        &self,
        user: &User,
        project: Option<String>,
        since: Option<UnixTime>,
        min: Option<u32>,
    ) -> Result<Suggestions, Refused> {
        let (caller, since) = (user.clone(), self.since(since));
        let min = min.unwrap_or(ASKS_MIN);
        let (project, habits, cut) = self
            .look("suggest_rules", move |reader| {
                live_user(reader, &caller)?;
                let project = project_or_default(reader, &caller, project.as_deref())?;
                let mut habits = Habits::default();
                let cut = each_answered(reader, project.id, since, |past| habits.add(past))?;
                let habits = alive(reader, habits.often(min))?;
                Ok((project, habits, cut))
            })
            .await?;
        let loaded = self.inner.policy.current();
        let options = self.inner.settings.policy_options.clone();
        let mut offers = suggest(loaded.of(project.name.as_str()), habits, &options);
        offers.truncate(SUGGESTIONS_MAX);
        let mut rules = Vec::new();
        for (habit, offer) in offers {
            rules.extend(self.tried(&project, &loaded, since, habit, offer).await?);
        }
        Ok(Suggestions { rules, cut })
    }

    /// A suggestion with what it would have changed; nothing where it does not go together with the
    /// rules in force after all.
    async fn tried(
        &self,
        project: &Project,
        loaded: &Arc<Loaded>,
        since: UnixTime,
        habit: Habit,
        offer: Offer,
    ) -> Result<Option<Suggestion>, Refused> {
        if !offer.adds {
            return Ok(Some(Suggestion { habit, offer, replay: None }));
        }
        let (project, loaded) = (project.clone(), Arc::clone(loaded));
        let (toml, options) = (offer.toml.clone(), self.inner.settings.policy_options.clone());
        let replayed: Option<Replayed> = self
            .look("try_suggestion", move |reader| {
                let files = with_file(&loaded, project.name.as_str(), toml);
                let people = reader.directory(project.id)?;
                let set: RuleSet = match parse(&files, &people, &options) {
                    Ok(set) => set,
                    Err(problems) => {
                        tracing::warn!(problem = ?problems.first(), "a suggested rule is wrong");
                        return Ok(None);
                    }
                };
                let name = project.name.as_str();
                Ok(Some(replay(reader, &set, project.id, name, since)?))
            })
            .await?;
        Ok(replayed.map(|replay| Suggestion { habit, offer, replay: Some(replay) }))
    }

    fn since(&self, since: Option<UnixTime>) -> UnixTime {
        since.unwrap_or_else(|| self.now().wall.minus(SINCE))
    }
}

/// Shows the approvals that people have answered, and says whether there were more.
fn each_answered(
    reader: &Reader<'_>,
    project: ProjectId,
    since: UnixTime,
    mut f: impl FnMut(&Approval),
) -> Result<bool, StoreError> {
    let (mut seen, mut cut) = (0_u32, false);
    reader.each_answered(project, since, |approval| {
        cut = seen >= APPROVALS_MAX;
        if !cut {
            seen = seen.saturating_add(1);
            f(approval);
        }
        !cut
    })?;
    Ok(cut)
}

/// Those of keys that can still ask.
fn alive(reader: &Reader<'_>, habits: Vec<Habit>) -> Result<Vec<Habit>, Stop> {
    let mut alive = Vec::new();
    for habit in habits {
        if reader.key_standing(habit.key)?.is_some_and(|key| key.enabled) {
            alive.push(habit);
        }
    }
    Ok(alive)
}

/// The files that the rules of a project were read from, and one more.
fn with_file(loaded: &Loaded, project: &str, text: String) -> Vec<PolicyFile> {
    let own = loaded.files.iter().filter(|file| project_of(&file.name) == project);
    let name =
        if project == DEFAULT_PROJECT { FILE.to_owned() } else { format!("{project}/{FILE}") };
    own.cloned().chain([PolicyFile { name, text }]).collect()
}
