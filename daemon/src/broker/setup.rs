//! What a new home begins with, and the project that commands are about.

use vouchsafe_core::audit::Action;
use vouchsafe_core::caller::{Contact, Reach, Role, User, UserRecord};
use vouchsafe_core::id::{ProjectId, SecretId, UserId};
use vouchsafe_core::secret::SecretBytes;
use vouchsafe_core::text::echo;
use vouchsafe_core::token::{Token, TokenKind};

use super::{Broker, Code, Refused, SecretRecord, Stop, entries, random};
use crate::store::{Reader, TokenHash, Tx};
use crate::vault::{Place, Vault};
use vouchsafe_core::project::{DEFAULT_PROJECT, Project};

/// What a new home begins with.
#[derive(Debug)]
pub struct Setup {
    /// The first admin's name.
    pub admin: String,
    /// The groups the admin is in.
    pub groups: Vec<String>,
    /// Secrets to begin with: path, description, value.
    pub secrets: Vec<(String, String, SecretBytes)>,
}

impl Broker {
    /// Fills a new home: the default project, the first admin, and what secrets are given.
    /// Refused where there is a project already. The token is shown to nobody else.
    pub async fn set_up(&self, setup: Setup) -> Result<Token, Refused> {
        let token = new_token(TokenKind::User)?;
        let hash = self.token_hash(&token);
        let id = ProjectId::from_random(random()?);
        let user_id = UserId::from_random(random()?);
        let mut secret_ids = Vec::new();
        for _ in &setup.secrets {
            secret_ids.push(SecretId::from_random(random()?));
        }
        let vault = std::sync::Arc::clone(&self.inner.vault);
        let subject = entries::by_system(Action::USER_CREATED);
        self.run("set_up", subject, move |tx| {
            let now = tx.now().wall;
            if tx.project_named(DEFAULT_PROJECT)?.is_some() {
                return Err(Refused::new(
                    Code::AlreadyExists,
                    "the home has been set up before",
                    "Start it with `vouchsafed serve`.",
                )
                .into());
            }
            let project = Project {
                id,
                name: DEFAULT_PROJECT.parse().map_err(invalid)?,
                monthly: None,
                created_at: now,
                archived_at: None,
            };
            tx.insert_project(&project)?;
            let name = setup.admin.parse().map_err(invalid)?;
            let user = UserRecord {
                id: user_id,
                name,
                roles: Role::ALL.into_iter().collect(),
                project_roles: Vec::new(),
                groups: setup.groups.clone(),
                enabled: true,
                contact: Contact::default(),
                created_at: now,
                last_used_at: None,
            };
            tx.insert_user(&user, &hash)?;
            let entry = entries::by_system(Action::USER_CREATED).project(project.name.as_str());
            let roles: Vec<_> = user.roles.iter().map(Role::as_str).collect();
            tx.append(&entry.detail("user", user.name.as_str()).detail("roles", roles))?;
            for (first, id) in setup.secrets.iter().zip(&secret_ids) {
                first_secret(tx, &vault, &project, &user, first, *id)?;
            }
            Ok(())
        })
        .await?;
        Ok(token)
    }

    pub(super) fn token_hash(&self, token: &Token) -> TokenHash {
        TokenHash {
            id: token.id().to_owned(),
            mac: self.inner.vault.token_mac(token.id(), token.secret().as_bytes()).to_vec(),
        }
    }
}

/// One of the secrets that a home begins with: path, description, value.
fn first_secret(
    tx: &mut Tx<'_>,
    vault: &Vault,
    project: &Project,
    user: &UserRecord,
    (path, description, value): &(String, String, SecretBytes),
    id: SecretId,
) -> Result<(), Stop> {
    let path = path.parse().map_err(invalid)?;
    let mut secret = SecretRecord::new(id, project.id, path, tx.now().wall);
    secret.version = 1;
    secret.description.clone_from(description);
    secret.updated_by = user.name.to_string();
    secret.value.bytes = u64::try_from(value.len()).unwrap_or(u64::MAX);
    let place = Place::secret(secret.project, secret.id, secret.version);
    let sealed = vault.seal(&place, value).map_err(|_| Refused::internal())?;
    tx.insert_secret(&secret)?;
    tx.insert_secret_version(&secret, sealed.as_bytes())?;
    let entry = entries::by_system(Action::SECRET_PUT).project(project.name.as_str());
    tx.append(&entry.resource(&secret.resource()).detail("version", 1))?;
    Ok(())
}

/// A credential that nobody has yet.
pub(super) fn new_token(kind: TokenKind) -> Result<Token, Refused> {
    Ok(Token::from_random(kind, random()?, random()?))
}

/// The project of that name, where the user's reach covers it; none where none is named.
pub(super) fn project_named(
    reader: &Reader<'_>,
    user: &User,
    name: Option<&str>,
) -> Result<Option<Project>, Stop> {
    match name.filter(|name| !name.is_empty()) {
        None => Ok(None),
        Some(name) => covered(reader, user, name).map(Some),
    }
}

/// The project of that name, where the user's reach covers it. Where none is named: the default
/// one, or the only one that their reach covers.
pub(super) fn project_or_default(
    reader: &Reader<'_>,
    user: &User,
    name: Option<&str>,
) -> Result<Project, Stop> {
    match (name.filter(|name| !name.is_empty()), &user.reach) {
        (Some(name), _) => covered(reader, user, name),
        (None, Reach::Projects(projects)) if projects.len() == 1 => {
            let only =
                projects.iter().next().map(|project| reader.project(*project)).transpose()?;
            only.flatten().ok_or_else(|| no_project(DEFAULT_PROJECT).into())
        }
        (None, _) => covered(reader, user, DEFAULT_PROJECT),
    }
}

/// [`project_or_default`], for what puts something into the project: it must be in use.
pub(super) fn project_in_use(
    reader: &Reader<'_>,
    user: &User,
    name: Option<&str>,
) -> Result<Project, Stop> {
    let project = project_or_default(reader, user, name)?;
    if project.archived_at.is_some() {
        return Err(project_archived(project.name.as_str()).into());
    }
    Ok(project)
}

/// The default project, for what the daemon does by itself.
pub(super) fn default_project(reader: &Reader<'_>) -> Result<Project, Stop> {
    Ok(reader.project_named(DEFAULT_PROJECT)?.ok_or_else(|| no_project(DEFAULT_PROJECT))?)
}

/// What is told of a project that is not in use.
pub(super) fn project_archived(name: &str) -> Refused {
    Refused::new(
        Code::ProjectArchived,
        format!("the project `{name}` is archived"),
        format!("An operator takes it back into use with `vouchsafe projects restore {name}`."),
    )
}

/// A project that is there. What is out of reach looks as if it were not.
fn covered(reader: &Reader<'_>, user: &User, name: &str) -> Result<Project, Stop> {
    let found = reader.project_named(name)?;
    let found = found.filter(|project| user.reach.covers(project.id));
    Ok(found.ok_or_else(|| no_project(name))?)
}

pub(super) fn no_project(name: &str) -> Refused {
    Refused::new(
        Code::ProjectNotFound,
        format!("there is no project `{}`", echo(name, 40)),
        "`vouchsafe projects list` shows which there are.",
    )
}

fn invalid(error: impl std::fmt::Display) -> Refused {
    Refused::invalid(error.to_string(), "Choose another one.")
}
