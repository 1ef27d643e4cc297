//! One message as a mail: its headers, and both forms of its body.

use std::time::{Duration, UNIX_EPOCH};

use lettre::Address;
use lettre::message::header::{ContentTransferEncoding, ContentType, HeaderName, HeaderValue};
use lettre::message::{Body as Encoded, Mailbox, MessageBuilder, MultiPart, SinglePart};
use vouchsafe_core::id::ApprovalId;
use vouchsafe_core::route::{Body, Event, Message};

use super::bodies::bodies;
use crate::config;

/// The longest subject, in characters.
const SUBJECT_CHARS_MAX: usize = 150;
/// What a headline of an approval begins with when it is not the first about it. What follows is
/// the same in all of them.
const NEWS: [&str; 6] = [
    "Still waiting: ",
    "Escalated to you: ",
    "Approved: ",
    "Denied: ",
    "Expired: ",
    "Taken back: ",
];

/// Who mails are from.
#[derive(Debug)]
pub(super) struct Letterhead {
    from: Mailbox,
    reply_to: Option<Mailbox>,
}

/// A mail as it goes to the server.
pub(super) struct Mail {
    pub(super) from: Address,
    pub(super) to: Address,
    pub(super) bytes: Vec<u8>,
}

impl Letterhead {
    /// As the configuration has it; none where that is no sender.
    pub(super) fn new(config: &config::Email) -> Option<Self> {
        let reply_to = match &config.reply_to {
            Some(text) => Some(mailbox(text)?),
            None => None,
        };
        Some(Self { from: mailbox(&config.from)?, reply_to })
    }

    /// Whom mails are from.
    pub(super) const fn sender(&self) -> &Address {
        &self.from.email
    }

    /// Writes a mail to one address; or says why there is none to be written.
    ///
    /// The same message is the same bytes each time, its `Message-ID` and `Date` with it, so that
    /// whoever gets it twice has one mail.
    pub(super) fn mail(&self, message: &Message) -> Result<Mail, String> {
        let Some(to) = &message.to else {
            return Err("the message is for nobody".to_owned());
        };
        let to: Address =
            to.address.parse().map_err(|_| "the address is none that mail goes to".to_owned())?;
        let subject = subject(message);
        let bodies = bodies(message, &subject)
            .map_err(|error| format!("the message cannot be written: {error}"))?;
        let ms = u64::try_from(message.at.ms()).unwrap_or_default();
        let mut mail = lettre::Message::builder()
            .from(self.from.clone())
            .to(Mailbox::new(None, to.clone()))
            .subject(&subject)
            .date(UNIX_EPOCH + Duration::from_millis(ms))
            .message_id(Some(format!("<{}@{}>", message.id, self.domain())));
        if let Some(reply_to) = &self.reply_to {
            mail = mail.reply_to(reply_to.clone());
        }
        if let Some(approval) = message.approval() {
            let thread = self.thread(approval);
            mail = mail.in_reply_to(thread.clone()).references(thread);
        }
        let mail = self.says_what_it_is(mail, message);
        // A boundary that neither part can hold: `=` is written `=3D` in both.
        let parts = MultiPart::alternative()
            .boundary(format!("=_{}", message.id))
            .singlepart(part(ContentType::TEXT_PLAIN, bodies.text)?)
            .singlepart(part(ContentType::TEXT_HTML, bodies.html)?);
        let mail = mail
            .multipart(parts)
            .map_err(|error| format!("the message cannot be written: {error}"))?;
        Ok(Mail { from: self.from.email.clone(), to, bytes: mail.formatted() })
    }

    /// Headers by which other programs know that nobody wrote this and nobody is to answer it:
    /// RFC 3834, and what Exchange goes by.
    ///
    /// There is no `List-Unsubscribe`: it promises that following it ends the messages, and what a
    /// person is told is changed by an administrator. Programs that follow it unasked would let
    /// approvals go unseen.
    fn says_what_it_is(&self, mail: MessageBuilder, message: &Message) -> MessageBuilder {
        let mail = mail
            .raw_header(header("Auto-Submitted", "auto-generated".to_owned()))
            .raw_header(header("X-Auto-Response-Suppress", "All".to_owned()));
        match &message.body {
            Body::Facts { .. } | Body::Digest(_) => {
                let list = format!("Vouchsafe <vouchsafe.{}>", self.domain());
                mail.raw_header(header("List-Id", list))
            }
            // These are for one person alone, who asked for them.
            Body::SignIn { .. } | Body::Test { .. } => mail,
        }
    }

    /// What all mails about an approval answer to, so that they stand together wherever the first
    /// of them went. There is no mail of this id.
    fn thread(&self, approval: ApprovalId) -> String {
        format!("<{approval}.thread@{}>", self.domain())
    }

    fn domain(&self) -> &str {
        self.from.email.domain()
    }
}

/// The same for all mails of one approval, since many programs put together what has one subject.
/// How it ended is the first thing in the mail.
fn subject(message: &Message) -> String {
    if matches!(message.body, Body::SignIn { .. }) {
        // Subjects are logged on the way, and shown on locked screens.
        return "Your code to sign in to Vouchsafe".to_owned();
    }
    let headline = one_line(&message.headline);
    if message.approval().is_none() || !message.event.is_of_approval() {
        return cut(&headline);
    }
    let topic = NEWS.iter().find_map(|news| headline.strip_prefix(news)).unwrap_or(&headline);
    let topic = cut(topic);
    if message.event == Event::ApprovalRequested { topic } else { format!("Re: {topic}") }
}

/// Without anything that could end a header, or be read as an encoded word in it.
fn one_line(text: &str) -> String {
    let text: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    text.replace("=?", "= ?")
}

fn cut(text: &str) -> String {
    match text.char_indices().nth(SUBJECT_CHARS_MAX) {
        None => text.to_owned(),
        Some((at, _)) => format!("{}…", text.get(..at).unwrap_or_default()),
    }
}

/// Quoted-printable whatever is in it: no line is too long for any server on the way, and a blank
/// at the end of a line stays.
fn part(kind: ContentType, text: String) -> Result<SinglePart, String> {
    let body = Encoded::new_with_encoding(text, ContentTransferEncoding::QuotedPrintable)
        .map_err(|_| "the message cannot be encoded".to_owned())?;
    Ok(SinglePart::builder().header(kind).body(body))
}

fn header(name: &'static str, value: String) -> HeaderValue {
    HeaderValue::new(HeaderName::new_from_ascii_str(name), value)
}

fn mailbox(text: &str) -> Option<Mailbox> {
    let (name, address) = config::mailbox(text)?;
    Some(Mailbox::new(name.map(str::to_owned), address.as_str().parse().ok()?))
}
