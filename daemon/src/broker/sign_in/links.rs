//! Links that answer one approval once, without signing in.

use std::sync::Arc;
use std::time::Duration;

use vouchsafe_core::approval::{ApprovalDigest, Ask};
use vouchsafe_core::audit::Action;
use vouchsafe_core::caller::{Identity, Role, User};
use vouchsafe_core::id::{ApprovalId, SignInId, UserId};
use vouchsafe_core::time::UnixTime;

use super::super::{Broker, Code, Refused, Stop, entries, random};
use super::{SECRET_BYTES, secret, user_of};
use crate::store::{SignIn, SignInKind, Tx};

/// How long a link is good for at most.
const LINK_MAX: Duration = Duration::from_hours(1);
/// Digits of an id, in the address.
const ID_DIGITS: usize = 16;

/// Somebody who has opened a link that was sent to them. Nothing comes of that.
#[derive(Debug)]
pub struct LinkVisit {
    /// Whom it was sent to; they reach what their role as an approver reaches.
    pub user: User,
    /// What it answers.
    pub approval: ApprovalId,
    /// What was shown when it was sent.
    pub digest: ApprovalDigest,
}

impl Broker {
    /// A link by which this person answers this approval, once, as long as it is what this digest
    /// says: until then, for an hour at most. Nothing but the message to them may hold it, which
    /// goes to this address: refused where it is no longer theirs.
    pub async fn one_time_link(
        &self,
        user: UserId,
        address: &str,
        approval: ApprovalId,
        digest: &ApprovalDigest,
        until: UnixTime,
    ) -> Result<String, Refused> {
        let (id, secret) = (SignInId::from_random(random()?), secret()?);
        let mac = self.inner.vault.token_mac(&link_key(id), secret.as_bytes()).to_vec();
        let (digest, address) = (*digest, address.to_owned());
        let subject = entries::by_system(Action::USER_CODE_ISSUED);
        self.run("one_time_link", subject, move |tx| {
            let now = tx.now().wall;
            let token_id = tx.current_token(user)?.ok_or_else(no_token)?;
            let email = tx.user(user)?.and_then(|record| record.email());
            if email.is_none_or(|email| email.as_str() != address) {
                return Err(elsewhere().into());
            }
            tx.insert_sign_in(&SignIn {
                id,
                kind: SignInKind::Link,
                mac: mac.clone(),
                user,
                token_id,
                approval: Some(approval),
                digest: Some(digest),
                tries: 0,
                made_at: now,
                expires_at: until.min(now.plus(LINK_MAX)),
                used: false,
            })?;
            Ok(())
        })
        .await?;
        let id = id.to_string();
        let id = id.strip_prefix(SignInId::PREFIX).unwrap_or_default();
        Ok(format!("{}/link/{id}{}", self.base_url(), *secret))
    }

    /// Who a link was sent to, and what it answers; or why it is good for nothing. Uses nothing up.
    pub async fn visit_link(&self, token: &str) -> Result<LinkVisit, Refused> {
        let refused = match self.link(token).await {
            Ok(visit) => return Ok(visit),
            Err(refused) => refused,
        };
        self.refuse_door("web", &refused);
        Err(refused)
    }

    async fn link(&self, token: &str) -> Result<LinkVisit, Refused> {
        let (id, secret) = parse(token).ok_or_else(unknown)?;
        let found = self
            .look("visit_link", move |reader| {
                let Some(link) = reader.sign_in(id)? else { return Ok(None) };
                let user = reader.user_if_current(link.user, &link.token_id)?;
                Ok(Some((link, user)))
            })
            .await?;
        let (link, record) = found.ok_or_else(unknown)?;
        let known = self.inner.vault.token_verify(&link_key(id), secret.as_bytes(), &link.mac);
        let (Some(approval), Some(digest), SignInKind::Link, true) =
            (link.approval, link.digest, link.kind, known)
        else {
            return Err(unknown());
        };
        let record = record.ok_or_else(unknown)?;
        if link.used {
            return Err(used());
        }
        if link.expires_at <= self.now().wall {
            return Err(expired());
        }
        let mut user = user_of(&record, Identity::Link(id));
        user.reach = record.reach(&[Role::Approver]);
        Ok(LinkVisit { user, approval, digest })
    }
}

/// Uses a link up, where somebody answers by one: part of the answer's transaction, so that it
/// answers once, what it was made for, or not at all.
pub(in crate::broker) fn use_link(tx: &mut Tx<'_>, user: &User, ask: &Ask) -> Result<(), Stop> {
    let Identity::Link(id) = user.identity else { return Ok(()) };
    let link = tx.sign_in(id)?.filter(|link| link.kind == SignInKind::Link).ok_or_else(unknown)?;
    let now = tx.now().wall;
    if link.approval != Some(ask.id) || link.digest != Some(ask.digest()) {
        return Err(unknown().into());
    }
    if link.expires_at <= now {
        return Err(expired().into());
    }
    if !tx.use_sign_in(id, now)? {
        return Err(used().into());
    }
    Ok(())
}

fn parse(token: &str) -> Option<(SignInId, Arc<str>)> {
    let (id, secret) = token.split_at_checked(ID_DIGITS)?;
    let id = format!("{}{id}", SignInId::PREFIX).parse().ok()?;
    let whole = secret.len() == data_encoding::BASE64URL_NOPAD.encode_len(SECRET_BYTES);
    whole.then(|| (id, Arc::from(secret)))
}

fn link_key(id: SignInId) -> String {
    format!("link:{id}")
}

fn no_token() -> Refused {
    Refused::new(
        Code::UserDisabled,
        "the user is disabled, or has no token",
        "An admin makes a token with `vouchsafe users token NAME`.",
    )
}

fn elsewhere() -> Refused {
    Refused::new(
        Code::NoAddress,
        "the user has another address by now than the message goes to",
        "The link to the page is in it all the same.",
    )
}

fn unknown() -> Refused {
    Refused::new(
        Code::Unauthenticated,
        "this link is none of ours, or its user was shut out or got a new token",
        "Sign in to answer.",
    )
}

fn used() -> Refused {
    Refused::new(
        Code::Unauthenticated,
        "this link was used, and it answers once",
        "Sign in to see what came of it.",
    )
}

fn expired() -> Refused {
    Refused::new(
        Code::Unauthenticated,
        "this link has expired: it answers for an hour at most",
        "Sign in to answer.",
    )
}
