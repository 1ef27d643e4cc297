//! The way to the daemon: its Unix socket in the home folder, or TLS to one elsewhere.

use std::error::Error;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use hyper_util::rt::TokioIo;
use tokio::net::UnixStream;
use tonic::metadata::AsciiMetadataValue;
use tonic::service::Interceptor;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Uri};
use tonic::{Request, Status};
use vouchsafe_proto::v1::approvals_client::ApprovalsClient;
use vouchsafe_proto::v1::audit_client::AuditClient;
use vouchsafe_proto::v1::emergency_client::EmergencyClient;
use vouchsafe_proto::v1::keys_client::KeysClient;
use vouchsafe_proto::v1::leases_client::LeasesClient;
use vouchsafe_proto::v1::notify_client::NotifyClient;
use vouchsafe_proto::v1::policy_client::PolicyClient;
use vouchsafe_proto::v1::projects_client::ProjectsClient;
use vouchsafe_proto::v1::secrets_client::SecretsClient;
use vouchsafe_proto::v1::status_client::StatusClient;
use vouchsafe_proto::v1::users_client::UsersClient;
use zeroize::Zeroizing;

use crate::environment;
use crate::error::{CliError, Exit};
use crate::home::{self, Home};
use crate::text::safe_line;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// For one answer, or the beginning of a stream.
const ANSWER_TIMEOUT: Duration = Duration::from_mins(1);
/// A remote daemon that fell silent is found out after both.
const KEEP_ALIVE_EVERY: Duration = Duration::from_secs(20);
const KEEP_ALIVE_TIMEOUT: Duration = Duration::from_secs(10);
/// A page of 500 entries with room to spare.
const ANSWER_BYTES_MAX: usize = 32 * 1024 * 1024;

/// A channel on which every request carries the user's token.
pub(crate) type Door = InterceptedService<Channel, SignIn>;

/// A daemon that answers.
#[derive(Clone, Debug)]
pub(crate) struct Daemon {
    channel: Channel,
    sign_in: SignIn,
}

/// A daemon that is not the one of the home folder.
#[derive(Clone, Debug)]
pub(crate) struct Remote {
    /// `https://HOST:PORT`.
    pub(crate) url: String,
    /// PEM file with the certificate that signed the daemon's.
    pub(crate) ca: PathBuf,
}

impl Daemon {
    /// Over the socket of this home, as the user of its credentials (or of `VOUCHSAFE_TOKEN`).
    pub(crate) async fn local(home: &Home) -> Result<Self, CliError> {
        let socket = home.grpc_socket();
        if !home.exists() {
            let dir = home::display(home.dir());
            return Err(CliError::new(Exit::Unreachable, format!("there is no home at {dir}"))
                .with_next(
                    "make one with `vouchsafed init`, or try things out with `vouchsafed --dev`",
                ));
        }
        let token = match environment::token() {
            Some(token) => Ok(token),
            None => home.credentials().map(|credentials| credentials.token),
        };
        // Without a daemon no credentials help: that is said first.
        let channel = connect_socket(&socket).await?;
        Ok(Self { channel, sign_in: SignIn::new(&token?)? })
    }

    /// Over TLS, as the user of `VOUCHSAFE_TOKEN`.
    pub(crate) async fn remote(remote: &Remote) -> Result<Self, CliError> {
        let token = environment::token().ok_or_else(|| {
            CliError::new(Exit::Refused, "a daemon elsewhere needs a token of yours").with_next(
                "put it into VOUCHSAFE_TOKEN; `vouchsafe users token NAME` makes one there",
            )
        })?;
        let sign_in = SignIn::new(&token)?;
        let channel = connect_tls(remote).await?;
        Ok(Self { channel, sign_in })
    }

    pub(crate) fn approvals(&self) -> ApprovalsClient<Door> {
        ApprovalsClient::new(self.door()).max_decoding_message_size(ANSWER_BYTES_MAX)
    }

    pub(crate) fn audit(&self) -> AuditClient<Door> {
        AuditClient::new(self.door()).max_decoding_message_size(ANSWER_BYTES_MAX)
    }

    pub(crate) fn emergency(&self) -> EmergencyClient<Door> {
        EmergencyClient::new(self.door()).max_decoding_message_size(ANSWER_BYTES_MAX)
    }

    pub(crate) fn keys(&self) -> KeysClient<Door> {
        KeysClient::new(self.door()).max_decoding_message_size(ANSWER_BYTES_MAX)
    }

    pub(crate) fn leases(&self) -> LeasesClient<Door> {
        LeasesClient::new(self.door()).max_decoding_message_size(ANSWER_BYTES_MAX)
    }

    pub(crate) fn notify(&self) -> NotifyClient<Door> {
        NotifyClient::new(self.door()).max_decoding_message_size(ANSWER_BYTES_MAX)
    }

    pub(crate) fn policy(&self) -> PolicyClient<Door> {
        PolicyClient::new(self.door()).max_decoding_message_size(ANSWER_BYTES_MAX)
    }

    pub(crate) fn projects(&self) -> ProjectsClient<Door> {
        ProjectsClient::new(self.door()).max_decoding_message_size(ANSWER_BYTES_MAX)
    }

    pub(crate) fn secrets(&self) -> SecretsClient<Door> {
        SecretsClient::new(self.door()).max_decoding_message_size(ANSWER_BYTES_MAX)
    }

