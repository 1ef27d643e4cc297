//! Somebody who receives webhooks: on loopback, keeping what they are sent, and answering as they
//! are told to.
#![expect(
    clippy::unwrap_used,
    clippy::missing_panics_doc,
    reason = "a receiver that cannot receive is a failed test"
)]

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde_json::Value;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

use crate::events::{beside, eventually};

/// How a request is answered.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub enum Reply {
    /// 204.
    #[default]
    Taken,
    /// This status.
    Status(u16),
    /// This status, and `Retry-After` with this.
    RetryAfter(u16, String),
    /// 307 to this address.
    Redirect(String),
    /// Never.
    Stall,
    /// The connection ends without a word.
    Die,
    /// 200, and the connection ends in the middle of the body.
    DieInBody,
}

/// What was sent.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Received {
    /// The method.
    pub method: String,
    /// The path, with its query.
    pub path: String,
    /// The headers, their names in small letters.
    pub headers: BTreeMap<String, String>,
    /// The body.
    pub body: String,
}

/// Whoever receives; gone with the test.
#[derive(Debug)]
pub struct Receiver {
    address: SocketAddr,
    state: Arc<Mutex<State>>,
    task: JoinHandle<()>,
}

#[derive(Debug, Default)]
struct State {
    seen: Vec<Received>,
    next: VecDeque<Reply>,
    then: Reply,
}

impl Receiver {
    /// One that takes everything.
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let state = Arc::new(Mutex::new(State::default()));
        let task = beside(serve(listener, Arc::clone(&state)));
        Self { address, state, task }
    }

    /// An address of theirs.
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// The port.
    pub const fn port(&self) -> u16 {
        self.address.port()
    }

    /// The next requests are answered so, one each.
    pub fn next(&self, replies: impl IntoIterator<Item = Reply>) {
        self.state().next.extend(replies);
    }

    /// Whatever comes from now on is answered so.
    pub fn always(&self, reply: Reply) {
        let mut state = self.state();
        state.next.clear();
        state.then = reply;
    }

    /// All that has been sent.
    pub fn seen(&self) -> Vec<Received> {
        self.state().seen.clone()
    }

    /// What has been sent, once it is so much; more is wrong.
    pub async fn received(&self, count: usize) -> Vec<Received> {
        let what = format!("{count} requests");
        let seen = eventually(&what, || async {
            let seen = self.seen();
            (seen.len() >= count).then_some(seen)
        })
        .await;
        assert_eq!(seen.len(), count, "{seen:?}");
        seen
    }

    /// The first that fits, once it is there.
    pub async fn first(&self, what: &str, fits: impl Fn(&Received) -> bool) -> Received {
        eventually(what, || async { self.seen().into_iter().find(&fits) }).await
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Received {
    /// The body as JSON.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap()
    }

    /// A header; empty where there is none.
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", String::as_str)
    }

    /// The `type` of a standard webhook.
    pub fn kind(&self) -> String {
        self.json().get("type").and_then(Value::as_str).unwrap_or_default().to_owned()
    }
}

async fn serve(listener: TcpListener, state: Arc<Mutex<State>>) {
    while let Ok((stream, _)) = listener.accept().await {
        let state = Arc::clone(&state);
        drop(beside(async move {
            // Whoever goes away has their reasons.
            drop(exchange(stream, &state).await);
        }));
    }
}

/// One request, one answer, and the connection ends.
async fn exchange(stream: TcpStream, state: &Mutex<State>) -> std::io::Result<()> {
    let mut stream = BufReader::new(stream);
    let received = read(&mut stream).await?;
    let reply = {
        let mut state = state.lock().unwrap_or_else(PoisonError::into_inner);
        state.seen.push(received);
        state.next.pop_front().unwrap_or_else(|| state.then.clone())
    };
    let empty = "content-length: 0\r\nconnection: close\r\n\r\n";
    let answer = match reply {
        Reply::Taken => "HTTP/1.1 204 No Content\r\nconnection: close\r\n\r\n".to_owned(),
        Reply::Status(status) => format!("HTTP/1.1 {status} So\r\n{empty}"),
        Reply::RetryAfter(status, after) => {
            format!("HTTP/1.1 {status} So\r\nretry-after: {after}\r\n{empty}")
        }
        Reply::Redirect(to) => format!("HTTP/1.1 307 So\r\nlocation: {to}\r\n{empty}"),
        Reply::Stall => return std::future::pending().await,
        Reply::Die => return Ok(()),
        Reply::DieInBody => "HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhalf".to_owned(),
    };
    stream.get_mut().write_all(answer.as_bytes()).await?;
    stream.get_mut().shutdown().await
}

/// One request; an error where it breaks off.
async fn read(stream: &mut BufReader<TcpStream>) -> std::io::Result<Received> {
    let line = read_line(stream).await?;
    let mut words = line.split(' ').map(str::to_owned);
    let (method, path) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let mut headers = BTreeMap::new();
    loop {
        let line = read_line(stream).await?;
        let Some((name, value)) = line.trim_end().split_once(':') else { break };
        headers.insert(name.to_ascii_lowercase(), value.trim().to_owned());
    }
    let length = headers.get("content-length").and_then(|length| length.parse().ok());
    let mut body = vec![0; length.unwrap_or(0)];
    stream.read_exact(&mut body).await?;
    let body = String::from_utf8(body).map_err(std::io::Error::other)?;
    Ok(Received { method, path, headers, body })
}

async fn read_line(stream: &mut BufReader<TcpStream>) -> std::io::Result<String> {
    let mut line = String::new();
    stream.read_line(&mut line).await?;
    if line.ends_with('\n') { Ok(line) } else { Err(std::io::ErrorKind::UnexpectedEof.into()) }
}
