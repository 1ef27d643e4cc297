//! What an entry can be about.

use std::fmt;

/// What was done or tried: `noun.verb`, one of the constants below and nothing else.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Action(&'static str);

macro_rules! actions {
    ($($(#[$doc:meta])* $name:ident = $text:literal;)*) => {
        impl Action {
            $($(#[$doc])* pub const $name: Self = Self($text);)*

            /// Every action there is.
            pub const ALL: &'static [Self] = &[$(Self::$name),*];
        }
    };
}

actions! {
    /// An agent asked, and people have to answer.
    APPROVAL_REQUESTED = "approval.requested";
    /// Another call of the same ask waits for the same answer.
    APPROVAL_JOINED = "approval.joined";
    /// An approver answered.
    APPROVAL_VOTED = "approval.voted";
    /// Enough approvers agreed.
    APPROVAL_APPROVED = "approval.approved";
    /// An approver refused.
    APPROVAL_DENIED = "approval.denied";
    /// Nobody answered in time.
    APPROVAL_EXPIRED = "approval.expired";
    /// The rule's own conditions, or a session, approved it without a person.
    APPROVAL_AUTOMATIC = "approval.automatic";
    /// People were reminded that it waits.
    APPROVAL_REMINDED = "approval.reminded";
    /// More people may answer it from now on.
    APPROVAL_ESCALATED = "approval.escalated";
    /// Who asked took it back.
    APPROVAL_WITHDRAWN = "approval.withdrawn";
    /// It expired, and no message about it had reached anybody.
    APPROVAL_UNREACHED = "approval.unreached";
    /// A message was given up.
    MESSAGE_FAILED = "message.failed";
    /// Somebody had a message tried again.
    MESSAGE_RETRIED = "message.retried";
    /// A channel's messages do not get through.
    CHANNEL_FAILING = "channel.failing";
    /// Somebody tried a channel.
    CHANNEL_TESTED = "channel.tested";
    /// A lease began.
    LEASE_ISSUED = "lease.issued";
    /// A lease began that people would have been asked for, were the rule in force.
    LEASE_OBSERVED = "lease.observed";
    /// What an approver approved for a session began.
    SESSION_STARTED = "session.started";
    /// A session ended before its time.
    SESSION_ENDED = "session.ended";
    /// Somebody took a lease without asking, in an emergency.
    GLASS_BROKEN = "glass.broken";
    /// Another person looked at that.
    GLASS_REVIEWED = "glass.reviewed";
    /// Leases were stopped.
    LEASES_STOPPED = "leases.stopped";
    /// A stop was taken back.
    LEASES_RESUMED = "leases.resumed";
    /// A lease was made longer.
    LEASE_RENEWED = "lease.renewed";
    /// Its holder gave a lease back.
    LEASE_RELEASED = "lease.released";
    /// A person ended a lease.
    LEASE_REVOKED = "lease.revoked";
    /// A lease ended by time.
    LEASE_EXPIRED = "lease.expired";
    /// A lease ended with its last use.
    LEASE_EXHAUSTED = "lease.exhausted";
    /// A value was released.
    SECRET_READ = "secret.read";
    /// A read was answered without the value.
    SECRET_REDACTED = "secret.redacted";
    /// Names of secrets were listed.
    SECRET_LISTED = "secret.listed";
    /// A version of a secret was stored.
    SECRET_PUT = "secret.put";
    /// A new version of a secret was made by the daemon, for a person.
    SECRET_GENERATED = "secret.generated";
    /// A secret got a new version of the kind it was made as, by a person or by its schedule.
    SECRET_ROTATED = "secret.rotated";
    /// An earlier version of a secret became its newest.
    SECRET_ROLLED_BACK = "secret.rolled_back";
    /// What is said of a secret besides its value was changed.
    SECRET_UPDATED = "secret.updated";
    /// Many secrets were put at once.
    SECRET_IMPORTED = "secret.imported";
    /// A version that an agent proposed was stored.
    SECRET_WRITTEN = "secret.written";
    /// A change that an agent proposed was not made, though approved: the secret had moved on.
    SECRET_CONFLICTED = "secret.conflicted";
    /// A secret was deleted.
    SECRET_DELETED = "secret.deleted";
    /// A deleted secret is there again.
    SECRET_UNDELETED = "secret.undeleted";
    /// Values of a deleted secret, or versions beyond those that are kept, were wiped.
    SECRET_PURGED = "secret.purged";
    /// People were reminded that a secret's date comes, or has come.
    SECRET_EXPIRING = "secret.expiring";
    /// An MCP key was made.
    KEY_CREATED = "key.created";
    /// What an MCP key may do was changed.
    KEY_UPDATED = "key.updated";
    /// An MCP key was let in again.
    KEY_ENABLED = "key.enabled";
    /// An MCP key was shut out.
    KEY_DISABLED = "key.disabled";
    /// An MCP key got a new value.
    KEY_REGENERATED = "key.regenerated";
    /// An MCP key was deleted.
    KEY_DELETED = "key.deleted";
    /// A project was made.
    PROJECT_CREATED = "project.created";
    /// A project's limits were changed.
    PROJECT_UPDATED = "project.updated";
    /// A project was put away.
    PROJECT_ARCHIVED = "project.archived";
    /// A project was taken back into use.
    PROJECT_RESTORED = "project.restored";
    /// A user was made.
    USER_CREATED = "user.created";
    /// A user's roles or groups were changed.
    USER_UPDATED = "user.updated";
    /// A user was let in again.
    USER_ENABLED = "user.enabled";
    /// A user was shut out.
    USER_DISABLED = "user.disabled";
    /// A user got a token.
    USER_TOKEN_ISSUED = "user.token_issued";
    /// A code to sign in with was made for a user.
    USER_CODE_ISSUED = "user.code_issued";
    /// A user signed in to the web pages.
    USER_SIGNED_IN = "user.signed_in";
    /// A user signed out of the web pages.
    USER_SIGNED_OUT = "user.signed_out";
    /// Rules were put in force.
    POLICY_LOADED = "policy.loaded";
    /// Rules were not put in force.
    POLICY_REFUSED = "policy.refused";
    /// Changed rules wait for an approval.
    POLICY_HELD = "policy.held";
    /// A candidate set was run against the asks in the log.
    POLICY_REPLAYED = "policy.replayed";
    /// Rules were tried without being put in force.
    POLICY_CHECKED = "policy.checked";
    /// The log was searched.
    AUDIT_QUERIED = "audit.queried";
    /// The log was exported.
    AUDIT_EXPORTED = "audit.exported";
    /// The root key was replaced.
    ROOT_KEY_ROTATED = "root_key.rotated";
    /// The daemon began to serve.
    DAEMON_STARTED = "daemon.started";
    /// The daemon ended in order.
    DAEMON_STOPPED = "daemon.stopped";
    /// Somebody was turned away before being known.
    DOOR_REFUSED = "door.refused";
    /// The wall clock moved by itself.
    CLOCK_JUMPED = "clock.jumped";
    /// A caller went away before the answer.
    CALL_DISCONNECTED = "call.disconnected";
}

impl Action {
    /// As it is written in an entry.
    pub const fn as_str(self) -> &'static str {
        self.0
    }

    /// The action of that name.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|action| action.0 == text)
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_action_is_a_noun_and_a_verb_and_is_listed_once() {
        let names: BTreeSet<_> = Action::ALL.iter().map(|action| action.as_str()).collect();
        assert_eq!(names.len(), Action::ALL.len());
        for name in names {
            let parts: Vec<_> = name.split('.').collect();
            assert_eq!(parts.len(), 2, "{name}");
            assert!(name.bytes().all(|b| b.is_ascii_lowercase() || b == b'.' || b == b'_'));
            assert_eq!(Action::parse(name).map(Action::as_str), Some(name));
        }
        assert_eq!(Action::parse("secret.stolen"), None);
    }
}
