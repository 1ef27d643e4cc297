//! Codes that sign somebody in once: sent to their address, or got by their own command line.

use std::sync::Arc;
use std::time::Duration;

use vouchsafe_core::audit::{Action, Actor, ActorKind, Entry, Proof, Via};
use vouchsafe_core::caller::{User, UserRecord};
use vouchsafe_core::id::{MessageId, SignInId, UserId};
use vouchsafe_core::route::{Body, ChannelName, Event, Message, Recipient};
use vouchsafe_core::text::echo;
use vouchsafe_core::time::UnixTime;
use zeroize::Zeroizing;

use super::super::doors::live_user;
use super::super::{Broker, Code, Refused, Stop, entries, random};
use super::{Fresh, SECRET_BYTES, SignedIn, begin, no_other, secret};
use crate::store::{SignIn, SignInKind, Tx};
use crate::vault::Vault;

/// Letters and digits that nobody mistakes for each other.
const ALPHABET: &[u8; 30] = b"23456789ABCDEFGHJKMNPQRSTVWXYZ";
/// Characters of a code.
const CODE_CHARS: usize = 8;
/// How long a code is good for that was sent.
const CODE_MAX: Duration = Duration::from_mins(10);
/// Wrong tries that a code takes.
const CODE_TRIES_MAX: u64 = 5;
/// Codes that are sent to one user in an hour.
const USER_CODES_MAX: u64 = 3;
/// Codes that are sent to anybody in an hour.
const ALL_CODES_MAX: u64 = 300;
/// How long a code is good for that a command line got.
const DASHBOARD_MAX: Duration = Duration::from_mins(2);
/// Such codes that one user gets in an hour.
const DASHBOARD_CODES_MAX: u64 = 60;
/// Digits of an id, in the address.
const ID_DIGITS: usize = 16;

impl Broker {
    /// Whether there is a way to send codes.
    pub fn sends_codes(&self) -> bool {
        let email = ChannelName::email();
        self.inner.settings.channels.iter().any(|channel| channel.name == email)
    }

