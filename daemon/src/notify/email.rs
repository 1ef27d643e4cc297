//! E-mail over SMTP: [`compose`] writes a mail, [`smtp`] sends it, [`failure`] says what to do
//! where that fails.

mod bodies;
mod compose;
mod failure;
mod smtp;
mod unhurried;

use std::fs;
use std::path::Path;

use data_encoding::BASE64;
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::client::{Certificate, TlsParameters};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use vouchsafe_core::route::{Audience, Body, Channel, ChannelName, Message, Receipt, Undelivered};
use zeroize::Zeroizing;

use self::compose::Letterhead;
use self::failure::{Unsaid, undelivered};
use self::smtp::{Secured, Server};
use super::{Carrier, ChannelError, private_file};
use crate::config::{self, SmtpTls};

/// The largest file of certificates, in bytes.
const CA_BYTES_MAX: u64 = 1024 * 1024;

/// The channel `email`.
#[derive(Debug)]
pub(super) struct Mailer {
    channel: Channel,
    letterhead: Letterhead,
    server: Server,
    /// What no message may hold, whatever the server says: the password, in its three forms.
    unsaid: Vec<Zeroizing<String>>,
}

impl Mailer {
    /// Reads the files that it needs; nothing is connected to yet.
    pub(super) fn build(config: &config::Email) -> Result<Self, ChannelError> {
        let letterhead = Letterhead::new(config)
            .ok_or_else(|| wrong("notify.email.from or reply_to is no address: correct it"))?;
        let mut unsaid = Vec::new();
        let credentials = match &config.login {
            None => None,
            Some((name, file)) => {
                let password =
                    private_file::read(file, "notify.email.password_file").map_err(wrong)?;
                let plain = Zeroizing::new(format!("\0{name}\0{}", password.as_str()));
                unsaid.push(Zeroizing::new(BASE64.encode(plain.as_bytes())));
                unsaid.push(Zeroizing::new(BASE64.encode(password.as_bytes())));
                let credentials = Credentials::new(name.clone(), password.as_str().to_owned());
                unsaid.push(password);
                Some(credentials)
            }
        };
        let secured = match config.tls {
            SmtpTls::Starttls => Secured::Starttls(tls(config)?),
            SmtpTls::Implicit => Secured::Implicit(tls(config)?),
            SmtpTls::None => Secured::Here,
        };
        let address = (config.host.clone(), config.port);
        let server = Server::new(
            address,
            letterhead.sender(),
            secured,
            credentials,
            (config.connections, config.timeout),
        );
        Ok(Self {
            channel: Channel {
                name: ChannelName::email(),
                audience: Audience::Email,
                events: config.events,
                feed: false,
                updates: false,
                at_once: config.connections,
            },
            letterhead,
            server,
            unsaid,
        })
    }

    async fn send(&self, message: &Message) -> Result<Receipt, Undelivered> {
        let mail = self.letterhead.mail(message).map_err(Undelivered::never)?;
        let of_message = secrets(message);
        let unsaid = Unsaid(self.unsaid.iter().chain(&of_message).collect());
        match self.server.send(&mail).await {
            Ok(response) => Ok(Receipt { handle: None, said: unsaid.receipt(&response) }),
            Err(failure) => Err(undelivered(&failure, &self.server.name(), &unsaid)),
        }
    }
}

impl Carrier for Mailer {
    fn channel(&self) -> &Channel {
        &self.channel
    }

    fn deliver<'a>(&'a self, message: &'a Message) -> BoxFuture<'a, Result<Receipt, Undelivered>> {
        self.send(message).boxed()
    }
}

/// What a message holds that lets in whoever has it.
fn secrets(message: &Message) -> Vec<Zeroizing<String>> {
    match &message.body {
        Body::SignIn { code, .. } => vec![Zeroizing::new(code.clone())],
        Body::Facts { answer: Some(answer), .. } => {
            let token = answer.one_time.as_deref().and_then(|link| link.rsplit('/').next());
            token.map(|token| Zeroizing::new(token.to_owned())).into_iter().collect()
        }
        Body::Facts { .. } | Body::Digest(_) | Body::Test { .. } => Vec::new(),
    }
}

/// The system's authorities, and the one that is named.
fn tls(config: &config::Email) -> Result<TlsParameters, ChannelError> {
    let mut parameters = TlsParameters::builder(config.host.clone());
    if let Some(path) = &config.ca_file {
        for certificate in certificates(path).map_err(wrong)? {
            parameters = parameters.add_root_certificate(certificate);
        }
    }
    parameters.build().map_err(|error| {
        let why = std::error::Error::source(&error).map(ToString::to_string).unwrap_or_default();
        wrong(format!(
            "TLS cannot be set up ({why}): install the system's certificates, such as the package \
             ca-certificates, and see that notify.email.ca_file is a certificate"
        ))
    })
}

fn certificates(path: &Path) -> Result<Vec<Certificate>, String> {
    let shown = path.display();
    let failed = |error| format!("notify.email.ca_file {shown} cannot be read: {error}");
    let found = fs::metadata(path).map_err(failed)?;
    let no_pem = || format!("notify.email.ca_file {shown} holds no certificate in PEM: correct it");
    if !found.is_file() || found.len() > CA_BYTES_MAX {
        return Err(no_pem());
    }
    let pem = fs::read(path).map_err(failed)?;
    let all: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&pem).collect();
    let all = all.ok().filter(|all| !all.is_empty()).ok_or_else(no_pem)?;
    let of_der = |der: CertificateDer<'_>| Certificate::from_der(der.to_vec()).ok();
    all.into_iter().map(of_der).collect::<Option<Vec<_>>>().ok_or_else(no_pem)
}

fn wrong(problem: impl Into<String>) -> ChannelError {
    ChannelError { channel: ChannelName::email(), problem: problem.into() }
}
