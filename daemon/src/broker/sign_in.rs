//! Signing in to the web pages: sessions, and what one gets in by once.
//!
//! A session is a row and a cookie that holds 256 random bits; of these a keyed hash is stored.
//! It is made anew with each way in, so that nobody can give somebody else a session to use. It
//! ends when its user signs out, is shut out or gets a new token, after an hour without use, and
//! after twelve hours in any case.

mod codes;
mod links;

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use data_encoding::{BASE64URL_NOPAD, HEXLOWER};
use tokio::sync::Semaphore;
use vouchsafe_core::audit::{Action, Proof};
use vouchsafe_core::caller::{Identity, Role, User, UserRecord};
use vouchsafe_core::id::{UserId, WebSessionId};
use vouchsafe_core::time::UnixTime;
use zeroize::Zeroizing;

use super::{Broker, Code, Refused, Stop, entries, random};
use crate::store::{Tx, WebSession};
use crate::vault::Vault;

pub use self::links::LinkVisit;
pub(super) use self::links::use_link;

/// How long a session lasts, used or not.
pub(super) const SESSION_MAX: Duration = Duration::from_hours(12);
/// How long a session lasts that nobody uses.
pub(super) const IDLE_MAX: Duration = Duration::from_hours(1);
/// Sessions that one user has at most; the oldest goes for a new one.
const SESSIONS_MAX: u32 = 20;
/// Random bytes in a cookie, a link, and a code that nobody types.
const SECRET_BYTES: usize = 32;
/// How long codes and links are kept that are over, so that they can be told from unknown ones.
const KEPT_AFTER: Duration = Duration::from_hours(24);
/// Codes that one address asks for or gets wrong in a minute, at most. Nobody guesses a token, or
/// what a command line got: a limit of those would only lock out whoever shares an address.
const TRIES_MAX: u32 = 20;
/// Addresses that are counted in a minute; beyond that no other one signs in by a code in it.
const ADDRESSES_MAX: usize = 10_000;
/// Codes that are being sent at once.
const SENDING_MAX: usize = 8;

/// What is remembered of sessions and of tries to begin one, besides what is stored.
#[derive(Debug)]
pub(super) struct Signing {
    /// Tries with codes.
    tries: Mutex<Tries>,
    /// When sessions were last used that were used since that was last stored.
    seen: Mutex<HashMap<WebSessionId, UnixTime>>,
    /// Places for codes that are being sent.
    sending: Arc<Semaphore>,
}

/// Tries with codes in one minute.
#[derive(Debug, Default)]
struct Tries {
    minute: i64,
    /// How many, by address.
    failed: HashMap<String, u32>,
}

/// Somebody who has just signed in.
#[derive(Debug)]
pub struct SignedIn {
    /// Who.
    pub user: User,
    /// What their browser is to show from then on.
    pub cookie: Zeroizing<String>,
}

impl Default for Signing {
    fn default() -> Self {
        Self {
            tries: Mutex::default(),
            seen: Mutex::default(),
            sending: Arc::new(Semaphore::new(SENDING_MAX)),
        }
    }
}

impl Tries {
    /// Those of this minute; what was before is forgotten.
    fn at(&mut self, now: UnixTime) -> &mut HashMap<String, u32> {
        let minute = now.ms().div_euclid(60_000);
        if self.minute != minute {
            self.minute = minute;
            self.failed.clear();
        }
        &mut self.failed
    }
}

impl Signing {
    /// Refuses an address that has failed too often this minute.
    fn check(&self, address: &str, now: UnixTime) -> Result<(), Refused> {
        let mut tries = lock(&self.tries);
        let tries = tries.at(now);
        let passes = match tries.get(&network(address)) {
            Some(failed) => *failed < TRIES_MAX,
            None => tries.len() < ADDRESSES_MAX,
        };
        if passes {
            return Ok(());
        }
        let refused = Refused::new(
            Code::RateLimited,
            "there were too many failed tries to sign in",
            "Try again in a minute.",
        );
        Err(refused.retry_after(Duration::from_mins(1)))
    }