    /// Sends a code to the address of the user of this name or address, if there is one. Whoever
    /// asks learns nothing of that: all of it happens after this has answered, or not at all where
    /// too many are being sent. Refuses an address that asks or fails too often.
    pub fn send_code(&self, name: &str, address: &str) -> Result<(), Refused> {
        let now = self.now().wall;
        self.inner.signing.check(address, now)?;
        // Each counts as a try, whoever it is for.
        self.inner.signing.failed(address, now);
        let sending = Arc::clone(&self.inner.signing.sending);
        let Ok(place) = sending.try_acquire_owned() else {
            // A place is held longer for whoever is somebody here: the log alone is told.
            let next = "Try again in a minute.";
            let refused = Refused::new(Code::StoreBusy, "too many codes are being sent", next);
            self.refuse_door("web", &refused);
            return Ok(());
        };
        let (broker, name) = (self.clone(), name.to_owned());
        let sent = async move {
            if let Err(refused) = broker.issue_code(&name).await {
                broker.refuse_door("web", &refused);
            }
            drop(place);
        };
        #[expect(
            clippy::disallowed_methods,
            reason = "it ends by itself, within the channel's own time; nobody waits for it, so \
                      that nobody learns by waiting whether there is such a user"
        )]
        drop(tokio::spawn(sent));
        Ok(())
    }

    /// Signs a person in by a code that was sent to them. `present`: who is signed in already where
    /// they come from; nobody else takes their place, and the code stays unused.
    pub async fn sign_in_by_code(
        &self,
        name: &str,
        code: &str,
        address: &str,
        present: Option<&User>,
    ) -> Result<SignedIn, Refused> {
        self.inner.signing.check(address, self.now().wall)?;
        let (name, code) = (name.to_owned(), Zeroizing::new(typed(code)));
        let found = move |tx: &mut Tx<'_>, vault: &Vault| {
            let Some(user) = somebody(tx, &name)? else { return Ok(None) };
            let Some(newest) = tx.newest_code(user.id)? else { return Ok(None) };
            if newest.tries >= CODE_TRIES_MAX {
                return Ok(None);
            }
            if vault.token_verify(&code_key(newest.id), code.as_bytes(), &newest.mac) {
                return Ok(Some(newest));
            }
            tx.count_try(newest.id)?;
            Ok(None)
        };
        let signed_in = self.sign_in_once(present, found).await;
        if matches!(&signed_in, Err(refused) if refused.code == Code::Unauthenticated) {
            self.inner.signing.failed(address, self.now().wall);
        }
        signed_in
    }

    /// Signs a person in by a code that their command line got; `present` as for the other codes.
    pub async fn sign_in_by_dashboard(
        &self,
        code: &str,
        present: Option<&User>,
    ) -> Result<SignedIn, Refused> {
        let code = Zeroizing::new(code.trim().to_owned());
        // What can be nobody's takes no turn at the writer.
        let id = parse(&code).map(|(id, _)| id);
        let there = match id {
            Some(id) => self.look("sign_in", move |r| Ok(r.sign_in(id)?.is_some())).await?,
            None => false,
        };
        if !there {
            return Err(self.turned_away("web", wrong()).await);
        }
        let found = move |tx: &mut Tx<'_>, vault: &Vault| {
            let Some((id, secret)) = parse(&code) else { return Ok(None) };
            let Some(found) = tx.sign_in(id)? else { return Ok(None) };
            let known = found.kind == SignInKind::Dashboard
                && vault.token_verify(&code_key(id), secret.as_bytes(), &found.mac);
            Ok(known.then_some(found))
        };
        self.sign_in_once(present, found).await
    }

    /// An address that signs this person in to the web pages, once and soon, and until when.
    pub async fn create_sign_in_code(&self, user: &User) -> Result<(String, UnixTime), Refused> {
        let (id, secret) = (SignInId::from_random(random()?), secret()?);
        let mac = self.inner.vault.token_mac(&code_key(id), secret.as_bytes()).to_vec();
        let entry = entries::by_user(Action::USER_CODE_ISSUED, user).detail("kind", "dashboard");
        let (user, subject) = (user.clone(), entry.clone());
        let until = self
            .run("create_sign_in_code", subject, move |tx| {
                live_user(tx, &user)?;
                let now = tx.now().wall;
                let kind = SignInKind::Dashboard;
                let hour = now.minus(Duration::from_hours(1));
                if tx.sign_ins_since(kind, Some(user.id), hour)? >= DASHBOARD_CODES_MAX {
                    return Err(too_many().into());
                }
                let token_id = tx.current_token(user.id)?.ok_or_else(super::over)?;
                let expires_at = now.plus(DASHBOARD_MAX);
                tx.insert_sign_in(&fresh(id, kind, &mac, user.id, token_id, (now, expires_at)))?;
                tx.append(&entry)?;
                Ok(expires_at)
            })
            .await?;
        let id = id.to_string();
        let id = id.strip_prefix(SignInId::PREFIX).unwrap_or_default();
        Ok((format!("{}/signin#code={id}{}", self.base_url(), *secret), until))
    }

    /// Finds a code, uses it up, and begins a session; all of it or nothing but the try.
    async fn sign_in_once<F>(&self, present: Option<&User>, find: F) -> Result<SignedIn, Refused>
    where
        F: Fn(&mut Tx<'_>, &Vault) -> Result<Option<SignIn>, Stop> + Send + 'static,
    {
        let session = Fresh::new(Proof::OneTimeCode)?;
        let (vault, begun) = (Arc::clone(&self.inner.vault), session.clone());
        let (subject, present) = (nobody(Action::USER_SIGNED_IN), present.cloned());
        let signed_in = self.run("sign_in_by_code", subject, move |tx| {
            let now = tx.now().wall;
            let found = find(tx, &vault)?.filter(|code| !code.used && now < code.expires_at);
            let user = match &found {
                Some(code) => tx.user_if_current(code.user, &code.token_id)?,
                None => None,
            };
            let (Some(code), Some(record)) = (found, user) else {
                // A wrong try stays counted; what the log says of it is up to the door.
                return Ok(Err(wrong()));
            };
            if let Err(refused) = no_other(present.as_ref(), record.id) {
                return Ok(Err(refused));
            }
            if !tx.use_sign_in(code.id, now)? {
                return Err(Refused::internal().into());
            }
            let user = begun.user(&record);
            begin(tx, &vault, &user, &begun, &code.token_id)?;
            Ok(Ok(user))
        });
        match signed_in.await? {
            Ok(user) => {
                self.inner.doors.let_in(user.id, self.now().wall);
                Ok(SignedIn { user, cookie: session.cookie() })
            }
            Err(refused) => Err(self.turned_away("web", refused).await),
        }
    }

    /// Makes a code for the user of this name or address and sends it.
    async fn issue_code(&self, name: &str) -> Result<(), Refused> {
        let code = code()?;
        let id = SignInId::from_random(random()?);
        let mac = self.inner.vault.token_mac(&code_key(id), code.as_bytes()).to_vec();
        let entry = nobody(Action::USER_CODE_ISSUED).detail("kind", "code");
        let subject = nobody(Action::USER_CODE_ISSUED).detail("user", echo(name, 64));
        let name = name.to_owned();
        // What is refused here anybody can have refused: the door says it, which has a limit.
        let record = self
            .run("issue_code", subject, move |tx| {
                let found = somebody(tx, &name)?.filter(|record| record.email().is_some());
                let Some(record) = found else { return Ok(Err(nowhere_to())) };
                let now = tx.now().wall;
                let hour = now.minus(Duration::from_hours(1));
                let kind = SignInKind::Code;
                if tx.sign_ins_since(kind, Some(record.id), hour)? >= USER_CODES_MAX
                    || tx.sign_ins_since(kind, None, hour)? >= ALL_CODES_MAX
                {
                    return Ok(Err(too_many()));
                }
                let Some(token_id) = tx.current_token(record.id)? else {
                    return Ok(Err(nowhere_to()));
                };
                let until = now.plus(CODE_MAX);
                tx.end_codes(record.id, now)?;
                tx.insert_sign_in(&fresh(id, kind, &mac, record.id, token_id, (now, until)))?;
                tx.append(&entry.clone().detail("user", record.name.as_str()))?;
                Ok(Ok(record))
            })
            .await??;
        self.post_code(&record, &code).await
    }

    async fn post_code(&self, record: &UserRecord, code: &str) -> Result<(), Refused> {
        let address = record.email().ok_or_else(nowhere_to)?;
        let (first, last) = code.split_at(CODE_CHARS / 2);
        let message = Message {
            id: MessageId::from_random(random()?),
            event: Event::Alert,
            at: self.now().wall,
            project: None,
            to: Some(Recipient {
                name: record.name.to_string(),
                address: address.as_str().to_owned(),
            }),
            headline: "Your code to sign in to Vouchsafe".to_owned(),
            body: Body::SignIn {
                code: format!("{first}-{last}"),
                minutes: CODE_MAX.as_secs() / 60,
            },
            link: Some(format!("{}/signin", self.base_url())),
            replaces: Vec::new(),
        };
        let sent = self.inner.post.deliver(&ChannelName::email(), &message).await;
        sent.map(drop).map_err(|undelivered| {
            tracing::warn!(why = %undelivered.why, "a code to sign in could not be sent");
            Refused::new(Code::Internal, "a code to sign in could not be sent", undelivered.why)
        })
    }
}

