//! Who is let in, and what the log says of those who are not.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use vouchsafe_core::audit::{Action, Actor, ActorKind, Entry, Outcome, Proof, Via};
use vouchsafe_core::caller::{Agent, Claims, Transport, User};
use vouchsafe_core::id::{ApprovalId, KeyId, UserId};
use vouchsafe_core::time::UnixTime;
use vouchsafe_core::token::{Token, TokenKind};

use super::{Broker, Code, Refused, Stop, entries, refusal};
use crate::store::{Reader, TokenHash, Tx};

/// Refusals at doors that get an entry each, in any one second; more are counted together.
const REFUSALS_PER_SECOND: u32 = 20;
/// Things to say in the log that may wait for the next sweep.
const NOTES_MAX: usize = 10_000;

/// What the doors have seen and the log does not know yet.
#[derive(Debug, Default)]
pub(super) struct Doors {
    seen: Mutex<Seen>,
}

#[derive(Debug, Default)]
struct Seen {
    second: i64,
    in_second: u32,
    /// Refusals beyond those that get an entry each, by door and code.
    counted: HashMap<(&'static str, Code), u64>,
    notes: Vec<Entry>,
    keys: HashMap<KeyId, UnixTime>,
    users: HashMap<UserId, UnixTime>,
}

/// Taken from the doors, to be written.
#[derive(Debug, Default)]
pub(super) struct Notes {
    entries: Vec<Entry>,
    keys: Vec<(KeyId, UnixTime)>,
    users: Vec<(UserId, UnixTime)>,
}

impl Notes {
    pub(super) fn is_empty(&self) -> bool {
        self.entries.is_empty() && self.keys.is_empty() && self.users.is_empty()
    }

    pub(super) fn write(&self, tx: &mut Tx<'_>) -> Result<(), Stop> {
        for entry in &self.entries {
            tx.append(entry)?;
        }
        for (key, at) in &self.keys {
            tx.touch_key(*key, *at)?;
        }
        for (user, at) in &self.users {
            tx.touch_user(*user, *at)?;
        }
        Ok(())
    }
}

impl Doors {
    fn seen(&self) -> std::sync::MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether a refusal gets an entry of its own; if not, it has been counted.
    fn gets_entry(&self, door: &'static str, code: Code, now: UnixTime) -> bool {
        let mut seen = self.seen();
        let second = now.ms().div_euclid(1_000);
        if seen.second != second {
            seen.second = second;
            seen.in_second = 0;
        }
        seen.in_second = seen.in_second.saturating_add(1);
        if seen.in_second <= REFUSALS_PER_SECOND {
            return true;
        }
        *seen.counted.entry((door, code)).or_default() += 1;
        false
    }

    fn note(&self, entry: Entry) {
        let mut seen = self.seen();
        if seen.notes.len() < NOTES_MAX {
            seen.notes.push(entry);
        }
    }

    /// Takes notes back that could not be written, for the next time.
    pub(super) fn give_back(&self, notes: &Notes) {
        for entry in &notes.entries {
            self.note(entry.clone());
        }
        let mut seen = self.seen();
        for (key, at) in &notes.keys {
            seen.keys.entry(*key).or_insert(*at);
        }
        for (user, at) in &notes.users {
            seen.users.entry(*user).or_insert(*at);
        }
    }

    pub(super) fn take(&self) -> Notes {
        let mut seen = self.seen();
        let mut entries = std::mem::take(&mut seen.notes);
        entries.extend(seen.counted.drain().map(|((door, code), count)| {
            door_entry(door).detail("code", code.as_str()).detail("count", count)
        }));
        Notes { entries, keys: seen.keys.drain().collect(), users: seen.users.drain().collect() }
    }
}

impl Broker {
    /// Lets an agent in by its key, or says why not. `project` is the one it asked for by name.
    pub async fn authenticate_key(
        &self,
        credential: Option<&str>,
        claims: Claims,
        project: Option<&str>,
    ) -> Result<Agent, Refused> {
        let door = match claims.transport {
            Transport::Http => "http",
            Transport::Stdio => "stdio",
        };
        let agent = self.key_agent(credential, claims, project).await;
        match agent {
            Ok(agent) => {
                let now = self.now().wall;
                self.inner.doors.seen().keys.insert(agent.key, now);
                Ok(agent)
            }
            Err(refused) => Err(self.turned_away(door, refused).await),
        }
    }

