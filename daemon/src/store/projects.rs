//! Projects.

use rusqlite::{Row, params};
use vouchsafe_core::id::ProjectId;
use vouchsafe_core::project::Project;
use vouchsafe_core::time::UnixTime;

use super::StoreError;
use super::columns::time_opt;
use super::sql::{Reader, Tx, integer, parsed, time, unreadable};

impl Reader<'_> {
    /// The project of that name, archived or not.
    pub fn project_named(&self, name: &str) -> Result<Option<Project>, StoreError> {
        self.query_opt(
            "-- project_named
             SELECT id, name, monthly, created_at, archived_at FROM projects WHERE name = $1",
            params![name],
            project,
        )
    }

    /// The project of that id, archived or not.
    pub fn project(&self, id: ProjectId) -> Result<Option<Project>, StoreError> {
        self.query_opt(
            "-- project
             SELECT id, name, monthly, created_at, archived_at FROM projects WHERE id = $1",
            params![id.to_string()],
            project,
        )
    }

    /// Every project by name, archived ones too.
    pub fn projects(&self) -> Result<Vec<Project>, StoreError> {
        self.query(
            "-- projects
             SELECT id, name, monthly, created_at, archived_at FROM projects ORDER BY name",
            [],
            project,
        )
    }

    /// How many live keys and secrets a project has.
    pub fn project_holds(&self, id: ProjectId) -> Result<(u32, u64), StoreError> {
        let keys = self.query_opt(
            "-- project_holds
             SELECT count(*) FROM mcp_keys WHERE project_id = $1 AND deleted_at IS NULL",
            params![id.to_string()],
            |row| row.get(0),
        )?;
        let secrets: Option<i64> = self.query_opt(
            "-- project_holds
             SELECT count(*) FROM secrets WHERE project_id = $1 AND deleted_at IS NULL",
            params![id.to_string()],
            |row| row.get(0),
        )?;
        let secrets = secrets.and_then(|count| u64::try_from(count).ok());
        Ok((keys.unwrap_or_default(), secrets.unwrap_or_default()))
    }
}

impl Tx<'_> {
    /// A new project.
    pub fn insert_project(&mut self, project: &Project) -> Result<(), StoreError> {
        self.execute(
            "-- insert_project
             INSERT INTO projects (id, name, monthly, created_at) VALUES ($1, $2, $3, $4)",
            params![
                project.id.to_string(),
                project.name.as_str(),
                project.monthly.map(integer),
                project.created_at.ms(),
            ],
        )?;
        Ok(())
    }

    /// Saves a project's limit, and whether it is archived.
    pub fn save_project(&mut self, project: &Project) -> Result<(), StoreError> {
        self.execute(
            "-- save_project
             UPDATE projects SET monthly = $1, archived_at = $2 WHERE id = $3",
            params![
                project.monthly.map(integer),
                project.archived_at.map(UnixTime::ms),
                project.id.to_string(),
            ],
        )?;
        Ok(())
    }
}

fn project(row: &Row<'_>) -> rusqlite::Result<Project> {
    let monthly: Option<i64> = row.get(2)?;
    let monthly = monthly
        .map(|n| u64::try_from(n).map_err(|e| unreadable(2, rusqlite::types::Type::Integer, e)));
    Ok(Project {
        id: parsed(row, 0)?,
        name: parsed(row, 1)?,
        monthly: monthly.transpose()?,
        created_at: time(row, 3)?,
        archived_at: time_opt(row, 4)?,
    })
}