/// Whom somebody means who asks for a code or types one: the user of this name, or else the one
/// whose address it is.
fn somebody(tx: &Tx<'_>, name: &str) -> Result<Option<UserRecord>, Stop> {
    if let Some(named) = tx.user_named(name)? {
        return Ok(Some(named));
    }
    match name.parse() {
        Ok(address) => Ok(tx.user_at(&address)?),
        Err(_no_address) => Ok(None),
    }
}

fn fresh(
    id: SignInId,
    kind: SignInKind,
    mac: &[u8],
    user: UserId,
    token_id: String,
    (made_at, expires_at): (UnixTime, UnixTime),
) -> SignIn {
    let mac = mac.to_vec();
    let (approval, digest) = (None, None);
    let (tries, used) = (0, false);
    SignIn { id, kind, mac, user, token_id, approval, digest, tries, made_at, expires_at, used }
}

/// A code that nobody can foresee.
fn code() -> Result<Zeroizing<String>, Refused> {
    let bytes: Zeroizing<[u8; 64]> = Zeroizing::new(random()?);
    // Without the bytes beyond the last whole alphabet, each character is as likely as any other.
    let fair = bytes.iter().filter(|byte| **byte < 240).map(|byte| usize::from(*byte) % 30);
    let chars = fair.filter_map(|at| ALPHABET.get(at)).map(|byte| char::from(*byte));
    let code: Zeroizing<String> = Zeroizing::new(chars.take(CODE_CHARS).collect());
    if code.len() == CODE_CHARS { Ok(code) } else { Err(Refused::internal()) }
}

/// A code as somebody types it: without what stands between, in capitals.
fn typed(code: &str) -> String {
    let plain = code.chars().filter(|c| !c.is_whitespace() && *c != '-').take(64);
    plain.map(|c| c.to_ascii_uppercase()).collect()
}

fn parse(code: &str) -> Option<(SignInId, &str)> {
    let (id, secret) = code.split_at_checked(ID_DIGITS)?;
    let id = format!("{}{id}", SignInId::PREFIX).parse().ok()?;
    let whole = secret.len() == data_encoding::BASE64URL_NOPAD.encode_len(SECRET_BYTES);
    whole.then_some((id, secret))
}

fn code_key(id: SignInId) -> String {
    format!("code:{id}")
}

/// An entry about somebody who has not said who they are, or not proved it.
fn nobody(action: Action) -> Entry {
    let actor = Actor::new(ActorKind::System, "unknown", "unknown", Proof::None, Via::Web);
    Entry::new(action, actor)
}

fn wrong() -> Refused {
    Refused::new(
        Code::Unauthenticated,
        "the code is wrong, was used, or is too old",
        "Ask for another one, or sign in with your token.",
    )
}

fn nowhere_to() -> Refused {
    Refused::new(
        Code::UserNotFound,
        "there is no such user, or nowhere to send a code to",
        "An admin sets an address with `vouchsafe users update NAME --email ..`.",
    )
}

fn too_many() -> Refused {
    let refused = Refused::new(
        Code::RateLimited,
        "there were too many codes within an hour",
        "Use the last one, or sign in with your token.",
    );
    refused.retry_after(Duration::from_mins(20))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_is_of_its_alphabet_and_read_however_it_is_typed() {
        for _ in 0..100 {
            let code = code().unwrap();
            assert!(code.len() == CODE_CHARS && code.bytes().all(|c| ALPHABET.contains(&c)));
            let (first, last) = code.split_at(4);
            assert_eq!(typed(&format!(" {}-{last} ", first.to_lowercase())), *code);
        }
    }
}
