//! How a delivery went.

use std::time::Duration;

/// A channel took a message.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Receipt {
    /// What the channel calls the message, for changing it later; none where it cannot be changed.
    pub handle: Option<String>,
    /// What the channel said, for whoever tries it; no secret and nothing unescaped.
    pub said: String,
}

/// A channel did not take a message.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Undelivered {
    /// Why, for people; no secret and nothing unescaped.
    pub why: String,
    /// Whether another try may help.
    pub again: Again,
}

/// Whether another try may help.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Again {
    /// Not with this message: the address is refused, or the channel is set up wrongly.
    Never,
    /// Later; not before this time, where the channel said so.
    Message(Option<Duration>),
    /// Later, and the same holds for everything over this channel: it does not answer, or has had
    /// too much.
    Channel(Option<Duration>),
}

impl Undelivered {
    /// Given up at once.
    pub fn never(why: impl Into<String>) -> Self {
        Self { why: why.into(), again: Again::Never }
    }

    /// To be tried again; other messages are not concerned.
    pub fn message(why: impl Into<String>, after: Option<Duration>) -> Self {
        Self { why: why.into(), again: Again::Message(after) }
    }

    /// To be tried again, and the channel with it.
    pub fn channel(why: impl Into<String>, after: Option<Duration>) -> Self {
        Self { why: why.into(), again: Again::Channel(after) }
    }
}
