//! MCP over Streamable HTTP, for the web door to put behind its checks.

use std::sync::Arc;

use rmcp::transport::streamable_http_server::session::never::NeverSessionManager;
use rmcp::transport::streamable_http_server::{StreamableHttpServerConfig, StreamableHttpService};

use super::{Door, MESSAGE_BYTES_MAX, Outlet};
use crate::broker::Broker;
use crate::telemetry::Metrics;

/// The MCP service: no sessions, so that a restart breaks no client and nobody takes over
/// another's; server-sent events, so that a call which waits can say so.
pub type HttpService = StreamableHttpService<Outlet, NeverSessionManager>;

/// Makes the MCP service. It finds the agent among the request's extensions; `hosts` and `origins`
/// are checked here a second time.
pub fn http(
    broker: Broker,
    metrics: Metrics,
    hosts: Vec<String>,
    origins: Vec<String>,
) -> HttpService {
    let outlet = Outlet::of(Door::http(broker, metrics));
    let config = StreamableHttpServerConfig::default()
        .with_legacy_session_mode(false)
        .with_json_response(false)
        .with_max_request_body_bytes(MESSAGE_BYTES_MAX)
        .with_allowed_hosts(hosts)
        .with_allowed_origins(origins)
        .enforce_origin_validation();
    StreamableHttpService::new(
        move || Ok(outlet.clone()),
        Arc::new(NeverSessionManager::default()),
        config,
    )
}
