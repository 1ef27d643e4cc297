//! The mail server: connections to it, and one mail over one of them, step by step, so that where
//! it failed is known.

use std::fmt;
use std::io;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use lettre::Address;
use lettre::transport::smtp::Error;
use lettre::transport::smtp::authentication::{Credentials, DEFAULT_MECHANISMS};
use lettre::transport::smtp::client::{AsyncSmtpConnection, TlsParameters};
use lettre::transport::smtp::commands::{Data, Mail as MailFrom, Rcpt, Rset};
use lettre::transport::smtp::extension::ClientId;
use lettre::transport::smtp::response::Response;
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout};

use super::compose::Mail;
use super::unhurried::Unhurried;

/// How long a connection waits for the next mail: less than the 5 minutes of RFC 5321, 4.5.3.2.7,
/// after which servers close.
const IDLE_MAX: Duration = Duration::from_secs(60);
/// A service that is closing, said at any time: RFC 5321, 3.8.
pub(super) const CLOSING: u16 = 421;

/// A mail server, and the connections to it that are open.
pub(super) struct Server {
    host: String,
    port: u16,
    secured: Secured,
    credentials: Option<Credentials>,
    hello: ClientId,
    timeout: Duration,
    /// A mail holds one of these while it is sent.
    room: Semaphore,
    /// Connections that wait for the next mail; never more than there is room.
    parked: Mutex<Vec<Parked>>,
}

/// How a connection is kept private.
pub(super) enum Secured {
    /// From the first byte.
    Implicit(TlsParameters),
    /// Once both have said that they can, before anything else.
    Starttls(TlsParameters),
    /// Not at all, on this machine.
    Here,
}

/// A connection that was used.
struct Parked {
    connection: AsyncSmtpConnection,
    since: Instant,
}

/// How far a mail came.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(super) enum Step {
    /// Every connection is busy.
    Waiting,
    /// There is no connection yet.
    Connecting,
    /// The server greets, and says what it can.
    Greeting,
    /// TLS begins.
    Securing,
    /// We log in.
    LoggingIn,
    /// We say whom it is from.
    Sender,
    /// We say whom it is for.
    Recipient,
    /// We ask whether it may come.
    Data,
    /// It is on its way, and nobody knows whether it arrived.
    Content,
}

/// A mail that was not taken, or not known to be.
#[derive(Debug)]
pub(super) struct Failure {
    pub(super) step: Step,
    pub(super) cause: Cause,
}

/// What went wrong.
#[derive(Debug)]
pub(super) enum Cause {
    /// It took too long.
    Time,
    /// There is no such name, or nobody there.
    Unreachable(io::Error),
    /// The name of this machine leads to another one.
    NotHere,
    /// The server offers no `STARTTLS`.
    NoStarttls,
    /// The server refused, or the connection broke.
    Smtp(Error),
}

/// What we call ourselves to a server: the name of this machine where it is a whole one, and else
/// the domain that mails are from. Servers turn away a name that can be nobody's (RFC 5321, 4.1.1.1).
fn hello(from: &Address) -> ClientId {
    match ClientId::default() {
        ClientId::Domain(name) if !name.contains('.') => ClientId::Domain(from.domain().to_owned()),
        whole => whole,
    }
}

impl Server {
    pub(super) fn new(
        (host, port): (String, u16),
        from: &Address,
        secured: Secured,
        credentials: Option<Credentials>,
        (connections, timeout): (usize, Duration),
    ) -> Self {
        Self {
            host,
            port,
            secured,
            credentials,
            hello: hello(from),
            timeout,
            room: Semaphore::new(connections),
            parked: Mutex::new(Vec::new()),
        }
    }

    /// How people know it.
    pub(super) fn name(&self) -> String {
        if self.host.contains(':') {
            format!("[{}]:{}", self.host, self.port)
        } else {
            format!("{}:{}", self.host, self.port)
        }
    }

    /// Sends one mail, within the time for it.
    pub(super) async fn send(&self, mail: &Mail) -> Result<Response, Failure> {
        let mut step = Step::Waiting;
        let outcome = timeout(self.timeout, self.sent(mail, &mut step)).await;
        outcome.unwrap_or(Err(Cause::Time)).map_err(|cause| Failure { step, cause })
    }

