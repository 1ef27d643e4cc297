//! Whom to tell what, and through which channel.
//!
//! An [`Event`] is something that people want to hear of. [`plan`] says which channels carry it, to
//! whom, and when; [`untold`], who may answer and hears nothing. What is said is a [`Message`].
//! Nothing here sends anything.

mod channel;
mod event;
mod message;
mod outcome;
mod plan;
mod preferences;
mod slack;
pub mod telling;
mod untold;

pub use self::channel::{
    Audience, CHANNELS_MAX, Channel, ChannelName, ChannelNameError, DeliveryStatus, UnknownStatus,
};
pub use self::event::{Event, EventError, Events};
pub use self::message::{Answerable, Body, Fact, LOCAL_NAME, Line, Message, Recipient};
pub use self::outcome::{Again, Receipt, Undelivered};
pub use self::plan::{Hold, Occasion, Person, Planned, plan};
pub use self::preferences::{
    DigestTimes, EmailAddress, EmailAddressError, Preferences, QuietHours, SlackId, SlackIdError,
    WhenError,
};
pub use self::slack::{SLACK_VALUE_CHARS_MAX, SlackAct, SlackTicket};
pub use self::untold::{Untold, WhyUntold, untold};