    fn failed(&self, address: &str, now: UnixTime) {
        let (network, mut tries) = (network(address), lock(&self.tries));
        let tries = tries.at(now);
        if tries.len() < ADDRESSES_MAX || tries.contains_key(&network) {
            let count = tries.entry(network).or_default();
            *count = count.saturating_add(1);
        }
    }
}

impl Broker {
    /// What time it is, for what pages tell of it.
    pub fn wall(&self) -> UnixTime {
        self.now().wall
    }

    /// Signs a person in by their token. `present`: who is signed in already where they come from;
    /// nobody else takes their place.
    pub async fn sign_in_by_token(
        &self,
        token: &str,
        present: Option<&User>,
    ) -> Result<SignedIn, Refused> {
        let found = self.token_user(Some(token)).await.and_then(|(user, record)| {
            no_other(present, record.id)?;
            Ok((user, record))
        });
        let (user, record) = match found {
            Ok(found) => found,
            Err(refused) => return Err(self.turned_away("web", refused).await),
        };
        let Identity::Token { id: token_id, .. } = user.identity else {
            return Err(Refused::internal());
        };
        let fresh = Fresh::new(Proof::UserToken)?;
        let to_be = fresh.user(&record);
        let subject = entries::by_user(Action::USER_SIGNED_IN, &to_be);
        let (vault, begun, who) = (Arc::clone(&self.inner.vault), fresh.clone(), to_be.clone());
        self.run("sign_in_by_token", subject, move |tx| {
            if tx.user_if_current(who.id, &token_id)?.is_none() {
                return Err(over().into());
            }
            begin(tx, &vault, &who, &begun, &token_id)
        })
        .await?;
        self.inner.doors.let_in(to_be.id, self.now().wall);
        Ok(SignedIn { user: to_be, cookie: fresh.cookie() })
    }

    /// Whose session this cookie is of. They reach whatever any of their roles reaches; who knows
    /// what they want narrows that.
    pub async fn session_user(&self, cookie: &str) -> Result<(User, UserRecord), Refused> {
        let (id, secret) = parse_cookie(cookie).ok_or_else(over)?;
        let found = self
            .look("session_user", move |reader| {
                let Some(session) = reader.web_session(id)? else { return Ok(None) };
                let record = reader.user_if_current(session.user, &session.token_id)?;
                Ok(record.map(|record| (session, record)))
            })
            .await?;
        let (session, record) = found.ok_or_else(over)?;
        let key = cookie_key(id);
        if !self.inner.vault.token_verify(&key, secret.as_bytes(), &session.mac) {
            let refused = over();
            self.refuse_door("web", &refused);
            return Err(refused);
        }
        let now = self.now().wall;
        let seen = lock(&self.inner.signing.seen).get(&id).copied().unwrap_or(session.seen_at);
        if session.expires_at <= now || seen.max(session.seen_at).plus(IDLE_MAX) <= now {
            return Err(over());
        }
        let identity = Identity::Session { id, proof: session.proof };
        Ok((user_of(&record, identity), record))
    }

    /// Notes that a person uses their session. Never waits.
    pub fn uses_session(&self, user: &User) {
        if let Identity::Session { id, .. } = &user.identity {
            lock(&self.inner.signing.seen).insert(*id, self.now().wall);
        }
    }

    /// Ends a person's session.
    pub async fn sign_out(&self, user: &User) -> Result<(), Refused> {
        let Identity::Session { id, .. } = user.identity else { return Ok(()) };
        let entry = entries::by_user(Action::USER_SIGNED_OUT, user);
        self.run("sign_out", entry.clone(), move |tx| {
            if tx.end_web_session(id)? {
                tx.append(&entry)?;
            }
            Ok(())
        })
        .await
    }

