//! One connection to the daemon: the preamble, and then lines both ways.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::io::AsyncWriteExt as _;
use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::time;
use zeroize::Zeroizing;

use super::KeySource;
use super::lines::{Line, LineReader};
use super::message::Trouble;
use crate::connect;
use crate::environment;
use crate::home::{self, Home};
use crate::text::safe_line;

const GREETING: &str = "VOUCHSAFE/1 ";
const GREETING_TIMEOUT: Duration = Duration::from_secs(5);

/// A daemon that has let us in.
#[derive(Debug)]
pub(crate) struct Link {
    pub(crate) from: LineReader<OwnedReadHalf>,
    /// None once we have said that nothing more will come.
    pub(crate) to: Option<OwnedWriteHalf>,
}

/// Why there is no link.
#[derive(Debug)]
pub(crate) enum JoinFault {
    /// To be tried again.
    Unreachable(Trouble),
    /// Not to be tried again.
    Refused(Trouble),
}

#[derive(Serialize)]
struct Preamble<'a> {
    key: &'a str,
    host: &'a str,
    os_user: &'a str,
}

#[derive(Deserialize)]
struct Greeting {
    ok: bool,
    #[serde(default)]
    error: String,
    #[serde(default)]
    next: String,
}

/// Connects and signs in. The key is read anew each time: it may have been regenerated.
pub(crate) async fn join(home: Home, source: KeySource) -> Result<Link, JoinFault> {
    let key = source.read().map_err(|error| {
        JoinFault::Refused(Trouble {
            message: error.message,
            next: error.next.unwrap_or_else(|| {
                "make a key with `vouchsafe keys create NAME --save`".to_owned()
            }),
        })
    })?;
    let socket = home.mcp_socket();
    let stream = UnixStream::connect(&socket).await.map_err(|error| {
        let error = connect::no_daemon(&socket, &error);
        unreachable(error.message, error.next.unwrap_or_default())
    })?;
    match time::timeout(GREETING_TIMEOUT, greet(stream, &key)).await {
        Ok(result) => result,
        Err(_) => Err(foreign(&home)),
    }
    .map_err(|fault| match fault {
        JoinFault::Unreachable(trouble) if trouble.message.is_empty() => foreign(&home),
        fault @ (JoinFault::Unreachable(_) | JoinFault::Refused(_)) => fault,
    })
}

async fn greet(stream: UnixStream, key: &str) -> Result<Link, JoinFault> {
    let broken = || unreachable(String::new(), String::new());
    let (from, mut to) = stream.into_split();
    let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
    let os_user = environment::login()
        .unwrap_or_else(|| format!("uid {}", rustix::process::getuid().as_raw()));
    let preamble = Preamble { key, host: &host, os_user: &os_user };
    let preamble = Zeroizing::new(serde_json::to_string(&preamble).map_err(|_| broken())?);
    let line = Zeroizing::new(format!("{GREETING}{}\n", preamble.as_str()));
    to.write_all(line.as_bytes()).await.map_err(|_| broken())?;
    let mut from = LineReader::new(from);
    let Ok(Line::Text(answer)) = from.next().await else {
        return Err(broken());
    };
    let greeting: Greeting = answer
        .strip_prefix(GREETING)
        .and_then(|json| serde_json::from_str(json).ok())
        .ok_or_else(broken)?;
    if greeting.ok {
        return Ok(Link { from, to: Some(to) });
    }
    Err(JoinFault::Refused(Trouble {
        message: safe_line(&greeting.error),
        next: safe_line(&greeting.next),
    }))
}

fn foreign(home: &Home) -> JoinFault {
    let socket = home::display(&home.mcp_socket());
    unreachable(
        format!("what answers at {socket} does not greet as a daemon does"),
        "see what is wrong with `vouchsafe doctor`".to_owned(),
    )
}

fn unreachable(message: String, next: String) -> JoinFault {
    JoinFault::Unreachable(Trouble { message, next })
}
