//! Connections as they come in, no more at once than there may be.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;

/// The first pause after the system has no room for a connection; it doubles.
const PAUSE_MIN: Duration = Duration::from_millis(50);
/// The longest pause.
const PAUSE_MAX: Duration = Duration::from_secs(1);

/// Where connections come from.
pub trait Listen: Send + 'static {
    /// A connection.
    type Stream: AsyncRead + AsyncWrite + Unpin + Send + 'static;

    /// The next one.
    fn accept(&self) -> impl Future<Output = io::Result<(Self::Stream, Peer)>> + Send;
}

/// Who is at the other end, as the system knows it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Peer {
    /// An address.
    Tcp(SocketAddr),
    /// A process of this machine.
    Unix {
        /// The user it runs as.
        uid: u32,
    },
}

impl Peer {
    /// The address, where it has one.
    pub fn address(&self) -> Option<String> {
        match self {
            Self::Tcp(address) => Some(address.ip().to_string()),
            Self::Unix { .. } => None,
        }
    }
}

impl Listen for TcpListener {
    type Stream = TcpStream;

    async fn accept(&self) -> io::Result<(TcpStream, Peer)> {
        let (stream, address) = Self::accept(self).await?;
        stream.set_nodelay(true)?;
        Ok((stream, Peer::Tcp(address)))
    }
}

impl Listen for UnixListener {
    type Stream = UnixStream;

    async fn accept(&self) -> io::Result<(UnixStream, Peer)> {
        let (stream, _address) = Self::accept(self).await?;
        let uid = stream.peer_cred()?.uid();
        Ok((stream, Peer::Unix { uid }))
    }
}

/// Hands over each connection, with its place among the `most` that there may be at once: keep the
/// permit as long as the connection. While there are as many, the next ones wait in the kernel.
/// Returns when `stop` is cancelled.
pub async fn each_connection<L, F>(
    name: &'static str,
    listener: L,
    most: usize,
    stop: CancellationToken,
    mut handle: F,
) where
    L: Listen,
    F: FnMut(L::Stream, Peer, OwnedSemaphorePermit) + Send,
{
    let places = Arc::new(Semaphore::new(most));
    let mut pause = Duration::ZERO;
    loop {
        let next = async {
            let place = Arc::clone(&places).acquire_owned().await.map_err(io::Error::other)?;
            let (stream, peer) = listener.accept().await?;
            Ok::<_, io::Error>((stream, peer, place))
        };
        match stop.run_until_cancelled(next).await {
            None => return,
            Some(Ok((stream, peer, place))) => {
                pause = Duration::ZERO;
                handle(stream, peer, place);
            }
            Some(Err(error)) if is_the_peers(&error) => {}
            Some(Err(error)) => {
                if pause.is_zero() {
                    tracing::warn!(listener = name, %error, "no room for a connection");
                }
                // Out of descriptors or memory: the listener stays readable, so without a pause
                // this would spin.
                pause = (pause * 2).clamp(PAUSE_MIN, PAUSE_MAX);
                let pausing = stop.run_until_cancelled(tokio::time::sleep(pause));
                if pausing.await.is_none() {
                    return;
                }
            }
        }
    }
}

/// An error of that one connection, which says nothing about the next.
fn is_the_peers(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionRefused
            | io::ErrorKind::NotConnected
            | io::ErrorKind::InvalidInput
            | io::ErrorKind::Interrupted
    )
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    struct Full(Arc<AtomicUsize>);

    impl Listen for Full {
        type Stream = UnixStream;

        async fn accept(&self) -> io::Result<(UnixStream, Peer)> {
            self.0.fetch_add(1, Ordering::Relaxed);
            Err(io::Error::from_raw_os_error(24))
        }
    }

    #[tokio::test]
    async fn without_room_it_does_not_spin() {
        let tried = Arc::new(AtomicUsize::new(0));
        let stop = CancellationToken::new();
        let full = Full(Arc::clone(&tried));
        let accepting = each_connection("test", full, 4, stop.clone(), |_, _, _| {});
        let limited = tokio::time::timeout(Duration::from_millis(400), accepting).await;
        assert!(limited.is_err());
        assert!(tried.load(Ordering::Relaxed) < 8, "{tried:?}");
    }
}
