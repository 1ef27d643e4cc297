//! One HTTP connection: how long it may be idle, how much it may send before it says something, and
//! how it ends.

use std::convert::Infallible;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::http::Request;
use hyper::body::{Body as HttpBody, Frame, Incoming, SizeHint};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt as _;

use crate::tasks::{Listen, Peer, Tasks, each_connection};

/// How long a connection that is told to end may take to say goodbye.
const GOODBYE: Duration = Duration::from_secs(1);
const HEADERS_MAX: usize = 64;
const HEADER_BYTES_MAX: u32 = 16 * 1024;
const STREAMS_MAX: u32 = 64;
const RESETS_MAX: usize = 20;
const PING_EVERY: Duration = Duration::from_secs(20);

/// The limits of one listener.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Connections at once.
    pub connections: usize,
    /// Until the headers of a request are complete, and until a new connection's first request.
    /// An idle HTTP/1.1 connection is closed after this too.
    pub headers: Duration,
    /// Between two requests of an HTTP/2 connection.
    pub idle: Duration,
    /// How long requests may be under way with none beginning, going on or ending; none where
    /// answers may rest for ever.
    pub stalled: Option<Duration>,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 1024,
            headers: Duration::from_secs(5),
            idle: Duration::from_mins(1),
            stalled: Some(Duration::from_mins(2)),
        }
    }
}

/// Serves HTTP/1.1 and HTTP/2 until the tasks are told to stop; then lets each connection finish
/// what it has begun. Each request has its [`Peer`] among its extensions.
pub async fn serve<L: Listen>(
    name: &'static str,
    listener: L,
    app: Router,
    limits: Limits,
    tasks: Tasks,
) {
    let stop = tasks.stopping();
    each_connection(name, listener, limits.connections, tasks.stopping(), |stream, peer, place| {
        let (app, stop) = (app.clone(), stop.clone());
        tasks.spawn(name, async move {
            connection(stream, peer, app, limits, stop).await;
            drop(place);
        });
    })
    .await;
}

async fn connection<I>(stream: I, peer: Peer, app: Router, limits: Limits, stop: CancellationToken)
where
    I: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let activity = Activity::default();
    let quiet = quiet(activity.watch(), limits);
    let service = service_fn(move |request: Request<Incoming>| {
        let under_way = activity.begin();
        let mut request = request.map(Body::new);
        request.extensions_mut().insert(peer);
        let answer = app.clone().oneshot(request);
        async move {
            let response = answer.await?;
            Ok::<_, Infallible>(response.map(|body| Counted { body, under_way }))
        }
    });
    let builder = builder(limits);
    let mut serving = pin!(builder.serve_connection(TokioIo::new(stream), service));
    let ended = {
        let mut quiet = pin!(quiet);
        let mut stopping = false;
        loop {
            tokio::select! {
                ended = serving.as_mut() => break Some(ended),
                () = quiet.as_mut() => break None,
                () = stop.cancelled(), if !stopping => {
                    stopping = true;
                    serving.as_mut().graceful_shutdown();
                }
            }
        }
    };
    // What went wrong is the peer's, or it went away; neither is news, and both may hold its bytes.
    let outcome = if let Some(ended) = ended {
        ended.is_ok()
    } else {
        serving.as_mut().graceful_shutdown();
        tokio::time::timeout(GOODBYE, serving).await.is_ok()
    };
    tracing::trace!(outcome, "a connection has ended");
}

fn builder(limits: Limits) -> Builder<TokioExecutor> {
    let mut builder = Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.headers)
        .max_buf_size(usize::try_from(HEADER_BYTES_MAX).unwrap_or(usize::MAX))
        .max_headers(HEADERS_MAX);
    builder
        .http2()
        .timer(TokioTimer::new())
        .keep_alive_interval(Some(PING_EVERY))
        .keep_alive_timeout(PING_EVERY)
        .max_concurrent_streams(STREAMS_MAX)
        .max_pending_accept_reset_streams(RESETS_MAX)
        .max_header_list_size(HEADER_BYTES_MAX);
    builder
}

/// Ready once the connection has been silent for as long as it may be.
async fn quiet(mut seen: watch::Receiver<Seen>, limits: Limits) {
    let mut idle = limits.headers;
    loop {
        let now = *seen.borrow_and_update();
        if now.begun > 0 {
            idle = limits.idle;
        }
        let patience = if now.begun == now.ended { Some(idle) } else { limits.stalled };
        let changed = match patience {
            Some(patience) => tokio::time::timeout(patience, seen.changed()).await,
            None => Ok(seen.changed().await),
        };
        match changed {
            Ok(Ok(())) => {}
            // The service is gone and with it the connection: that ends by itself.
            Ok(Err(_gone)) => return std::future::pending().await,
            Err(_elapsed) => return,
        }
    }
}

/// Requests of one connection so far.
#[derive(Clone, Copy, Debug, Default)]
struct Seen {
    begun: u64,
    ended: u64,
    /// Pieces of answers: a stream that goes on is not stalled.
    pieces: u64,
}

#[derive(Debug, Default)]
struct Activity(Arc<watch::Sender<Seen>>);

/// One request, from its headers to the last byte of its answer.
struct UnderWay(Arc<watch::Sender<Seen>>);

/// An answer whose end is counted.
struct Counted {
    body: Body,
    under_way: UnderWay,
}

impl Activity {
    fn watch(&self) -> watch::Receiver<Seen> {
        self.0.subscribe()
    }

    fn begin(&self) -> UnderWay {
        self.0.send_modify(|seen| seen.begun += 1);
        UnderWay(Arc::clone(&self.0))
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.0.send_modify(|seen| seen.ended += 1);
    }
}

impl HttpBody for Counted {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let polled = Pin::new(&mut self.body).poll_frame(cx);
        if matches!(polled, Poll::Ready(Some(_))) {
            self.under_way.0.send_modify(|seen| seen.pieces = seen.pieces.wrapping_add(1));
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