    pub(crate) fn status(&self) -> StatusClient<Door> {
        StatusClient::new(self.door()).max_decoding_message_size(ANSWER_BYTES_MAX)
    }

    pub(crate) fn users(&self) -> UsersClient<Door> {
        UsersClient::new(self.door()).max_decoding_message_size(ANSWER_BYTES_MAX)
    }

    fn door(&self) -> Door {
        InterceptedService::new(self.channel.clone(), self.sign_in.clone())
    }
}

/// Puts the token on each request.
#[derive(Clone, Debug)]
pub(crate) struct SignIn {
    bearer: AsciiMetadataValue,
}

impl SignIn {
    fn new(token: &str) -> Result<Self, CliError> {
        let line = Zeroizing::new(format!("Bearer {}", token.trim()));
        let mut bearer = AsciiMetadataValue::try_from(line.as_str()).map_err(|_| {
            CliError::new(Exit::Refused, "the token holds characters that no token has")
                .with_next("a user's token starts with vs_user_")
        })?;
        bearer.set_sensitive(true);
        Ok(Self { bearer })
    }
}

impl Interceptor for SignIn {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        request.metadata_mut().insert("authorization", self.bearer.clone());
        Ok(request)
    }
}

/// Nobody answers on a socket of the home folder.
pub(crate) fn no_daemon(socket: &Path, error: &io::Error) -> CliError {
    let at = home::display(socket);
    if error.kind() == io::ErrorKind::PermissionDenied {
        return CliError::new(Exit::Unreachable, format!("this user may not open {at}"))
            .with_next("run as the user that owns the home, or name another one with --home");
    }
    if error.kind() == io::ErrorKind::InvalidInput {
        return CliError::new(Exit::Unreachable, format!("the path {at} is too long for a socket"))
            .with_next("choose a home with a shorter path");
    }
    CliError::new(Exit::Unreachable, format!("no daemon answers at {at}"))
        .with_next("start it with `vouchsafed serve`, or `vouchsafed --dev` to try things out")
}

async fn connect_socket(socket: &Path) -> Result<Channel, CliError> {
    let path = socket.to_owned();
    let connector = tower::service_fn(move |_: Uri| {
        let path = path.clone();
        async move { UnixStream::connect(path).await.map(TokioIo::new) }
    });
    Endpoint::from_static("http://vouchsafe.localhost")
        .connect_timeout(CONNECT_TIMEOUT)
        .timeout(ANSWER_TIMEOUT)
        .connect_with_connector(connector)
        .await
        .map_err(|error| match io_cause(&error) {
            Some(cause) => no_daemon(socket, cause),
            None => no_daemon(socket, &io::Error::from(io::ErrorKind::TimedOut)),
        })
}

async fn connect_tls(remote: &Remote) -> Result<Channel, CliError> {
    let url = safe_line(&remote.url);
    if !remote.url.starts_with("https://") {
        return Err(CliError::usage(format!("`{url}` is not an https:// address"))
            .with_next("write --server https://HOST:PORT"));
    }
    let pem = tokio::fs::read(&remote.ca)
        .await
        .map_err(|error| CliError::io(&format!("reading {}", home::display(&remote.ca)), &error))?;
    let tls = ClientTlsConfig::new().ca_certificate(Certificate::from_pem(pem));
    let endpoint = Endpoint::from_shared(remote.url.clone())
        .and_then(|endpoint| endpoint.tls_config(tls))
        .map_err(|error| {
            let cause = root_cause(&error);
            CliError::usage(format!("`{url}` cannot be used: {cause}"))
                .with_next("write --server https://HOST:PORT, and give --ca a PEM file")
        })?;
    endpoint
        .connect_timeout(CONNECT_TIMEOUT)
        .timeout(ANSWER_TIMEOUT)
        .http2_keep_alive_interval(KEEP_ALIVE_EVERY)
        .keep_alive_timeout(KEEP_ALIVE_TIMEOUT)
        .connect()
        .await
        .map_err(|error| {
            let cause = root_cause(&error);
            CliError::new(Exit::Unreachable, format!("no daemon answers at {url}: {cause}"))
                .with_next("check the address, --ca, and that the daemon listens for gRPC there")
        })
}

fn io_cause<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a io::Error> {
    let mut cause = Some(error);
    while let Some(error) = cause {
        if let Some(found) = error.downcast_ref() {
            return Some(found);
        }
        cause = error.source();
    }
    None
}

fn root_cause(error: &dyn Error) -> String {
    let mut cause = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    safe_line(&cause.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_home_without_a_daemon_says_how_to_start_one() {
        let dir = tempfile::tempdir().unwrap();
        let home = Home::find(Some(dir.path().to_owned())).unwrap();
        let error = Daemon::local(&home).await.unwrap_err();
        assert_eq!(error.exit, Exit::Unreachable);
        assert!(error.message.starts_with("no daemon answers at"), "{}", error.message);
        assert!(error.next.unwrap().contains("vouchsafed serve"));
    }

    #[tokio::test]
    async fn a_remote_daemon_is_never_spoken_to_in_the_clear() {
        let remote = Remote { url: "http://broker:7432".to_owned(), ca: "/none".into() };
        assert_eq!(connect_tls(&remote).await.unwrap_err().exit, Exit::Usage);
    }

    #[test]
    fn a_token_never_shows_in_debug() {
        let sign_in = SignIn::new("vs_user_hunter2").unwrap();
        assert!(!format!("{sign_in:?}").contains("hunter2"));
    }
}
