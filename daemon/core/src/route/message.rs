//! What a channel is given to say. Every channel says the same, each in its own form.
//!
//! All text here is safe to show: it was escaped where it was taken from whoever wrote it. It is
//! not HTML, not Markdown and not a header: each channel escapes it again for what it writes.

use super::Event;
use crate::approval::ApprovalDigest;
use crate::id::{ApprovalId, MessageId};
use crate::time::UnixTime;

/// The name of the pages on this machine, where they have no public one. Browsers take it for this
/// machine (RFC 6761, section 6.3). It is ours alone, for a cookie goes to each port of the name that
/// set it, and on `localhost` there is much else, such as whatever an agent has just written.
pub const LOCAL_NAME: &str = "vouchsafe.localhost";

/// One message to one person, or to one place.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Message {
    /// By which receivers know a double: another try has the same.
    pub id: MessageId,
    /// What it is about.
    pub event: Event,
    /// When that happened.
    pub at: UnixTime,
    /// The project; none where it is about none.
    pub project: Option<String>,
    /// To whom; none: whoever looks at the place.
    pub to: Option<Recipient>,
    /// One line: `claude-desktop asks to read vouchsafe://secrets/production/DATABASE_URL`.
    pub headline: String,
    /// The rest.
    pub body: Body,
    /// The page about it.
    pub link: Option<String>,
    /// What the channel calls the messages that this one takes the place of, oldest first; none
    /// where it is a message of its own.
    pub replaces: Vec<String>,
}

/// A person, at their address.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Recipient {
    /// Their name.
    pub name: String,
    /// An e-mail address, or a Slack user's id, as the channel wants.
    pub address: String,
}

/// What a message says beyond its headline.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Body {
    /// Facts, and what can be done about them.
    Facts {
        /// What there is to know, the most important first.
        facts: Vec<Fact>,
        /// How it can be answered; none where there is nothing to answer any more.
        answer: Option<Box<Answerable>>,
        /// The approval it is about.
        approval: Option<ApprovalId>,
        /// How it ended, in a sentence; none where it has not, or cannot.
        outcome: Option<String>,
    },
    /// Several messages at once, oldest first.
    Digest(Vec<Line>),
    /// A code to sign in with.
    SignIn {
        /// The code. Nothing else may hold it: no log, no entry, no delivery.
        code: String,
        /// How long it is good for, in minutes.
        minutes: u64,
    },
    /// Somebody tries the channel.
    Test {
        /// Who.
        by: String,
    },
}

/// One thing to know.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Fact {
    /// `Reason`, `Resource`, `Rule`.
    pub label: &'static str,
    /// What it is, on one line.
    pub text: String,
    /// An agent's words, or a client's claim: shown as such.
    pub untrusted: bool,
    /// There is more of it than is said here.
    pub cut: bool,
}

/// How an approval can be answered.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Answerable {
    /// Which.
    pub approval: ApprovalId,
    /// What an answer has to carry, so that it is about this and nothing else. People are shown
    /// [`ApprovalDigest::short`], the same in every channel.
    pub digest: ApprovalDigest,
    /// All of what is approved is among the facts.
    pub whole: bool,
    /// A link that answers without signing in; none where such links are off.
    pub one_time: Option<String>,
    /// Until when it can be answered.
    pub until: UnixTime,
    /// Where a program sends an answer, for which people go to the message's link.
    pub respond: String,
}

/// One message in a digest.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Line {
    /// Its id.
    pub id: MessageId,
    /// When.
    pub at: UnixTime,
    /// Its headline.
    pub headline: String,
    /// Its page.
    pub link: Option<String>,
    /// How it stands now.
    pub outcome: Option<String>,
    /// What an answer is about; none where there is nothing to answer any more.
    pub digest: Option<ApprovalDigest>,
}

impl Fact {
    /// Something that we say.
    pub fn new(label: &'static str, text: impl Into<String>) -> Self {
        Self { label, text: text.into(), untrusted: false, cut: false }
    }

    /// Something that an agent or its client says.
    pub fn untrusted(label: &'static str, text: impl Into<String>) -> Self {
        Self { untrusted: true, ..Self::new(label, text) }
    }
}

impl Message {
    /// How it can be answered, if it can.
    pub fn answer(&self) -> Option<&Answerable> {
        match &self.body {
            Body::Facts { answer, .. } => answer.as_deref(),
            Body::Digest(_) | Body::SignIn { .. } | Body::Test { .. } => None,
        }
    }

    /// The approval it is about.
    pub fn approval(&self) -> Option<ApprovalId> {
        match &self.body {
            Body::Facts { approval, .. } => *approval,
            Body::Digest(_) | Body::SignIn { .. } | Body::Test { .. } => None,
        }
    }
}
