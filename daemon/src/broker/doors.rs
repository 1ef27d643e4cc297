//! Who is let in, and what the log says of those who are not.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use vouchsafe_core::audit::{Action, Actor, ActorKind, Entry, Outcome, Proof, Via};
use vouchsafe_core::caller::{Agent, Claims, Identity, Role, Transport, User, UserRecord};
use vouchsafe_core::id::{ApprovalId, KeyId, UserId};
use vouchsafe_core::time::UnixTime;
use vouchsafe_core::token::{Token, TokenKind};

use super::setup::project_archived;
use super::{Broker, Code, Refused, Stop, entries, refusal};
use crate::store::{KeyRecord, KeyStanding, Reader, TokenHash, Tx};

/// Refusals of one caller that get an entry each, at once; then one each so often. More are counted
/// together. Whoever is unknown shares with all who are, so that nobody who is known can be hidden,
/// and the log, which nothing is taken out of, cannot be filled from outside.
const REFUSALS_AT_ONCE: u32 = 20;
const REFUSAL_EVERY_UNKNOWN: Duration = Duration::from_secs(5);
const REFUSAL_EVERY_KNOWN: Duration = Duration::from_secs(1);
/// Things to say in the log that may wait for the next sweep.
const NOTES_MAX: usize = 10_000;

/// What the doors have seen and the log does not know yet.
#[derive(Debug, Default)]
pub(super) struct Doors {
    seen: Mutex<Seen>,
}