    /// Stores when sessions were last used, and takes away sessions, codes and links that are over.
    /// May be run at any time and any number of times.
    pub async fn tidy_sign_ins(&self) -> Result<(), Refused> {
        let seen = Arc::new(std::mem::take(&mut *lock(&self.inner.signing.seen)));
        let now = self.now().wall;
        let due = self.look("sign_ins_due", move |reader| {
            let (idle, gone) = (now.minus(IDLE_MAX), now.minus(KEPT_AFTER));
            Ok(reader.sign_ins_to_forget(now, idle, gone)?)
        });
        if seen.is_empty() && !due.await? {
            return Ok(());
        }
        let noted = Arc::clone(&seen);
        let subject = entries::by_system(Action::USER_SIGNED_OUT);
        let tidied = self.run_essential("tidy_sign_ins", subject, move |tx| {
            for (id, at) in noted.iter() {
                tx.touch_web_session(*id, *at)?;
            }
            let now = tx.now().wall;
            Ok(tx.forget_sign_ins(now, now.minus(IDLE_MAX), now.minus(KEPT_AFTER))?)
        });
        let tidied = tidied.await;
        if tidied.is_err() {
            let mut kept = lock(&self.inner.signing.seen);
            for (id, at) in seen.iter() {
                kept.entry(*id).or_insert(*at);
            }
        }
        tidied
    }

    /// A mark that this person alone can send back, and only for this purpose and about this: what
    /// their pages carry in forms.
    pub fn form_mark(&self, user: &User, purpose: &str, about: &str) -> String {
        let text = form_text(user, about);
        HEXLOWER.encode(&self.inner.vault.token_mac(&form_key(purpose), text.as_bytes()))
    }

    /// Whether this is [`Self::form_mark`] of the same, in constant time.
    pub fn form_mark_stands(&self, user: &User, purpose: &str, about: &str, mark: &str) -> bool {
        let Ok(mac) = HEXLOWER.decode(mark.as_bytes()) else { return false };
        let text = form_text(user, about);
        self.inner.vault.token_verify(&form_key(purpose), text.as_bytes(), &mac)
    }
}

/// A session that is about to begin.
#[derive(Clone)]
struct Fresh {
    id: WebSessionId,
    secret: Zeroizing<String>,
    proof: Proof,
}

impl Fresh {
    fn new(proof: Proof) -> Result<Self, Refused> {
        let secret = secret()?;
        Ok(Self { id: WebSessionId::from_random(random()?), secret, proof })
    }

    fn cookie(&self) -> Zeroizing<String> {
        let id = self.id.to_string();
        let id = id.strip_prefix(WebSessionId::PREFIX).unwrap_or_default();
        Zeroizing::new(format!("{id}.{}", *self.secret))
    }

    fn user(&self, record: &UserRecord) -> User {
        user_of(record, Identity::Session { id: self.id, proof: self.proof })
    }
}

/// Begins a session: part of whatever proves who somebody is.
fn begin(
    tx: &mut Tx<'_>,
    vault: &Vault,
    user: &User,
    fresh: &Fresh,
    token_id: &str,
) -> Result<(), Stop> {
    let now = tx.now().wall;
    tx.insert_web_session(&WebSession {
        id: fresh.id,
        mac: vault.token_mac(&cookie_key(fresh.id), fresh.secret.as_bytes()).to_vec(),
        user: user.id,
        token_id: token_id.to_owned(),
        proof: fresh.proof,
        began_at: now,
        seen_at: now,
        expires_at: now.plus(SESSION_MAX),
    })?;
    tx.keep_web_sessions(user.id, SESSIONS_MAX)?;
    tx.append(&entries::by_user(Action::USER_SIGNED_IN, user))?;
    Ok(())
}

fn user_of(record: &UserRecord, identity: Identity) -> User {
    User {
        id: record.id,
        name: record.name.to_string(),
        roles: record.roles,
        reach: record.reach(&Role::ALL),
        identity,
    }
}

