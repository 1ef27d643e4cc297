//! The listeners: all bound before any is served.

use std::net::SocketAddr;
use std::sync::Arc;

use futures_util::FutureExt as _;
use tokio::net::{TcpListener, UnixListener};

use super::error::StartError;
use super::slack;
use crate::broker::Broker;
use crate::config::Config;
use crate::home::Home;
use crate::notify::Channels;
use crate::tasks::Tasks;
use crate::telemetry::Metrics;
use crate::web::{Limits, Names, Proxies, Ready, Web};
use crate::{grpc, mcp, web};

/// Connections of the bridge's socket at once.
const STDIO_CONNECTIONS_MAX: usize = 256;

/// Every listener, bound.
#[derive(Debug)]
pub(super) struct Doors {
    grpc_socket: grpc::Listener,
    grpc_tcp: Option<grpc::Listener>,
    mcp_socket: UnixListener,
    http: TcpListener,
    http_addr: SocketAddr,
    http_connections_max: usize,
    names: Names,
    proxies: Proxies,
}

impl Doors {
    pub(super) async fn bind(config: &Config, home: &Home) -> Result<Self, StartError> {
        let failed = |what: String| move |source| StartError::Listen { what, source };
        let listen = config.http.listen;
        let http_failed = || failed(format!("{listen} (http.listen)"));
        let http = TcpListener::bind(listen).await.map_err(http_failed())?;
        let http_addr = http.local_addr().map_err(http_failed())?;
        let mut hosts = config.http.allowed_hosts.clone();
        hosts.extend(config.http.public_url.as_ref().map(|url| url.authority().to_owned()));
        let names = Names::new(&hosts, &config.http.allowed_origins, Some(http_addr))?;
        let grpc_tcp = match &config.grpc.tcp {
            None => None,
            Some(tcp) => {
                let tls = grpc::Tls { cert: tcp.tls_cert.clone(), key: tcp.tls_key.clone() };
                Some(grpc::Listener::tcp(tcp.listen, &tls).await?)
            }
        };
        let path = home.mcp_socket();
        let mcp_socket = mcp::bind(&path).map_err(failed(path.display().to_string()))?;
        let grpc_socket = grpc::Listener::unix(&home.grpc_socket())?;
        let http_connections_max = config.http.max_connections;
        let proxies = Proxies::new(config.http.trusted_proxies.clone());
        Ok(Self {
            grpc_socket,
            grpc_tcp,
            mcp_socket,
            http,
            http_addr,
            http_connections_max,
            names,
            proxies,
        })
    }

    pub(super) const fn http_addr(&self) -> SocketAddr {
        self.http_addr
    }

    pub(super) fn grpc_addr(&self) -> Option<SocketAddr> {
        self.grpc_tcp.as_ref().and_then(grpc::Listener::addr)
    }

    /// Serves them all, each a vital task.
    pub(super) fn open(
        self,
        broker: &Broker,
        metrics: &Metrics,
        channels: &Channels,
        tasks: &Tasks,
    ) {
        let stop = tasks.stopping();
        let served = grpc::serve(broker.clone(), self.grpc_socket, stop.clone());
        tasks.spawn_vital("grpc.sock", served);
        if let Some(listener) = self.grpc_tcp {
            tasks.spawn_vital("grpc", grpc::serve(broker.clone(), listener, stop));
        }
        let (socket, most) = (self.mcp_socket, STDIO_CONNECTIONS_MAX);
        let served = mcp::serve(socket, broker.clone(), metrics.clone(), most, tasks.clone());
        tasks.spawn_vital_loop("mcp.sock", served);

        let (hosts, origins) = (self.names.hosts(), self.names.origins());
        let service = mcp::http(broker.clone(), metrics.clone(), hosts, origins);
        let web = Web {
            gatekeeper: Arc::new(broker.clone()),
            names: self.names,
            proxies: self.proxies,
            ready: ready(broker),
            metrics: metrics.clone(),
        };
        let limits = Limits { connections: self.http_connections_max, ..Limits::default() };
        let served = web::serve(
            "http",
            self.http,
            web.router(service, web::people(broker, slack::of(channels.slack(), tasks))),
            limits,
            tasks.clone(),
        );
        tasks.spawn_vital_loop("http", served);
    }
}

/// Ready until the daemon drains: what else it needs, it stops without.
fn ready(broker: &Broker) -> Ready {
    let draining = broker.draining();
    Arc::new(move || {
        let stopping = draining.is_cancelled();
        async move { if stopping { Err("the daemon is stopping".to_owned()) } else { Ok(()) } }
            .boxed()
    })
}
