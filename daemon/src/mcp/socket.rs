//! The socket that the stdio bridge joins.
//!
//! A connection begins with one line that says who it is, `VOUCHSAFE/1 {"key":..}`, and gets one
//! line back; then it is MCP, a JSON-RPC message a line.

use std::fs::{Permissions, set_permissions};
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::time::Duration;

use rmcp::ServiceExt as _;
use rmcp::transport::async_rw::AsyncRwTransport;
use serde::Deserialize;
use serde_json::json;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{UnixListener, UnixStream};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use vouchsafe_core::caller::{Agent, Claims, Transport};
use vouchsafe_core::text;
use zeroize::Zeroizing;

use super::{CALLS_MAX, CLAIM_CHARS_MAX, Door, MESSAGE_BYTES_MAX, Outlet};
use crate::broker::{Broker, Code, Refused};
use crate::tasks::{Peer, Tasks, each_connection};
use crate::telemetry::Metrics;

const DOOR: &str = "stdio";
const GREETING: &str = "VOUCHSAFE/1 ";
const PREAMBLE_BYTES_MAX: u64 = 4 * 1024;
const PREAMBLE_TIME_MAX: Duration = Duration::from_secs(5);
/// How long the answer to the first line may take to be taken.
const ANSWER_TIME_MAX: Duration = Duration::from_secs(5);
/// How long a client may take to begin MCP.
const FIRST_MESSAGE_TIME_MAX: Duration = Duration::from_mins(1);
/// How long calls may take to end when the daemon stops.
const FAREWELL: Duration = Duration::from_secs(2);

/// Makes the socket, for its owner alone. A socket that an earlier daemon left there has to be
/// gone.
pub fn bind(path: &Path) -> io::Result<UnixListener> {
    let listener = UnixListener::bind(path)?;
    // Its folder lets nobody else in either, so that nobody gets in before this.
    set_permissions(path, Permissions::from_mode(0o600))?;
    Ok(listener)
}

/// Serves the socket until the tasks are told to stop.
pub async fn serve(
    listener: UnixListener,
    broker: Broker,
    metrics: Metrics,
    connections_max: usize,
    tasks: Tasks,
) {
    let stop = tasks.stopping();
    each_connection(DOOR, listener, connections_max, tasks.stopping(), |stream, peer, place| {
        let guest = Guest { broker: broker.clone(), metrics: metrics.clone(), stop: stop.clone() };
        tasks.spawn(DOOR, async move {
            if let Err(error) = guest.receive(stream, peer).await {
                tracing::debug!(kind = ?error.kind(), "a connection of the socket was lost");
            }
            drop(place);
        });
    })
    .await;
}

/// One connection.
struct Guest {
    broker: Broker,
    metrics: Metrics,
    stop: CancellationToken,
}

/// The first line.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Preamble {
    key: String,
    #[serde(default)]
    host: Option<String>,
    #[serde(default)]
    os_user: Option<String>,
}

impl Guest {
    async fn receive(self, stream: UnixStream, peer: Peer) -> io::Result<()> {
        let (reader, mut writer) = stream.into_split();
        let mut reader = BufReader::new(reader);
        match self.let_in(&mut reader, peer).await {
            Ok(agent) => {
                say(&mut writer, &json!({ "ok": true })).await?;
                self.speak(agent, reader, writer).await;
                Ok(())
            }
            Err(refused) => {
                self.metrics.refused(DOOR, refused.code.as_str());
                let answer = json!({ "ok": false, "error": refused.message, "next": refused.next });
                say(&mut writer, &answer).await
            }
        }
    }

    async fn let_in(
        &self,
        reader: &mut BufReader<OwnedReadHalf>,
        peer: Peer,
    ) -> Result<Agent, Refused> {
        let read = async {
            check_peer(peer)?;
            let line = read_line(reader).await?;
            parse(&line)
        };
        let preamble = match read.await {
            Ok(preamble) => preamble,
            Err(refused) => {
                self.broker.refuse_door(DOOR, &refused);
                return Err(refused);
            }
        };
        let shown = |words: Option<String>| words.map(|words| text::echo(&words, CLAIM_CHARS_MAX));
        let claims = Claims {
            client: None,
            transport: Transport::Stdio,
            host: shown(preamble.host),
            os_user: shown(preamble.os_user),
            address: None,
        };
        let key = Zeroizing::new(preamble.key);
        self.broker.authenticate_key(Some(&key), claims, None).await
    }