#[derive(Debug, Default)]
struct Seen {
    /// How many refusals of whom get an entry yet.
    allowances: HashMap<Turned, Allowance>,
    /// Refusals beyond those that get an entry each, by door and code.
    counted: HashMap<(&'static str, Code), u64>,
    notes: Vec<Entry>,
    keys: HashMap<KeyId, UnixTime>,
    users: HashMap<UserId, UnixTime>,
}

/// Who was turned away, as far as that is known.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
enum Turned {
    Unknown,
    Agent(KeyId),
    Person(UserId),
}

/// Entries that are left, as of a time.
#[derive(Clone, Copy, Debug)]
struct Allowance {
    left: u32,
    since: UnixTime,
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
    fn gets_entry(&self, who: Turned, door: &'static str, code: Code, now: UnixTime) -> bool {
        let mut seen = self.seen();
        let full = Allowance { left: REFUSALS_AT_ONCE, since: now };
        let allowance = seen.allowances.entry(who).or_insert(full);
        allowance.refill(who, now);
        if allowance.left > 0 {
            allowance.left -= 1;
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

    /// Notes that a user was let in.
    pub(super) fn let_in(&self, user: UserId, at: UnixTime) {
        self.seen().users.insert(user, at);
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

impl Allowance {
    /// Adds what time has brought since.
    fn refill(&mut self, who: Turned, now: UnixTime) {
        let every = match who {
            Turned::Unknown => REFUSAL_EVERY_UNKNOWN,
            Turned::Agent(_) | Turned::Person(_) => REFUSAL_EVERY_KNOWN,
        };
        let passed = now.since(self.since).as_millis() / every.as_millis();
        let passed = u32::try_from(passed).unwrap_or(u32::MAX);
        self.left = self.left.saturating_add(passed).min(REFUSALS_AT_ONCE);
        // A clock that was set back begins anew.
        if passed > 0 || now < self.since {
            self.since = now;
        }
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
        let door = door_of(claims.transport);
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

    /// Lets a person in by their token, or says why not. They reach whatever any of their roles
    /// reaches; who knows what they want narrows that.
    pub async fn authenticate_user(&self, credential: Option<&str>) -> Result<User, Refused> {
        self.sign_in(credential).await.map(|(user, _)| user)
    }

    /// [`Self::authenticate_user`], with all that is stored of them.
    pub async fn sign_in(&self, credential: Option<&str>) -> Result<(User, UserRecord), Refused> {
        self.sign_in_via(credential, Via::Grpc).await
    }

    /// The same, where they come another way.
    pub async fn sign_in_via(
        &self,
        credential: Option<&str>,
        via: Via,
    ) -> Result<(User, UserRecord), Refused> {
        match self.token_user(credential).await {
            Ok((user, record)) => {
                let now = self.now().wall;
                self.inner.doors.seen().users.insert(user.id, now);
                let identity = match user.identity {
                    Identity::Token { id, .. } => Identity::Token { id, via },
                    other => other,
                };
                Ok((User { identity, ..user }, record))
            }
            Err(refused) => Err(self.turned_away(via.as_str(), refused).await),
        }
    }

    /// Notes in the log that a door itself turned somebody away. Never waits.
    pub fn refuse_door(&self, door: &'static str, refused: &Refused) {
        self.inner.count.refused(door, refused.code.as_str());
        if self.inner.doors.gets_entry(Turned::Unknown, door, refused.code, self.now().wall) {
            self.inner.doors.note(refusal(door_entry(door), refused));
        }
    }

    /// Says in the log that a person was refused what their roles do not allow.
    pub async fn refuse_user(&self, user: &User, call: &str, refused: Refused) -> Refused {
        let door = user.identity.via().as_str();
        self.inner.count.refused(door, refused.code.as_str());
        let who = Turned::Person(user.id);
        if self.inner.doors.gets_entry(who, door, refused.code, self.now().wall) {
            let entry = entries::by_user(Action::DOOR_REFUSED, user).detail("call", call);
            return self.refuse(entry, refused).await;
        }
        refused
    }

    /// Says in the log that somebody was refused who answers in Slack.
    pub(super) async fn refuse_slack(&self, entry: Entry, refused: Refused) -> Refused {
        self.inner.count.refused("slack", refused.code.as_str());
        if self.inner.doors.gets_entry(Turned::Unknown, "slack", refused.code, self.now().wall) {
            return self.refuse(entry, refused).await;
        }
        refused
    }

    /// Notes that a person was let in.
    pub(super) fn came(&self, user: &User) {
        let now = self.now().wall;
        self.inner.doors.seen().users.insert(user.id, now);
    }

    /// Says in the log that an agent was refused what its key does not allow.
    pub async fn refuse_agent(&self, agent: &Agent, call: &str, refused: Refused) -> Refused {
        let door = door_of(agent.claims.transport);
        self.inner.count.refused(door, refused.code.as_str());
        let who = Turned::Agent(agent.key);
        if self.inner.doors.gets_entry(who, door, refused.code, self.now().wall) {
            let entry = entries::by_agent(Action::DOOR_REFUSED, agent).detail("call", call);
            return self.refuse(entry, refused).await;
        }
        refused
    }

    /// Notes in the log that an agent was refused. Never waits.
    pub(super) fn note_refused(&self, agent: &Agent, refused: &Refused) {
        let door = door_of(agent.claims.transport);
        self.inner.count.refused(door, refused.code.as_str());
        let who = Turned::Agent(agent.key);
        if self.inner.doors.gets_entry(who, door, refused.code, self.now().wall) {
            let entry = entries::by_agent(Action::DOOR_REFUSED, agent);
            self.inner.doors.note(refusal(entry, refused));
        }
    }

    /// Notes in the log that an agent went away while it waited; its ask stays. Never waits.
    pub fn note_disconnect(&self, agent: &Agent, approval: ApprovalId) {
        self.inner
            .doors
            .note(entries::by_agent(Action::CALL_DISCONNECTED, agent).approval(approval));
    }

    /// Whether an agent that was let in earlier would still be.
    pub async fn still_valid(&self, agent: &Agent) -> Result<(), Refused> {
        self.refreshed(agent).await.map(drop)
    }

    /// An agent that was let in earlier, with what its key may do by now; refused where its key
    /// would not be let in any more.
    pub async fn refreshed(&self, agent: &Agent) -> Result<Agent, Refused> {
        let (agent, now) = (agent.clone(), self.now().wall);
        self.look("refreshed", move |reader| {
            if live_agent_at(reader, &agent, now)?.revision == agent.revision {
                return Ok(agent);
            }
            let found = reader.key(agent.key)?.ok_or_else(|| unknown(TokenKind::Mcp))?;
            Ok(agent_of(found, agent.claims))
        })
        .await
    }

    /// Writes what the doors noted and what keys have used. `stops`: nothing comes after it.
    pub(super) async fn write_notes(&self, stops: bool) -> Result<(), Refused> {
        let _turn = self.inner.limits.turn().await;
        let notes = Arc::new(self.inner.doors.take());
        let used = Arc::new(self.inner.limits.take(stops, &self.now()));
        if notes.is_empty() && used.is_empty() {
            return Ok(());
        }
        let subject = entries::by_system(Action::DOOR_REFUSED);
        let work = (Arc::clone(&notes), Arc::clone(&used));
        let written = self.run_essential("write_notes", subject, move |tx| {
            work.0.write(tx)?;
            work.1.write(tx)
        });
        let written = written.await;
        if written.is_ok() {
            self.inner.limits.written(&used);
        } else {
            self.inner.doors.give_back(&notes);
            self.inner.limits.give_back(&used);
        }
        written
    }

    /// Has the calls look again that wait for keys whose time is up.
    pub(super) async fn wake_expired(&self) -> Result<(), Refused> {
        if self.calls_waiting() == 0 {
            return Ok(());
        }
        let now = self.now().wall;
        let waiting = self.look("wake_expired", move |r| Ok(r.pending_of_expired_keys(now)?));
        for approval in waiting.await? {
            self.inner.wakes.nudge(approval);
        }
        Ok(())
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
        let (found, hash) = found.ok_or_else(|| unknown(TokenKind::Mcp))?;
        self.check_token(&token, &hash)?;
        let standing = KeyStanding {
            generation: found.key.generation,
            revision: found.key.revision,
            enabled: found.key.enabled,
            expires_at: found.key.settings.expires_at,
            archived: found.archived,
        };
        check_standing(&standing, found.key.name.as_str(), &found.project_name, self.now().wall)?;
        if project.is_some_and(|project| project != found.project_name) {
            return Err(Refused::new(
                Code::WrongProject,
                "the key belongs to another project than the one in the address",
                "Use the address /mcp, or a key of that project.",
            ));
        }
        Ok(agent_of(found, claims))
    }

    /// Who a token is of. Says nothing in the log.
    pub(super) async fn token_user(
        &self,
        credential: Option<&str>,
    ) -> Result<(User, UserRecord), Refused> {
        let token = credential_of(TokenKind::User, credential)?;
        let id = token.id().to_owned();
        let found =
            self.look("user_by_token", move |reader| Ok(reader.user_by_token(&id)?)).await?;
        let (record, hash) = found.ok_or_else(|| unknown(TokenKind::User))?;
        self.check_token(&token, &hash)?;
        if !record.enabled {
            return Err(user_disabled(record.name.as_str()));
        }
        let user = User {
            id: record.id,
            name: record.name.to_string(),
            roles: record.roles,
            reach: record.reach(&Role::ALL),
            identity: Identity::Token { id: token.id().to_owned(), via: Via::Grpc },
        };
        Ok((user, record))
    }

    fn check_token(&self, token: &Token, hash: &TokenHash) -> Result<(), Refused> {
        if self.inner.vault.token_verify(token.id(), token.secret().as_bytes(), &hash.mac) {
            Ok(())
        } else {
            Err(unknown(token.kind()))
        }
    }

    pub(super) async fn turned_away(&self, door: &'static str, refused: Refused) -> Refused {
        self.inner.count.refused(door, refused.code.as_str());
        if self.inner.doors.gets_entry(Turned::Unknown, door, refused.code, self.now().wall) {
            return self.refuse(door_entry(door), refused).await;
        }
        refused
    }
}

/// The key still stands as it was when the agent was let in.
pub(super) fn live_agent(tx: &Tx<'_>, agent: &Agent) -> Result<(), Stop> {
    live_agent_at(tx, agent, tx.now().wall).map(drop)
}

/// [`live_agent`], and nothing about the key has changed since the agent was let in: what it may do
/// was looked up then, and is used now.
pub(super) fn unchanged_agent(tx: &Tx<'_>, agent: &Agent) -> Result<(), Stop> {
    if live_agent_at(tx, agent, tx.now().wall)?.revision == agent.revision {
        return Ok(());
    }
    Err(Refused::new(
        Code::KeyChanged,
        format!("the key `{}` was changed while this call was under way", agent.name),
        "Call again: what the key may do now holds.",
    )
    .into())
}

/// [`live_agent`], at a time that is given.
pub(super) fn live_agent_at(
    reader: &Reader<'_>,
    agent: &Agent,
    now: UnixTime,
) -> Result<KeyStanding, Stop> {
    let standing = reader.key_standing(agent.key)?.ok_or_else(|| unknown(TokenKind::Mcp))?;
    if standing.generation != agent.generation {
        return Err(unknown(TokenKind::Mcp).into());
    }
    check_standing(&standing, agent.name.as_str(), &agent.project_name, now)?;
    Ok(standing)
}

/// The user still stands as they were when they were let in.
pub(super) fn live_user(reader: &Reader<'_>, user: &User) -> Result<(), Stop> {
    let stands = match &user.identity {
        Identity::Token { id, .. } => reader.user_if_current(user.id, id)?.is_some(),
        Identity::Session { id, .. } => reader.web_session_stands(*id, user.id)?,
        // Used up by the transaction that asks for it.
        Identity::Link(id) => reader.sign_in_stands(*id, user.id)?,
        Identity::Slack(member) => {
            reader.user_by_slack(member)?.is_some_and(|found| found.id == user.id && found.enabled)
        }
    };
    if stands { Ok(()) } else { Err(unknown(TokenKind::User).into()) }
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

/// Refuses a key that is there and opens nothing.
pub(super) fn check_standing(
    standing: &KeyStanding,
    name: &str,
    project: &str,
    now: UnixTime,
) -> Result<(), Refused> {
    if !standing.enabled {
        return Err(Refused::new(
            Code::KeyDisabled,
            format!("the key `{name}` is disabled"),
            format!("An operator enables it with `vouchsafe keys enable {name}`."),
        ));
    }
    if let Some(at) = standing.expires_at.filter(|at| *at <= now) {
        return Err(Refused::new(
            Code::KeyExpired,
            format!("the key `{name}` expired at {at}"),
            format!(
                "An operator gives it more time with `vouchsafe keys update {name} --expires ..`."
            ),
        ));
    }
    if standing.archived {
        return Err(project_archived(project));
    }
    Ok(())
}

fn agent_of(found: KeyRecord, claims: Claims) -> Agent {
    let KeyRecord { key, project_name, owner_name, archived: _ } = found;
    Agent {
        key: key.id,
        generation: key.generation,
        revision: key.revision,
        name: key.name,
        project: key.project,
        project_name,
        owner: key.owner,
        owner_name,
        scopes: key.scopes,
        settings: key.settings,
        claims,
    }
}

/// The door that an agent came in by.
const fn door_of(transport: Transport) -> &'static str {
    match transport {
        Transport::Http => "http",
        Transport::Stdio => "stdio",
    }
}

pub(super) fn user_disabled(name: &str) -> Refused {
    Refused::new(
        Code::UserDisabled,
        format!("the user `{name}` is disabled"),
        format!("An admin enables them with `vouchsafe users enable {name}`."),
    )
}

pub(super) fn door_entry(door: &'static str) -> Entry {
    let via = match door {
        "api" => Via::Api,
        "http" => Via::Http,
        "stdio" => Via::Stdio,
        "grpc" => Via::Grpc,
        "slack" => Via::Slack,
        "web" => Via::Web,
        _ => Via::System,
    };
    let nobody = Actor::new(ActorKind::System, "unknown", "unknown", Proof::None, via);
    Entry::new(Action::DOOR_REFUSED, nobody).outcome(Outcome::Refused)
}
