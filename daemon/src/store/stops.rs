//! Stops that stand.

use rusqlite::params;
use vouchsafe_core::stop::{Stop, Stopped};

use super::StoreError;
use super::columns::{json, to_json};
use super::sql::{Reader, Tx};

impl Reader<'_> {
    /// All of them, the ones that cover most first.
    pub fn stops(&self) -> Result<Vec<Stop>, StoreError> {
        self.query(
            "-- stops
             SELECT body FROM stops ORDER BY what = 'all' DESC, what DESC",
            [],
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