    /// MCP, until the client hangs up or the daemon stops.
    async fn speak(self, agent: Agent, reader: BufReader<OwnedReadHalf>, writer: OwnedWriteHalf) {
        let door = Door::bound(self.broker, self.metrics, agent);
        let calls = door.bound.as_ref().map(|bound| std::sync::Arc::clone(&bound.calls));
        let transport =
            AsyncRwTransport::new_server(reader, writer).with_max_line_length(MESSAGE_BYTES_MAX);
        let begun = timeout(FIRST_MESSAGE_TIME_MAX, Box::pin(Outlet::of(door).serve(transport)));
        let Some(Ok(Ok(running))) = self.stop.run_until_cancelled(begun).await else { return };
        let end = running.cancellation_token();
        let mut speaking = std::pin::pin!(running.waiting());
        tokio::select! {
            quit = speaking.as_mut() => return drop(quit),
            () = self.stop.cancelled() => {}
        }
        // Calls that wait for people are answered with their handle now; the service is ended
        // after that, since its end cancels them.
        if let (Some(calls), Ok(all)) = (calls, u32::try_from(CALLS_MAX)) {
            drop(timeout(FAREWELL, calls.acquire_many(all)).await);
        }
        end.cancel();
        drop(speaking.await);
    }
}

/// The daemon's own user and root, who can read its files anyway; nobody else.
fn check_peer(peer: Peer) -> Result<(), Refused> {
    let own = rustix::process::geteuid().as_raw();
    match peer {
        Peer::Unix { uid } if uid == own || uid == 0 => Ok(()),
        Peer::Unix { .. } | Peer::Tcp(_) => Err(Refused::new(
            Code::Unauthenticated,
            "this socket serves the user that the daemon runs as",
            "Run the bridge as that user, or use the daemon's HTTP address.",
        )),
    }
}

async fn read_line(reader: &mut BufReader<OwnedReadHalf>) -> Result<Zeroizing<Vec<u8>>, Refused> {
    let mut line = Zeroizing::new(Vec::with_capacity(512));
    let mut limited = reader.take(PREAMBLE_BYTES_MAX);
    match timeout(PREAMBLE_TIME_MAX, limited.read_until(b'\n', &mut line)).await {
        Ok(Ok(_)) => Ok(line),
        Ok(Err(_)) => Err(malformed("the first line could not be read")),
        Err(_elapsed) => Err(malformed("the first line did not come within 5 seconds")),
    }
}

fn parse(line: &[u8]) -> Result<Preamble, Refused> {
    let line = line
        .strip_suffix(b"\n")
        .ok_or_else(|| malformed("the first line does not end within 4 KiB"))?;
    let body = line
        .strip_prefix(GREETING.as_bytes())
        .ok_or_else(|| malformed("the first line does not begin with VOUCHSAFE/1"))?;
    // What is wrong in it is not repeated: it holds a key.
    serde_json::from_slice(body)
        .map_err(|_| malformed("the first line is not the JSON that the bridge sends"))
}

fn malformed(message: &str) -> Refused {
    Refused::invalid(message, "Connect through `vouchsafe mcp` of the daemon's own version.")
}

async fn say(writer: &mut OwnedWriteHalf, answer: &serde_json::Value) -> io::Result<()> {
    let line = format!("{GREETING}{answer}\n");
    timeout(ANSWER_TIME_MAX, writer.write_all(line.as_bytes())).await?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_line_says_who_it_is() {
        let line = b"VOUCHSAFE/1 {\"key\":\"k\",\"host\":\"h\"}\n";
        let preamble = parse(line).ok().unwrap();
        assert_eq!((preamble.key.as_str(), preamble.host.as_deref()), ("k", Some("h")));
        assert_eq!(preamble.os_user, None);
    }

    #[test]
    fn anything_else_is_refused_and_not_repeated() {
        for line in [
            "",
            "\n",
            "VOUCHSAFE/1 {\"key\":\"canary\"}",
            "VOUCHSAFE/2 {\"key\":\"canary\"}\n",
            "VOUCHSAFE/1 {\"key\":\"canary\",\"admin\":true}\n",
            "VOUCHSAFE/1 {\"key\":[\"canary\"]}\n",
            "{\"jsonrpc\":\"2.0\",\"canary\":1}\n",
        ] {
            let refused = parse(line.as_bytes()).err().unwrap();
            assert!(!refused.message.contains("canary"), "{line}");
        }
    }

    #[test]
    fn the_socket_is_its_owners_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("mcp.sock");
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let _listener = runtime.block_on(async { bind(&path) }).unwrap();
        let mode = std::fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }

    #[test]
    fn another_user_is_turned_away() {
        let own = rustix::process::geteuid().as_raw();
        assert!(check_peer(Peer::Unix { uid: own }).is_ok());
        assert!(check_peer(Peer::Unix { uid: 0 }).is_ok());
        assert!(check_peer(Peer::Unix { uid: own + 4_711 }).is_err());
    }
}
