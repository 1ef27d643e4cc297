//! Where the door stands: a Unix socket, a TCP address with TLS.

use std::fs::{self, Permissions};
use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::net::{TcpListener, UnixListener};
use tonic::transport::{Identity, Server, ServerTlsConfig};
use zeroize::Zeroizing;

/// How long the TLS handshake may take.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);

/// A socket that is bound and not served yet.
#[derive(Debug)]
pub struct Listener(pub(super) Socket);

#[derive(Debug)]
pub(super) enum Socket {
    Unix(UnixListener),
    Tcp { listener: TcpListener, addr: SocketAddr, tls: Box<ServerTlsConfig> },
}

/// Where the certificate and its key are, as PEM files.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Tls {
    /// The certificate and those that lead to it.
    pub cert: PathBuf,
    /// Its private key.
    pub key: PathBuf,
}

/// A socket that cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum ListenError {
    /// The Unix socket.
    #[error("cannot listen on {}", .path.display())]
    Unix {
        /// Where.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// The TCP address.
    #[error("cannot listen on {addr} (grpc.listen)")]
    Tcp {
        /// Where.
        addr: SocketAddr,
        /// Why not.
        source: io::Error,
    },
    /// A PEM file.
    #[error("cannot read {} ({field})", .path.display())]
    Pem {
        /// The field that names it.
        field: &'static str,
        /// Which.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// A certificate and a key that make no pair, or are none.
    #[error("the certificate of grpc.tls_cert and the key of grpc.tls_key cannot be used")]
    Tls(#[source] tonic::transport::Error),
    /// A key that anybody can read.
    #[error("anybody can read {path} (grpc.tls_key): run `chmod o-rwx {path}`", path = .path.display())]
    Exposed {
        /// Which.
        path: PathBuf,
    },
}

impl Listener {
    /// Binds the socket of a home, for its user alone. Nothing may be at `path` any more.
    pub fn unix(path: &Path) -> Result<Self, ListenError> {
        let bind = || {
            let listener = UnixListener::bind(path)?;
            fs::set_permissions(path, Permissions::from_mode(0o600))?;
            Ok(listener)
        };
        let failed = |source| ListenError::Unix { path: path.to_owned(), source };
        bind().map(|listener| Self(Socket::Unix(listener))).map_err(failed)
    }

    /// Binds a TCP address, where TLS is spoken and nothing else.
    pub async fn tcp(addr: SocketAddr, tls: &Tls) -> Result<Self, ListenError> {
        let tls = Box::new(server_tls(tls)?);
        let failed = |source| ListenError::Tcp { addr, source };
        let listener = TcpListener::bind(addr).await.map_err(failed)?;
        let addr = listener.local_addr().map_err(failed)?;
        Ok(Self(Socket::Tcp { listener, addr, tls }))
    }

    /// The TCP address it is bound to.
    pub const fn addr(&self) -> Option<SocketAddr> {
        match self.0 {
            Socket::Unix(_) => None,
            Socket::Tcp { addr, .. } => Some(addr),
        }
    }
}

/// What is wrong with the certificate is found here, and not at the first connection.
fn server_tls(tls: &Tls) -> Result<ServerTlsConfig, ListenError> {
    let read = |field, path: &PathBuf| {
        fs::read(path).map_err(|source| ListenError::Pem { field, path: path.clone(), source })
    };
    let cert = read("grpc.tls_cert", &tls.cert)?;
    let key = Zeroizing::new(read("grpc.tls_key", &tls.key)?);
    let exposed = |meta: fs::Metadata| meta.permissions().mode() & 0o007 != 0;
    if fs::metadata(&tls.key).is_ok_and(exposed) {
        return Err(ListenError::Exposed { path: tls.key.clone() });
    }
    let config =
        ServerTlsConfig::new().identity(Identity::from_pem(cert, key)).timeout(HANDSHAKE_TIMEOUT);
    Server::builder().tls_config(config.clone()).map_err(ListenError::Tls)?;
    Ok(config)
}
