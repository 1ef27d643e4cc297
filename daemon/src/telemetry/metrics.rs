//! The numbers, in the Prometheus text format. Labels come from fixed sets, never from a caller.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use prometheus_client::encoding::{EncodeLabelSet, text};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::{Family, MetricConstructor};
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};

/// Seconds: from a write that met no other one to one that waited for a bad disk.
const SECONDS: [f64; 12] =
    [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0];

/// All that is counted. Clones count together.
#[derive(Clone)]
pub struct Metrics(Arc<Counted>);

/// One call that waits, counted while this lives.
#[derive(Debug)]
pub struct Waiting(Gauge);

struct Counted {
    registry: Registry,
    calls: Family<CallLabels, Counter>,
    requests: Family<RequestLabels, Counter>,
    transactions: Family<TransactionLabels, Histogram, Buckets>,
    waiting: Gauge,
    settled: Family<SettledLabels, Counter>,
    leases: Counter,
    refusals: Family<RefusalLabels, Counter>,
    deliveries: Family<DeliveryLabels, Counter>,
    queued: Family<ChannelLabels, Gauge>,
    unreached: Counter,
}

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct CallLabels {
    tool: &'static str,
    outcome: &'static str,
}

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct RequestLabels {
    route: &'static str,
    status: u16,
}

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct TransactionLabels {
    name: &'static str,
    outcome: &'static str,
}

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct SettledLabels {
    status: &'static str,
}

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct RefusalLabels {
    door: &'static str,
    code: &'static str,
}

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct DeliveryLabels {
    channel: String,
    outcome: &'static str,
}

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct ChannelLabels {
    channel: String,
}

#[derive(Clone, Copy, Debug)]
struct Buckets;

impl Metrics {
    /// Everything at nought.
    pub fn new() -> Self {
        let mut counted = Counted {
            registry: Registry::with_prefix("vouchsafe"),
            calls: Family::default(),
            requests: Family::default(),
            transactions: Family::new_with_constructor(Buckets),
            waiting: Gauge::default(),
            settled: Family::default(),
            leases: Counter::default(),
            refusals: Family::default(),
            deliveries: Family::default(),
            queued: Family::default(),
            unreached: Counter::default(),
        };
        counted.register();
        Self(Arc::new(counted))
    }

    /// A tool was called, with this outcome: a result's status, or `error`.
    pub fn called(&self, tool: &'static str, outcome: &'static str) {
        self.0.calls.get_or_create(&CallLabels { tool, outcome }).inc();
    }

    /// An HTTP request was answered.
    pub fn requested(&self, route: &'static str, status: u16) {
        self.0.requests.get_or_create(&RequestLabels { route, status }).inc();
    }

    /// A transaction of the store has ended.
    pub fn transaction(&self, name: &'static str, took: Duration, outcome: &'static str) {
        let labels = TransactionLabels { name, outcome };
        self.0.transactions.get_or_create(&labels).observe(took.as_secs_f64());
    }

    /// A call begins to wait for people.
    pub fn waits(&self) -> Waiting {
        let gauge = self.0.waiting.clone();
        gauge.inc();
        Waiting(gauge)
    }

    /// An approval was settled.
    pub fn settled(&self, status: &'static str) {
        self.0.settled.get_or_create(&SettledLabels { status }).inc();
    }

    /// So many leases were issued.
    pub fn leased(&self, leases: u64) {
        self.0.leases.inc_by(leases);
    }

    /// Somebody was turned away at a door.
    pub fn refused(&self, door: &'static str, code: &'static str) {
        self.0.refusals.get_or_create(&RefusalLabels { door, code }).inc();
    }

    /// A message was tried over a channel, with this outcome.
    pub fn delivered(&self, channel: &str, outcome: &'static str) {
        let labels = DeliveryLabels { channel: channel.to_owned(), outcome };
        self.0.deliveries.get_or_create(&labels).inc();
    }

    /// So many messages wait in a channel.
    pub fn queued(&self, channel: &str, messages: u64) {
        let labels = ChannelLabels { channel: channel.to_owned() };
        let messages = i64::try_from(messages).unwrap_or(i64::MAX);
        self.0.queued.get_or_create(&labels).set(messages);
    }

    /// An approval expired that nobody was told of.
    pub fn unreached(&self) {
        self.0.unreached.inc();
    }

    /// All of it, as Prometheus reads it.
    pub fn render(&self) -> String {
        let mut page = String::new();
        match text::encode(&mut page, &self.0.registry) {
            Ok(()) => page,
            Err(fmt::Error) => String::new(),
        }
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Metrics(..)")
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.0.dec();
    }
}

impl Counted {
    fn register(&mut self) {
        let registry = &mut self.registry;
        registry.register("mcp_calls", "Calls of tools, by outcome", self.calls.clone());
        registry.register("http_requests", "HTTP requests answered", self.requests.clone());
        registry.register_with_unit(
            "transaction_duration",
            "How long transactions of the store took",
            Unit::Seconds,
            self.transactions.clone(),
        );
        registry.register("calls_waiting", "Calls that wait for people", self.waiting.clone());
        registry.register("approvals_settled", "Approvals settled", self.settled.clone());
        registry.register("leases_issued", "Leases issued", self.leases.clone());
        registry.register("door_refusals", "Callers turned away", self.refusals.clone());
        registry.register("deliveries", "Messages tried, by outcome", self.deliveries.clone());
        registry.register("messages_queued", "Messages that wait", self.queued.clone());
        registry.register(
            "approvals_unreached",
            "Approvals that expired and that nobody was told of",
            self.unreached.clone(),
        );
    }
}

impl MetricConstructor<Histogram> for Buckets {
    fn new_metric(&self) -> Histogram {
        Histogram::new(SECONDS)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_counted_is_on_the_page() {
        let metrics = Metrics::new();
        metrics.called("read_secret", "pending");
        metrics.requested("/mcp", 401);
        metrics.transaction("vote", Duration::from_millis(3), "done");
        metrics.settled("denied");
        metrics.leased(2);
        metrics.refused("http", "UNAUTHENTICATED");
        metrics.delivered("slack:ops", "sent");
        metrics.queued("slack:ops", 3);
        metrics.unreached();
        let waiting = metrics.waits();
        let page = metrics.render();
        for line in [
            "vouchsafe_mcp_calls_total{tool=\"read_secret\",outcome=\"pending\"} 1",
            "vouchsafe_http_requests_total{route=\"/mcp\",status=\"401\"} 1",
            "vouchsafe_transaction_duration_seconds_bucket{le=\"0.005\",name=\"vote\",outcome=\"done\"} 1",
            "vouchsafe_approvals_settled_total{status=\"denied\"} 1",
            "vouchsafe_leases_issued_total 2",
            "vouchsafe_door_refusals_total{door=\"http\",code=\"UNAUTHENTICATED\"} 1",
            "vouchsafe_calls_waiting 1",
            "vouchsafe_deliveries_total{channel=\"slack:ops\",outcome=\"sent\"} 1",
            "vouchsafe_messages_queued{channel=\"slack:ops\"} 3",
            "vouchsafe_approvals_unreached_total 1",
        ] {
            assert!(page.contains(line), "{line} in {page}");
        }
        drop(waiting);
        assert!(metrics.render().contains("vouchsafe_calls_waiting 0"));
    }
}