/// 256 random bits, as they stand in a cookie or an address.
fn secret() -> Result<Zeroizing<String>, Refused> {
    let bytes: Zeroizing<[u8; SECRET_BYTES]> = Zeroizing::new(random()?);
    Ok(Zeroizing::new(BASE64URL_NOPAD.encode(&*bytes)))
}

/// The id and the secret of a cookie that could be one of ours.
fn parse_cookie(cookie: &str) -> Option<(WebSessionId, &str)> {
    let (id, secret) = cookie.split_once('.')?;
    let id = format!("{}{id}", WebSessionId::PREFIX).parse().ok()?;
    (secret.len() == BASE64URL_NOPAD.encode_len(SECRET_BYTES)).then_some((id, secret))
}

/// What the keyed hash of a session's secret is made under; no token has such an id.
fn cookie_key(id: WebSessionId) -> String {
    format!("session:{id}")
}

fn form_key(purpose: &str) -> String {
    format!("form:{purpose}")
}

/// What a form's mark is over: who, by which session, token or link, and what.
fn form_text(user: &User, about: &str) -> String {
    let by = match &user.identity {
        Identity::Token { id, .. } => id.clone(),
        Identity::Session { id, .. } => id.to_string(),
        Identity::Link(id) => id.to_string(),
        Identity::Slack(id) => id.as_str().to_owned(),
    };
    format!("{}\n{by}\n{about}", user.id)
}

/// Refuses to put somebody in the place of somebody else who is signed in: a page that was opened
/// for them would otherwise have them act, unawares, as another.
fn no_other(present: Option<&User>, comes: UserId) -> Result<(), Refused> {
    match present {
        Some(present) if present.id != comes => Err(Refused::new(
            Code::OtherUser,
            format!("you are signed in as {}", present.name),
            "Sign out first, then open it again.",
        )),
        Some(_) | None => Ok(()),
    }
}

/// What counts as one address: this very machine, and a whole network of IPv6, as one customer has
/// one.
fn network(address: &str) -> String {
    let Ok(ip) = address.parse::<IpAddr>().map(|ip| ip.to_canonical()) else {
        return address.to_owned();
    };
    match ip {
        ip if ip.is_loopback() => "loopback".to_owned(),
        IpAddr::V4(ip) => ip.to_string(),
        IpAddr::V6(ip) => {
            let [a, b, c, d, ..] = ip.segments();
            format!("{a:x}:{b:x}:{c:x}:{d:x}::/64")
        }
    }
}

/// What is told to whoever has no session, or had one.
pub(super) fn over() -> Refused {
    Refused::new(Code::Unauthenticated, "nobody is signed in, or no more", "Sign in.")
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    #[test]
    fn tries_are_counted_by_network() {
        let (signing, now) = (Signing::default(), UnixTime::from_ms(60_000));
        for host in 0..TRIES_MAX {
            signing.failed(&format!("2001:db8:0:1::{host:x}"), now);
            signing.failed(if host % 2 == 0 { "127.0.0.1" } else { "::1" }, now);
        }
        for held in ["2001:db8:0:1:ffff::1", "127.0.0.2", "::1", "::ffff:127.0.0.1"] {
            assert!(signing.check(held, now).is_err(), "{held}");
        }
        for other in ["2001:db8:0:2::1", "192.0.2.1", "unknown"] {
            assert!(signing.check(other, now).is_ok(), "{other}");
        }
    }

    #[test]
    fn many_addresses_hold_others_up_for_their_minute_alone() {
        let (signing, now) = (Signing::default(), UnixTime::from_ms(60_000));
        for count in 0..10_000_u32 {
            signing.failed(&Ipv4Addr::from(count).to_string(), now);
        }
        assert!(signing.check("192.0.2.1", now).is_err());
        assert!(signing.check("0.0.0.1", now).is_ok(), "it is counted already");
        assert!(signing.check("192.0.2.1", now.plus(Duration::from_mins(1))).is_ok());
    }
}
