//! Request bodies, within a size and a time.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::Request;
use axum::http::StatusCode;
use axum::http::header::CONTENT_LENGTH;
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use http_body_util::Limited;
use hyper::body::{Body as HttpBody, Frame, SizeHint};
use tokio::time::Sleep;

use super::BODY_BYTES_MAX;

/// How long a body may take from its first byte asked for to its last.
const BODY_TIME_MAX: Duration = Duration::from_secs(30);

type Failure = Box<dyn std::error::Error + Send + Sync>;

/// A body that fails when it takes too long, however steadily it drips.
struct Timed<B> {
    body: B,
    left: Pin<Box<Sleep>>,
}

#[derive(Debug, thiserror::Error)]
#[error("the body took over 30 seconds")]
struct TooSlow;

/// Middleware: puts the limits around the request's body.
pub(super) async fn within_time(request: Request, next: Next) -> Response {
    let announced = request
        .headers()
        .get(CONTENT_LENGTH)
        .and_then(|length| length.to_str().ok()?.parse::<u64>().ok())
        .and_then(|length| usize::try_from(length).ok());
    if announced.is_some_and(|length| length > BODY_BYTES_MAX) {
        return (StatusCode::PAYLOAD_TOO_LARGE, "a request has 1 MiB at most\n").into_response();
    }
    next.run(request.map(|body| limited(body, BODY_TIME_MAX))).await
}

fn limited(body: Body, time: Duration) -> Body {
    // One byte more than the service behind allows, so that it is the one to say 413.
    let body = Limited::new(body, BODY_BYTES_MAX + 1);
    Body::new(Timed { body, left: Box::pin(tokio::time::sleep(time)) })
}

impl<B> HttpBody for Timed<B>
where
    B: HttpBody<Data = Bytes, Error = Failure> + Unpin,
{
    type Data = Bytes;
    type Error = Failure;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Failure>>> {
        if self.left.as_mut().poll(cx).is_ready() {
            return Poll::Ready(Some(Err(Box::new(TooSlow))));
        }
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use futures_util::stream;
    use http_body_util::BodyExt as _;

    use super::*;

    #[tokio::test]
    async fn a_body_that_never_ends_is_cut_off() {
        let body = Body::from_stream(stream::pending::<Result<Bytes, std::io::Error>>());
        let read = limited(body, Duration::from_millis(20)).collect().await;
        assert!(read.unwrap_err().to_string().contains("30 seconds"));
    }

    #[tokio::test]
    async fn a_body_over_the_limit_is_cut_off() {
        let body = Body::from(vec![b'a'; BODY_BYTES_MAX + 2]);
        assert!(limited(body, Duration::from_secs(5)).collect().await.is_err());
    }
}