    /// A future that is dropped on its way drops its connection: nothing is left half said.
    async fn sent(&self, mail: &Mail, step: &mut Step) -> Result<Response, Cause> {
        // It is never closed.
        let room = self.room.acquire().await.map_err(|_| Cause::Time)?;
        let mut connection = match self.unpark().await {
            Some(connection) => connection,
            None => self.connect(step).await?,
        };
        let outcome = transact(&mut connection, mail, step).await;
        let answered = match &outcome {
            Ok(_) => true,
            // Refused, and not gone.
            Err(error) => error.status().is_some_and(|code| u16::from(code) != CLOSING),
        };
        if answered {
            let since = Instant::now();
            self.parked().push(Parked { connection, since });
        }
        drop(room);
        outcome.map_err(Cause::Smtp)
    }

    /// A connection that still stands, with nothing begun on it.
    async fn unpark(&self) -> Option<AsyncSmtpConnection> {
        loop {
            let parked = self.parked().pop()?;
            if parked.since.elapsed() >= IDLE_MAX {
                continue;
            }
            let mut connection = parked.connection;
            // One that is lost without a word leaves time for a new one.
            let stands = timeout(self.timeout / 4, connection.command(Rset)).await;
            if matches!(stands, Ok(Ok(_))) {
                return Some(connection);
            }
        }
    }

    fn parked(&self) -> std::sync::MutexGuard<'_, Vec<Parked>> {
        self.parked.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn connect(&self, step: &mut Step) -> Result<AsyncSmtpConnection, Cause> {
        *step = Step::Connecting;
        let mut connection = match &self.secured {
            Secured::Implicit(tls) => {
                let address = (self.host.as_str(), self.port);
                let (time, tls) = (Some(self.timeout / 2), Some(tls.clone()));
                let connected =
                    AsyncSmtpConnection::connect_tokio1(address, time, &self.hello, tls, None);
                connected.await.map_err(Cause::Smtp)?
            }
            Secured::Starttls(tls) => {
                let stream = Unhurried::new(self.reach().await?);
                *step = Step::Greeting;
                let mut connection = self.greet(stream).await?;
                *step = Step::Securing;
                if !connection.can_starttls() {
                    return Err(Cause::NoStarttls);
                }
                connection.starttls(tls.clone(), &self.hello).await.map_err(Cause::Smtp)?;
                connection
            }
            Secured::Here => {
                let stream = self.reach().await?;
                if !stream.peer_addr().is_ok_and(|peer| peer.ip().to_canonical().is_loopback()) {
                    return Err(Cause::NotHere);
                }
                *step = Step::Greeting;
                self.greet(Unhurried::new(stream)).await?
            }
        };
        if let Some(credentials) = &self.credentials {
            *step = Step::LoggingIn;
            connection.auth(DEFAULT_MECHANISMS, credentials).await.map_err(Cause::Smtp)?;
        }
        Ok(connection)
    }

    async fn greet(&self, stream: Unhurried) -> Result<AsyncSmtpConnection, Cause> {
        let greeted =
            AsyncSmtpConnection::connect_with_transport(Box::new(stream), &self.hello).await;
        greeted.map_err(Cause::Smtp)
    }

    /// The first of the server's addresses that answers; one that does not leaves time for another.
    async fn reach(&self) -> Result<TcpStream, Cause> {
        let found = tokio::net::lookup_host((self.host.as_str(), self.port)).await;
        let mut last = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
        for address in found.map_err(Cause::Unreachable)? {
            match timeout(self.timeout / 2, TcpStream::connect(address)).await {
                Ok(Ok(stream)) => {
                    // A mail leaves in several small pieces: none waits until the one before it is
                    // acknowledged, which takes many systems 40 ms.
                    stream.set_nodelay(true).map_err(Cause::Unreachable)?;
                    return Ok(stream);
                }
                Ok(Err(error)) => last = error,
                Err(_) => last = io::ErrorKind::TimedOut.into(),
            }
        }
        Err(Cause::Unreachable(last))
    }
}

/// Parameters and credentials have no form to be shown in.
impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server").field("name", &self.name()).finish_non_exhaustive()
    }
}

async fn transact(
    connection: &mut AsyncSmtpConnection,
    mail: &Mail,
    step: &mut Step,
) -> Result<Response, Error> {
    *step = Step::Sender;
    connection.command(MailFrom::new(Some(mail.from.clone()), Vec::new())).await?;
    *step = Step::Recipient;
    connection.command(Rcpt::new(mail.to.clone(), Vec::new())).await?;
    *step = Step::Data;
    connection.command(Data).await?;
    *step = Step::Content;
    connection.message(&mail.bytes).await
}