    /// Lets a person in by their token, or says why not.
    pub async fn authenticate_user(&self, credential: Option<&str>) -> Result<User, Refused> {
        match self.token_user(credential).await {
            Ok(user) => {
                let now = self.now().wall;
                self.inner.doors.seen().users.insert(user.id, now);
                Ok(user)
            }
            Err(refused) => Err(self.turned_away("grpc", refused).await),
        }
    }

    /// Notes in the log that a door itself turned somebody away. Never waits.
    pub fn refuse_door(&self, door: &'static str, refused: &Refused) {
        self.inner.count.refused(door, refused.code.as_str());
        if self.inner.doors.gets_entry(door, refused.code, self.now().wall) {
            self.inner.doors.note(refusal(door_entry(door), refused));
        }
    }

    /// Says in the log that a person was refused what their roles do not allow.
    pub async fn refuse_user(&self, user: &User, call: &str, refused: Refused) -> Refused {
        self.inner.count.refused("grpc", refused.code.as_str());
        if self.inner.doors.gets_entry("grpc", refused.code, self.now().wall) {
            let entry = entries::by_user(Action::DOOR_REFUSED, user).detail("call", call);
            return self.refuse(entry, refused).await;
        }
        refused
    }

    /// Notes in the log that an agent went away while it waited; its ask stays. Never waits.
    pub fn note_disconnect(&self, agent: &Agent, approval: ApprovalId) {
        self.inner
            .doors
            .note(entries::by_agent(Action::CALL_DISCONNECTED, agent).approval(approval));
    }

    /// Whether an agent that was let in earlier would still be.
    pub async fn still_valid(&self, agent: &Agent) -> Result<(), Refused> {
        let agent = agent.clone();
        self.look("still_valid", move |reader| live_agent(reader, &agent)).await
    }

    async fn key_agent(
        &self,
        credential: Option<&str>,
        claims: Claims,
        project: Option<&str>,
    ) -> Result<Agent, Refused> {
        let token = credential_of(TokenKind::Mcp, credential)?;
        let id = token.id().to_owned();
        let found = self.look("key_by_token", move |reader| Ok(reader.key_by_token(&id)?)).await?;
        let (view, hash) = found.ok_or_else(|| unknown(TokenKind::Mcp))?;
        self.check_token(&token, &hash)?;
        if !view.key.enabled {
            return Err(key_disabled(view.key.name.as_str()));
        }
        if project.is_some_and(|project| project != view.project_name) {
            return Err(Refused::new(
                Code::WrongProject,
                "the key belongs to another project than the one in the address",
                "Use the address /mcp, or a key of that project.",
            ));
        }
        Ok(Agent {
            key: view.key.id,
            generation: view.key.generation,
            revision: view.key.revision,
            name: view.key.name,
            project: view.key.project,
            project_name: view.project_name,
            owner: view.key.owner,
            owner_name: view.owner_name,
            scopes: view.key.scopes,
            settings: view.key.settings,
            claims,
        })
    }

    async fn token_user(&self, credential: Option<&str>) -> Result<User, Refused> {
        let token = credential_of(TokenKind::User, credential)?;
        let id = token.id().to_owned();
        let found =
            self.look("user_by_token", move |reader| Ok(reader.user_by_token(&id)?)).await?;
        let (record, hash) = found.ok_or_else(|| unknown(TokenKind::User))?;
        self.check_token(&token, &hash)?;
        if !record.enabled {
            return Err(user_disabled(record.name.as_str()));
        }
        Ok(User {
            id: record.id,
            name: record.name.to_string(),
            roles: record.roles,
            reach: vouchsafe_core::caller::Reach::Everywhere,
            token: token.id().to_owned(),
        })
    }

