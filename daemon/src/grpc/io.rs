//! A connection that counts, and that does not outlive its silence.

use std::future::Future as _;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Instant, Sleep, sleep};
use tonic::transport::server::Connected;

/// How long a new connection may take to say anything.
const FIRST_BYTE: Duration = Duration::from_secs(10);
/// How long a connection may be silent. A living HTTP/2 client answers our pings well within it.
const IDLE: Duration = Duration::from_secs(75);

/// A stream with a permit and a limit to its silence.
#[derive(Debug)]
pub(super) struct Io<S> {
    stream: S,
    silence: Pin<Box<Sleep>>,
    idle: Duration,
    _permit: OwnedSemaphorePermit,
}

impl<S> Io<S> {
    pub(super) fn new(stream: S, permit: OwnedSemaphorePermit) -> Self {
        Self { stream, silence: Box::pin(sleep(FIRST_BYTE)), idle: IDLE, _permit: permit }
    }
}

impl<S> Connected for Io<S> {
    type ConnectInfo = ();

    fn connect_info(&self) {}
}

impl<S: AsyncRead + Unpin> AsyncRead for Io<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(cx, buf);
        if buf.filled().len() > before {
            let next = Instant::now() + self.idle;
            self.silence.as_mut().reset(next);
        } else if read.is_pending() && self.silence.as_mut().poll(cx).is_ready() {
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        read
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Io<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::sync::Semaphore;

    use super::*;

    #[tokio::test]
    async fn a_connection_that_says_nothing_is_closed_and_gives_its_permit_back() {
        let permits = Arc::new(Semaphore::new(1));
        let (mut client, server) = tokio::io::duplex(64);
        let permit = Arc::clone(&permits).try_acquire_owned().unwrap();
        let mut io = Io { idle: Duration::from_millis(1), ..Io::new(server, permit) };

        client.write_all(b"a").await.unwrap();
        assert_eq!(io.read_u8().await.unwrap(), b'a');
        assert_eq!(io.read_u8().await.unwrap_err().kind(), io::ErrorKind::TimedOut);

        assert_eq!(permits.available_permits(), 0);
        drop(io);
        assert_eq!(permits.available_permits(), 1);
    }
}
