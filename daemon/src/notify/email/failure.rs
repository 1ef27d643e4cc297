//! What is to be done about a mail that was not taken, and why it was not, for people.

use std::error::Error as _;

use lettre::transport::smtp::Error;
use lettre::transport::smtp::response::Response;
use vouchsafe_core::route::Undelivered;
use vouchsafe_core::text::echo;
use zeroize::Zeroizing;

use super::smtp::{CLOSING, Cause, Failure, Step};

/// How much of a server's words is repeated, in characters.
const WORDS_CHARS_MAX: usize = 200;
/// A login is missing, said to whatever needs one: RFC 4954, 6.
const LOGIN_NEEDED: u16 = 530;
/// The shortest text that is looked for in a server's words, in bytes.
const SECRET_BYTES_MIN: usize = 4;

/// What may be repeated of a server's words: some filters quote what they refuse.
pub(super) struct Unsaid<'a>(pub(super) Vec<&'a Zeroizing<String>>);

impl Unsaid<'_> {
    /// A server's words, on one line, without secrets, and not too many.
    fn shown(&self, words: &str) -> String {
        let mut words = words.split_whitespace().collect::<Vec<_>>().join(" ");
        for secret in self.0.iter().filter(|secret| secret.len() >= SECRET_BYTES_MIN) {
            words = words.replace(secret.as_str(), "***");
        }
        echo(&words, WORDS_CHARS_MAX)
    }

    /// What the server said when it took a mail.
    pub(super) fn receipt(&self, response: &Response) -> String {
        let words: Vec<_> = response.message().collect();
        self.shown(&format!("{} {}", response.code(), words.join(" ")))
    }
}

/// What becomes of a mail.
///
/// - What concerns all mail (no connection, no TLS, no login, a sender that is refused) holds the
///   channel up until it is mended.
/// - What concerns one address or one mail holds up nothing else: given up where the server says
///   that it will not change (5yz), tried again where it may (4yz).
/// - A connection that breaks while the server takes the mail leaves it unknown whether it did. It
///   is sent again under the same `Message-ID`, by which whoever has it twice keeps one.
pub(super) fn undelivered(failure: &Failure, server: &str, unsaid: &Unsaid<'_>) -> Undelivered {
    let step = failure.step;
    match &failure.cause {
        Cause::Time => match step {
            Step::Waiting => {
                let why = format!("no connection to {server} was free in time");
                Undelivered::message(why, None)
            }
            Step::Content => Undelivered::message(unknown(server, "did not say in time"), None),
            step => {
                let why = format!("{server} did not answer in time {}", step.doing());
                Undelivered::channel(why, None)
            }
        },
        Cause::Unreachable(error) => {
            Undelivered::channel(format!("{server} cannot be reached: {error}"), None)
        }
        Cause::NotHere => {
            let why = format!(
                "{server} is on another machine, and notify.email.tls is none: write \"starttls\" \
                 or \"implicit\""
            );
            Undelivered::channel(why, None)
        }
        Cause::NoStarttls => {
            let why = format!(
                "{server} offers no STARTTLS, and nothing is sent without it: use a port that has \
                 it, or notify.email.tls = \"implicit\" where TLS begins at once"
            );
            Undelivered::channel(why, None)
        }
        Cause::Smtp(error) => match error.status() {
            Some(code) => refused(u16::from(code), error, step, (server, unsaid)),
            None => broken(error, step, server),
        },
    }
}

/// The server said no.
fn refused(
    code: u16,
    error: &Error,
    step: Step,
    (server, unsaid): (&str, &Unsaid<'_>),
) -> Undelivered {
    let words = error.source().map(ToString::to_string).unwrap_or_default();
    let said = if step == Step::LoggingIn {
        // Whatever it says about a password is left with it, but for its number of RFC 3463.
        let number = words.split_whitespace().next().filter(|word| {
            word.len() <= 10 && word.bytes().all(|b| b.is_ascii_digit() || b == b'.')
        });
        number.map_or_else(|| code.to_string(), |number| format!("{code} {number}"))
    } else {
        unsaid.shown(&format!("{code} {words}"))
    };
    let why = format!("{server} refused {}: {said}", step.what());
    let permanent = code >= 500;
    match step {
        _ if code == CLOSING || code == LOGIN_NEEDED => Undelivered::channel(why, None),
        Step::Waiting | Step::Connecting | Step::Greeting | Step::Securing | Step::LoggingIn => {
            Undelivered::channel(why, None)
        }
        Step::Sender if permanent => Undelivered::channel(why, None),
        Step::Recipient | Step::Data | Step::Content if permanent => Undelivered::never(why),
        Step::Sender | Step::Recipient | Step::Data | Step::Content => {
            Undelivered::message(why, None)
        }
    }
}

/// The server said nothing that can be understood.
fn broken(error: &Error, step: Step, server: &str) -> Undelivered {
    if step == Step::Content {
        return Undelivered::message(unknown(server, "broke off before it said"), None);
    }
    if let Some(tls) = tls(error) {
        let why = format!(
            "TLS with {server} failed: {tls}; where its certificate is of an authority of your \
             own, name that in notify.email.ca_file"
        );
        return Undelivered::channel(why, None);
    }
    if step == Step::LoggingIn && error.is_client() {
        let why = format!("{server} offers no login with a password (PLAIN or LOGIN)");
        return Undelivered::channel(why, None);
    }
    if step == Step::Connecting {
        let error = echo(&error.to_string(), WORDS_CHARS_MAX);
        return Undelivered::channel(format!("{server} cannot be reached: {error}"), None);
    }
    Undelivered::channel(format!("the connection to {server} broke off {}", step.doing()), None)
}

fn unknown(server: &str, what: &str) -> String {
    format!(
        "{server} {what} whether it took the message: it is sent again under the same Message-ID"
    )
}

/// What TLS says was wrong, if it was TLS.
fn tls(error: &Error) -> Option<String> {
    let mut source = error.source();
    while let Some(error) = source {
        if let Some(error) = error.downcast_ref::<std::io::Error>()
            && let Some(tls) = error.get_ref().and_then(|inner| inner.downcast_ref())
        {
            let tls: &rustls::Error = tls;
            return Some(echo(&tls.to_string(), WORDS_CHARS_MAX));
        }
        source = error.source();
    }
    None
}

impl Step {
    /// `... in time while it greets`
    const fn doing(self) -> &'static str {
        match self {
            Self::Waiting | Self::Connecting => "to the connection",
            Self::Greeting => "with its greeting",
            Self::Securing => "when TLS was to begin",
            Self::LoggingIn => "to the login",
            Self::Sender => "to the sender",
            Self::Recipient => "to the recipient",
            Self::Data | Self::Content => "to the message",
        }
    }

    /// `... refused the login`
    const fn what(self) -> &'static str {
        match self {
            Self::Waiting | Self::Connecting | Self::Greeting => "the connection",
            Self::Securing => "TLS",
            Self::LoggingIn => "the login",
            Self::Sender => "the sender",
            Self::Recipient => "the recipient",
            Self::Data | Self::Content => "the message",
        }
    }
}