    fn check_token(&self, token: &Token, hash: &TokenHash) -> Result<(), Refused> {
        if self.inner.vault.token_verify(token.id(), token.secret().as_bytes(), &hash.mac) {
            Ok(())
        } else {
            Err(unknown(token.kind()))
        }
    }

    async fn turned_away(&self, door: &'static str, refused: Refused) -> Refused {
        self.inner.count.refused(door, refused.code.as_str());
        if self.inner.doors.gets_entry(door, refused.code, self.now().wall) {
            return self.refuse(door_entry(door), refused).await;
        }
        refused
    }
}

/// The key still stands as it was when the agent was let in.
pub(super) fn live_agent(reader: &Reader<'_>, agent: &Agent) -> Result<(), Stop> {
    let standing = reader.key_standing(agent.key)?;
    let (generation, enabled) = standing.ok_or_else(|| unknown(TokenKind::Mcp))?;
    if generation != agent.generation {
        return Err(unknown(TokenKind::Mcp).into());
    }
    if !enabled {
        return Err(key_disabled(agent.name.as_str()).into());
    }
    Ok(())
}

/// The user still stands as they were when they were let in.
pub(super) fn live_user(reader: &Reader<'_>, user: &User) -> Result<(), Stop> {
    match reader.user_if_current(user.id, &user.token)? {
        Some(_) => Ok(()),
        None => Err(unknown(TokenKind::User).into()),
    }
}

fn credential_of(wanted: TokenKind, credential: Option<&str>) -> Result<Token, Refused> {
    let credential = credential.ok_or_else(|| {
        Refused::new(Code::Unauthenticated, "no credential was sent", how_to_sign_in(wanted))
    })?;
    let token = Token::parse(credential).map_err(|error| {
        Refused::new(Code::Unauthenticated, error.to_string(), how_to_sign_in(wanted))
    })?;
    if token.kind() == wanted {
        return Ok(token);
    }
    let (got, needed) = match wanted {
        TokenKind::Mcp => ("a user token (vs_user_..)", "an MCP key (vs_mcp_..)"),
        TokenKind::User => ("an MCP key (vs_mcp_..)", "a user token (vs_user_..)"),
    };
    Err(Refused::new(
        Code::WrongCredential,
        format!("this door takes {needed}, and {got} was sent"),
        how_to_sign_in(wanted),
    ))
}

fn how_to_sign_in(wanted: TokenKind) -> &'static str {
    match wanted {
        TokenKind::Mcp => {
            "Make a key with `vouchsafe keys create NAME` and send it as a bearer token."
        }
        TokenKind::User => "An admin makes a token with `vouchsafe users token NAME`.",
    }
}

fn unknown(kind: TokenKind) -> Refused {
    let message = match kind {
        TokenKind::Mcp => "the key is unknown, or was deleted or regenerated",
        TokenKind::User => "the token is unknown, or was replaced by a newer one",
    };
    Refused::new(Code::Unauthenticated, message, how_to_sign_in(kind))
}

fn key_disabled(name: &str) -> Refused {
    Refused::new(
        Code::KeyDisabled,
        format!("the key `{name}` is disabled"),
        format!("An operator enables it with `vouchsafe keys enable {name}`."),
    )
}

fn user_disabled(name: &str) -> Refused {
    Refused::new(
        Code::UserDisabled,
        format!("the user `{name}` is disabled"),
        format!("An admin enables them with `vouchsafe users enable {name}`."),
    )
}

fn door_entry(door: &'static str) -> Entry {
    let via = match door {
        "http" => Via::Http,
        "stdio" => Via::Stdio,
        "grpc" => Via::Grpc,
        _ => Via::System,
    };
    let nobody = Actor::new(ActorKind::System, "unknown", "unknown", Proof::None, via);
    Entry::new(Action::DOOR_REFUSED, nobody).outcome(Outcome::Refused)
}
