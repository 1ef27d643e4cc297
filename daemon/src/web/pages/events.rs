//! What is told to a page that stays open: that something has changed, and nothing else. The page
//! then asks for itself anew, as whoever looks at it.

use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::HeaderValue;
use axum::http::header::CONTENT_TYPE;
use axum::response::Response;
use axum::routing::get;
use futures_util::stream::unfold;
use tokio::time::sleep;
use vouchsafe_core::id::UserId;

use super::Pages;
use super::gate::Place;
use super::layout::Answer;
use super::session::{EVENTS, Visitor};
use crate::broker::{ApprovalChanges, Code, Refused};

/// Pages that stay open, of one user and of all.
const USER_STREAMS_MAX: u32 = 10;
const ALL_STREAMS_MAX: u32 = 300;
/// How often something is sent, if only that nothing has changed.
const BEAT: Duration = Duration::from_secs(20);
/// Changes within this time are told of once.
const PAUSE: Duration = Duration::from_millis(250);

const FIRST: &str = "retry: 3000\n\nevent: changed\ndata: now\n\n";
const CHANGED: &str = "event: changed\ndata: now\n\n";
const BEATEN: &str = ": still here\n\n";

/// Who has how many pages open.
#[derive(Debug, Default)]
pub(super) struct Streams(Mutex<HashMap<UserId, u32>>);

/// One open page's place.
#[derive(Debug)]
struct StreamPlace {
    streams: Arc<Streams>,
    user: UserId,
}

struct Open {
    visitor: Visitor,
    changes: ApprovalChanges,
    begun: bool,
    _place: StreamPlace,
}

pub(super) fn routes() -> Router<Pages> {
    Router::new().route(EVENTS, get(events))
}

async fn events(State(pages): State<Pages>, visitor: Visitor) -> Answer {
    let user = visitor.at(Place::Inbox).await?;
    let place = StreamPlace::take(&pages.streams, user.id);
    let place = place.ok_or_else(|| {
        let refused = Refused::new(
            Code::StoreBusy,
            "too many pages are open at once",
            "Close some of them; this one works without looking again by itself.",
        );
        visitor.turned(&refused)
    })?;
    let changes = visitor.broker.watch_changes(&user);
    let open = Open { visitor, changes, begun: false, _place: place };
    let mut response = Response::new(Body::from_stream(unfold(open, step)));
    let kind = HeaderValue::from_static("text/event-stream; charset=utf-8");
    response.headers_mut().insert(CONTENT_TYPE, kind);
    Ok(response)
}

/// What is sent next; nothing once the session or the daemon ends.
async fn step(mut open: Open) -> Option<(Result<Bytes, Infallible>, Open)> {
    if !open.begun {
        open.begun = true;
        return Some((Ok(Bytes::from_static(FIRST.as_bytes())), open));
    }
    let draining = open.visitor.broker.draining();
    let text = tokio::select! {
        change = open.changes.next() => {
            change?.ok()?;
            tokio::select! {
                () = sleep(PAUSE) => CHANGED,
                () = draining.cancelled() => return None,
            }
        }
        () = sleep(BEAT) => BEATEN,
    };
    open.visitor.still_here().await.then_some((Ok(Bytes::from_static(text.as_bytes())), open))
}

impl StreamPlace {
    fn take(streams: &Arc<Streams>, user: UserId) -> Option<Self> {
        let mut open = streams.0.lock().unwrap_or_else(PoisonError::into_inner);
        let all: u32 = open.values().sum();
        let own = open.get(&user).copied().unwrap_or_default();
        if all >= ALL_STREAMS_MAX || own >= USER_STREAMS_MAX {
            return None;
        }
        open.insert(user, own + 1);
        Some(Self { streams: Arc::clone(streams), user })
    }
}

impl Drop for StreamPlace {
    fn drop(&mut self) {
        let mut open = self.streams.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(own) = open.get_mut(&self.user) {
            *own = own.saturating_sub(1);
            if *own == 0 {
                open.remove(&self.user);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_has_too_many_pages_open() {
        let streams = Arc::new(Streams::default());
        let (jane, max) = (UserId::from_random([1; 10]), UserId::from_random([2; 10]));
        let mut places: Vec<_> =
            (0..USER_STREAMS_MAX).filter_map(|_| StreamPlace::take(&streams, jane)).collect();
        assert_eq!(places.len(), 10);
        assert!(StreamPlace::take(&streams, jane).is_none());
        assert!(StreamPlace::take(&streams, max).is_some());
        places.pop();
        assert!(StreamPlace::take(&streams, jane).is_some());
        drop(places);
        assert!(streams.0.lock().unwrap().is_empty());
    }

    #[test]
    fn who_is_turned_away_leaves_nothing_behind() {
        let streams = Arc::new(Streams::default());
        let user = |n| UserId::from_random([n; 10]);
        let users = (0..30_u8).flat_map(|n| [n; 10]);
        let all: Vec<_> = users.filter_map(|n| StreamPlace::take(&streams, user(n))).collect();
        assert_eq!(all.len(), 300);
        assert!(StreamPlace::take(&streams, user(30)).is_none());
        assert_eq!(streams.0.lock().unwrap().len(), 30);
    }
}
