//! Serving a listener until the daemon drains.

use std::convert::Infallible;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use futures_util::stream::{Stream, unfold};
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tonic::transport::Server;
use tonic::transport::server::Router;
use tonic_health::ServingStatus;
use tower::layer::util::{Identity as NoLayer, Stack};
use vouchsafe_proto::v1::{self, FILE_DESCRIPTOR_SET};

use super::gate::GateLayer;
use super::io::Io;
use super::listen::{Listener, Socket};
use super::{Door, IMPORT_BYTES_MAX, REQUEST_BYTES_MAX};
use crate::broker::Broker;

/// Connections of one listener at once; the next one waits for its turn.
const CONNECTIONS_MAX: usize = 256;
/// Calls of one connection at once, streams included.
const CALLS_MAX: u32 = 64;
/// How long a call may take until its answer begins.
const CALL_TIMEOUT: Duration = Duration::from_secs(60);
/// How often a silent client is pinged, and how long it may take to answer.
const PING_EVERY: Duration = Duration::from_secs(30);
const PING_TIMEOUT: Duration = Duration::from_secs(20);
/// The most bytes of headers in one request.
const HEADER_BYTES_MAX: u32 = 16 * 1024;
/// How long to wait before accepting again when the system has no more to give.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// A listener that could not be served, or could not be served any longer.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The certificate or its key.
    #[error("the certificate and the key of grpc.tls_cert and grpc.tls_key cannot be used")]
    Tls(#[source] tonic::transport::Error),
    /// The server.
    #[error("the gRPC server has failed")]
    Server(#[source] tonic::transport::Error),
    /// The reflection service, which is built from what we were built from.
    #[error("the gRPC contract cannot be reflected")]
    Reflection(#[source] tonic_reflection::server::Error),
}

/// Serves every service on a listener until `drain` is cancelled and the calls under way are
/// answered. The caller decides how long that may take.
pub async fn serve(
    broker: Broker,
    listener: Listener,
    drain: CancellationToken,
) -> Result<(), ServeError> {
    match listener.0 {
        Socket::Unix(listener) => {
            let (router, stop) = router(Server::builder(), broker, drain)?;
            let incoming = incoming(listener);
            router.serve_with_incoming_shutdown(incoming, stop).await.map_err(ServeError::Server)
        }
        Socket::Tcp { listener, tls, .. } => {
            let server = Server::builder().tls_config(*tls).map_err(ServeError::Tls)?;
            let (router, stop) = router(server, broker, drain)?;
            let incoming = incoming(listener);
            router.serve_with_incoming_shutdown(incoming, stop).await.map_err(ServeError::Server)
        }
    }
}

/// All services behind the gate, and what tells them to stop.
fn router(
    server: Server,
    broker: Broker,
    drain: CancellationToken,
) -> Result<(Router<Stack<GateLayer, NoLayer>>, impl Future<Output = ()>), ServeError> {
    let (mut reporter, health) = tonic_health::server::health_reporter();
    let reflection = tonic_reflection::server::Builder::configure()
        .register_encoded_file_descriptor_set(FILE_DESCRIPTOR_SET)
        .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
        .build_v1()
        .map_err(ServeError::Reflection)?;
    let stop = async move {
        drain.cancelled().await;
        // Whoever watches is told, and then let go: a watch would hold the drain up.
        reporter.set_service_status("", ServingStatus::NotServing).await;
        reporter.clear_service_status("").await;
    };
    let gate = GateLayer::new(broker.clone());
    let door = Arc::new(Door::new(broker));
    macro_rules! service {
        ($module:ident :: $server:ident) => {
            service!($module::$server, REQUEST_BYTES_MAX)
        };
        ($module:ident :: $server:ident, $bytes_max:expr) => {
            v1::$module::$server::from_arc(Arc::clone(&door)).max_decoding_message_size($bytes_max)
        };
    }
    let router = limits(server)
        .layer(gate)
        .add_service(health)
        .add_service(reflection)
        .add_service(service!(approvals_server::ApprovalsServer))
        .add_service(service!(audit_server::AuditServer))
        .add_service(service!(emergency_server::EmergencyServer))
        .add_service(service!(keys_server::KeysServer))
        .add_service(service!(leases_server::LeasesServer))
        .add_service(service!(notify_server::NotifyServer))
        .add_service(service!(policy_server::PolicyServer))
        .add_service(service!(projects_server::ProjectsServer))
        .add_service(service!(secrets_server::SecretsServer, IMPORT_BYTES_MAX))
        .add_service(service!(status_server::StatusServer))
        .add_service(service!(users_server::UsersServer));
    Ok((router, stop))
}

fn limits(server: Server) -> Server {
    server
        .timeout(CALL_TIMEOUT)
        .max_concurrent_streams(CALLS_MAX)
        .http2_keepalive_interval(Some(PING_EVERY))
        .http2_keepalive_timeout(Some(PING_TIMEOUT))
        .http2_max_header_list_size(HEADER_BYTES_MAX)
}

/// A listener of either kind.
trait Accept: Send + 'static {
    type Stream: Send + 'static;

    /// The next connection; none where the one that came may not come in.
    fn accept(&self) -> impl Future<Output = io::Result<Option<Self::Stream>>> + Send;
}

impl Accept for UnixListener {
    type Stream = UnixStream;

    /// The home is closed to others already; this holds where somebody opened it.
    async fn accept(&self) -> io::Result<Option<UnixStream>> {
        let (stream, _) = Self::accept(self).await?;
        let peer = stream.peer_cred()?.uid();
        if peer == 0 || peer == rustix::process::geteuid().as_raw() {
            return Ok(Some(stream));
        }
        tracing::warn!(uid = peer, "another user came to grpc.sock and was turned away");
        Ok(None)
    }
}

impl Accept for TcpListener {
    type Stream = TcpStream;

    async fn accept(&self) -> io::Result<Option<TcpStream>> {
        let (stream, _) = Self::accept(self).await?;
        stream.set_nodelay(true)?;
        Ok(Some(stream))
    }
}

/// Connections as they come, [`CONNECTIONS_MAX`] of them at once.
fn incoming<L: Accept>(listener: L) -> impl Stream<Item = Result<Io<L::Stream>, Infallible>> {
    let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    unfold((listener, places), |(listener, places)| async {
        // The semaphore is never closed.
        let place = Arc::clone(&places).acquire_owned().await.ok()?;
        loop {
            match listener.accept().await {
                Ok(Some(stream)) => return Some((Ok(Io::new(stream, place)), (listener, places))),
                Ok(None) => {}
                Err(error) => {
                    tracing::warn!(%error, "cannot accept a gRPC connection");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    })
}
