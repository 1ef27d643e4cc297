//! Stops that stand.

use rusqlite::params;
use vouchsafe_core::id::{KeyId, ProjectId};
use vouchsafe_core::stop::{Stop, Stopped};

use super::StoreError;
use super::columns::{json, to_json};
use super::sql::{Reader, Tx};

/// A stop with the names of what it covers.
#[derive(Clone, Debug)]
pub struct StopView {
    /// The stop.
    pub stop: Stop,
    /// The project's name, or that of the key's project; empty where everything is stopped.
    pub project: String,
    /// The key's name; empty where it is not one key.
    pub key: String,
    /// Where that is: the project, or the key's project; none where everything is stopped.
    pub within: Option<ProjectId>,
}

impl StopView {
    /// What it covers, in a word or two: `all`, `project NAME`, `key NAME`.
    pub fn what(&self) -> String {
        match self.stop.what {
            Stopped::All => "all".to_owned(),
            Stopped::Project(_) => format!("project {}", self.project),
            Stopped::Key(_) => format!("key {}", self.key),
        }
    }
}

impl Reader<'_> {
    /// All of them, the ones that cover most first. The stop of a key that was deleted is of no
    /// matter any more.
    pub fn stops(&self) -> Result<Vec<StopView>, StoreError> {
        self.query(
            "-- stops
             SELECT s.body, COALESCE(p.name, ''), COALESCE(k.name, ''), p.id
             FROM stops s
                  LEFT JOIN mcp_keys k ON k.id = s.what
                  LEFT JOIN projects p ON p.id = COALESCE(k.project_id, s.what)
             WHERE k.deleted_at IS NULL
             ORDER BY s.what = 'all' DESC, s.what DESC",
            [],
            |row| {
                let within: Option<String> = row.get(3)?;
                Ok(StopView {
                    stop: json(row, 0)?,
                    project: row.get(1)?,
                    key: row.get(2)?,
                    // What is not an id is no project's.
                    within: within.and_then(|id| id.parse().ok()),
                })
            },
        )
    }

    /// A stop that covers what this key of this project asks, the widest one; no key: what a person
    /// or the daemon itself asks. Asked at every read, so it is one look at three places of an index
    /// that is all but always empty.
    pub fn stop_over(
        &self,
        project: ProjectId,
        key: Option<KeyId>,
    ) -> Result<Option<Stop>, StoreError> {
        // Asked with every use, and hardly ever is there one.
        let any = self.query_opt(
            "-- any_stop
             SELECT 1 FROM stops LIMIT 1",
            [],
            |_| Ok(()),
        )?;
        if any.is_none() {
            return Ok(None);
        }
        let (project, key) = match key {
            Some(key) => (what(Stopped::Project(project)), what(Stopped::Key(key))),
            None => (String::new(), String::new()),
        };
        self.query_opt(
            "-- stop_over
             SELECT body FROM stops WHERE what IN ('all', $1, $2)
             ORDER BY what = 'all' DESC, what DESC LIMIT 1",
            params![project, key],
            |row| json(row, 0),
        )
    }
}

impl Tx<'_> {
    /// Keeps a stop. Returns whether nothing of the kind stood.
    pub fn insert_stop(&mut self, stop: &Stop) -> Result<bool, StoreError> {
        let changed = self.execute(
            "-- insert_stop
             INSERT INTO stops (what, body) VALUES ($1, $2) ON CONFLICT (what) DO NOTHING",
            params![what(stop.what), to_json(stop)],
        )?;
        Ok(changed == 1)
    }

    /// Takes a stop back. Returns whether it stood.
    pub fn delete_stop(&mut self, stopped: Stopped) -> Result<bool, StoreError> {
        let changed = self.execute(
            "-- delete_stop
             DELETE FROM stops WHERE what = $1",
            params![what(stopped)],
        )?;
        Ok(changed == 1)
    }
}

fn what(stopped: Stopped) -> String {
    match stopped {
        Stopped::All => "all".to_owned(),
        Stopped::Project(project) => project.to_string(),
        Stopped::Key(key) => key.to_string(),
    }
}
