//! What no setting can bring back into the log.

use tracing::Metadata;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::{FilterFn, filter_fn};

/// The most that each library may say. rmcp prints requests and results at DEBUG, notifications at
/// INFO and error data at WARN; the HTTP libraries print headers, which carry tokens, at TRACE and
/// DEBUG, and hyper warns of each idle connection it closes.
const CEILINGS: &[(&str, LevelFilter)] = &[
    ("rmcp::service", LevelFilter::ERROR),
    ("rmcp::handler", LevelFilter::ERROR),
    ("rmcp", LevelFilter::WARN),
    ("hyper", LevelFilter::ERROR),
    ("hyper_util", LevelFilter::WARN),
    ("h2", LevelFilter::WARN),
    ("hpack", LevelFilter::WARN),
    ("tonic", LevelFilter::WARN),
    ("tower", LevelFilter::WARN),
    ("axum", LevelFilter::WARN),
    ("rustls", LevelFilter::WARN),
    ("reqwest", LevelFilter::WARN),
    ("lettre", LevelFilter::WARN),
];

/// A filter for the whole subscriber: what it stops reaches no layer, so that no directive of the
/// operator's and no layer added later can undo it.
pub(super) fn hard() -> FilterFn {
    filter_fn(may_be_said)
}

fn may_be_said(metadata: &Metadata<'_>) -> bool {
    ceiling(metadata.target()).is_none_or(|most| *metadata.level() <= most)
}

fn ceiling(target: &str) -> Option<LevelFilter> {
    CEILINGS
        .iter()
        .find(|(library, _)| {
            target
                .strip_prefix(library)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
        })
        .map(|(_, most)| *most)
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::{Arc, Mutex};

    use tracing_subscriber::layer::SubscriberExt as _;
    use tracing_subscriber::{EnvFilter, Layer as _, fmt, registry};

    use super::*;

    #[derive(Clone, Default)]
    struct Written(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Written {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn said(directives: &str, events: impl FnOnce()) -> String {
        let written = Written::default();
        let writer = written.clone();
        let subscriber = registry().with(hard()).with(
            fmt::layer()
                .with_writer(move || writer.clone())
                .with_filter(EnvFilter::builder().parse(directives).unwrap()),
        );
        tracing::subscriber::with_default(subscriber, events);
        let bytes = written.0.lock().unwrap().clone();
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn no_directive_brings_payloads_back() {
        let text = said(
            "trace,rmcp=trace,rmcp::service=trace,rmcp::service[request]=trace,hyper=trace,h2=trace",
            || {
                tracing::debug!(target: "rmcp::service", request = "canary", "received request");
                tracing::warn!(target: "rmcp::service", error = "canary", "response error");
                tracing::info!(target: "rmcp::transport::worker", "canary");
                tracing::trace!(target: "hyper::proto::h1::io", "canary");
                tracing::debug!(target: "h2::codec::framed_read", "canary");
                tracing::debug!(target: "tonic::transport", "canary");
                let span =
                    tracing::trace_span!(target: "rmcp::service", "request", value = "canary");
                span.in_scope(|| tracing::info!(target: "vouchsafed", "ours"));
            },
        );
        assert!(!text.contains("canary"), "{text}");
        assert!(text.contains("ours"), "{text}");
    }

    #[test]
    fn what_is_no_payload_is_still_said() {
        let text = said("info", || {
            tracing::warn!(target: "rmcp::transport::streamable_http_server", "first");
            tracing::error!(target: "rmcp::service", "second");
            tracing::debug!(target: "rmcpx", "third");
            tracing::info!(target: "hyperion", "fourth");
        });
        for (word, there) in [("first", true), ("second", true), ("third", false), ("fourth", true)]
        {
            assert_eq!(text.contains(word), there, "{word} in {text}");
        }
    }
}
