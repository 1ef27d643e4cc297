//! Projects.

use rusqlite::params;
use vouchsafe_core::id::ProjectId;
use vouchsafe_core::time::UnixTime;

use super::StoreError;
use super::sql::{Reader, Tx, parsed};

/// The namespace that owns rules, secrets and keys.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Project {
    /// Its id.
    pub id: ProjectId,
    /// Its name.
    pub name: String,
}

impl Reader<'_> {
    /// The project of that name.
    pub fn project_named(&self, name: &str) -> Result<Option<Project>, StoreError> {
        self.query_opt(
            "-- project_named
             SELECT id, name FROM projects WHERE name = $1",
            params![name],
            |row| Ok(Project { id: parsed(row, 0)?, name: row.get(1)? }),
        )
    }
}

impl Tx<'_> {
    /// A new project.
    pub fn insert_project(&mut self, project: &Project, at: UnixTime) -> Result<(), StoreError> {
        self.execute(
            "-- insert_project
             INSERT INTO projects (id, name, created_at) VALUES ($1, $2, $3)",
            params![project.id.to_string(), project.name, at.ms()],
        )?;
        Ok(())
    }
}
