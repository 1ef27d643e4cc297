//! Answers that go on: until the client hangs up, the broker has no more, or the daemon stops.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use futures_util::stream::{Stream, unfold};
use tokio::sync::OwnedSemaphorePermit;
use tonic::Status;

use super::{Door, STREAMS_MAX};
use crate::broker::{
    ApprovalWatch, AuditExport, AuditTail, Code, ExportPart, Refused, StoredEntry, WatchEvent,
};

/// What a streaming method answers with.
pub(super) type Events<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

/// Something of the broker's that tells one thing after another.
pub(super) trait Source: Send + 'static {
    type Item: Send;

    fn next(&mut self) -> impl Future<Output = Option<Result<Self::Item, Refused>>> + Send;
}

macro_rules! source {
    ($name:ty, $item:ty) => {
        impl Source for $name {
            type Item = $item;

            async fn next(&mut self) -> Option<Result<$item, Refused>> {
                <$name>::next(self).await
            }
        }
    };
}

source!(ApprovalWatch, WatchEvent);
source!(AuditTail, StoredEntry);
source!(AuditExport, ExportPart);

impl Door {
    /// Takes one of the places for streams.
    pub(super) fn place(&self) -> Result<OwnedSemaphorePermit, Refused> {
        Arc::clone(&self.streams).try_acquire_owned().map_err(|_| {
            let message = format!("{STREAMS_MAX} watches, tails and exports are open already");
            Refused::new(Code::StoreBusy, message, "Try again in a while.")
        })
    }

    /// Answers with all that the source tells. A stream that ends with the daemon says so: half an
    /// export must not look like a whole one.
    pub(super) fn stream<S: Source, T: Send + 'static>(
        &self,
        place: OwnedSemaphorePermit,
        source: S,
        convert: fn(S::Item) -> T,
    ) -> Events<T> {
        let draining = self.broker.draining();
        let step = move |state: Option<(S, OwnedSemaphorePermit)>| {
            let draining = draining.clone();
            async move {
                let (mut source, place) = state?;
                let item = tokio::select! {
                    biased;
                    () = draining.cancelled() => Some(Err(stopping())),
                    item = source.next() => item,
                };
                match item? {
                    Ok(item) => Some((Ok(convert(item)), Some((source, place)))),
                    Err(refused) => Some((Err(refused.into()), None)),
                }
            }
        };
        Box::pin(unfold(Some((source, place)), step))
    }
}

fn stopping() -> Refused {
    Refused::new(
        Code::ShuttingDown,
        "the daemon is stopping",
        "Try again when it is back; nothing that it answered is lost.",
    )
}
