use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Mutex;
use std::time::Duration;

use axum::http::header::{AUTHORIZATION, HOST, ORIGIN, WWW_AUTHENTICATE};
use futures_util::FutureExt as _;
use futures_util::stream::unfold;
use http_body_util::BodyExt as _;
use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;
use tower::{ServiceExt as _, service_fn};
use vouchsafe_core::caller::{Agent, Claims};
use vouchsafe_core::id::{ID_BYTES, KeyId, ProjectId, UserId};
use vouchsafe_core::key::{KeySettings, Scopes};

use super::*;
use crate::broker::{Code, Refused};
use crate::tasks::Tasks;

/// Lets in whoever shows `good`, to the project `blue`.
#[derive(Default)]
struct Porter {
    turned_away: Mutex<Vec<Code>>,
}

impl Gatekeeper for Porter {
    fn let_in<'a>(
        &'a self,
        credential: Option<&'a str>,
        claims: Claims,
        project: Option<&'a str>,
    ) -> BoxFuture<'a, Result<Agent, Refused>> {
        let outcome = match (credential, project) {
            (Some("good"), None | Some("blue")) => Ok(agent(claims)),
            (Some("good"), Some(_)) => Err(Refused::new(Code::WrongProject, "not that one", "")),
            (Some("busy"), _) => Err(Refused::new(Code::StoreBusy, "too much", "Wait.")),
            _ => Err(Refused::new(Code::Unauthenticated, "who are you", "Show a key.")),
        };
        async { outcome }.boxed()
    }

    fn turned_away(&self, refused: &Refused) {
        self.turned_away.lock().unwrap().push(refused.code);
    }
}

fn agent(claims: Claims) -> Agent {
    Agent {
        key: KeyId::from_random([1; ID_BYTES]),
        generation: 1,
        revision: 1,
        name: "claude".parse().unwrap(),
        project: ProjectId::from_random([2; ID_BYTES]),
        project_name: "blue".to_owned(),
        owner: UserId::from_random([3; ID_BYTES]),
        owner_name: "jane".to_owned(),
        scopes: Scopes::read_only(),
        settings: KeySettings::default(),
        claims,
    }
}

fn router(porter: &Arc<Porter>) -> Router {
    let gatekeeper: Arc<dyn Gatekeeper> = Arc::<Porter>::clone(porter);
    let web = Web {
        gatekeeper,
        names: Names::new(&[], &[], Some("127.0.0.1:7431".parse().unwrap())).unwrap(),
        proxies: Proxies::default(),
        ready: Arc::new(|| async { Err("the store is starting".to_owned()) }.boxed()),
        metrics: Metrics::new(),
    };
    web.router(
        service_fn(|request: Request| async move {
            let agent = request.extensions().get::<Agent>().unwrap();
            let client = agent.claims.client.clone().unwrap_or_default();
            let kept = request.headers().contains_key(AUTHORIZATION);
            Ok::<_, Infallible>(Response::new(Body::from(format!("{client}|{kept}"))))
        }),
        Router::new(),
    )
}

async fn ask(uri: &str, headers: &[(&str, &str)]) -> Response {
    let mut request = Request::builder().uri(uri);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    router(&Arc::default()).oneshot(request.body(Body::empty()).unwrap()).await.unwrap()
}

const OURS: (&str, &str) = ("host", "127.0.0.1:7431");

async fn text(response: Response) -> String {
    String::from_utf8(response.into_body().collect().await.unwrap().to_bytes().to_vec()).unwrap()
}

#[tokio::test]
async fn every_route_checks_host_and_origin() {
    for path in ["/mcp", "/mcp/blue", "/healthz", "/readyz", "/metrics", "/nowhere"] {
        for headers in [
            vec![("host", "evil.example")],
            vec![OURS, ("origin", "https://evil.example")],
            vec![OURS, ("origin", "http://127.0.0.1:7431")],
            vec![],
        ] {
            let response = ask(path, &headers).await;
            assert_eq!(response.status(), StatusCode::FORBIDDEN, "{path} {headers:?}");
            let body: Value = serde_json::from_str(&text(response).await).unwrap();
            assert_eq!(body["error"]["code"], "INVALID_ARGUMENT");
            assert!(body["error"]["next"].is_string());
        }
    }
    assert_eq!((HOST.as_str(), ORIGIN.as_str()), ("host", "origin"));
}

#[tokio::test]
async fn every_answer_has_the_security_headers() {
    for path in ["/mcp", "/healthz", "/readyz", "/metrics", "/nowhere"] {
        let response = ask(path, &[OURS]).await;
        assert_eq!(response.headers()[X_CONTENT_TYPE_OPTIONS], "nosniff", "{path}");
        assert_eq!(response.headers()[CACHE_CONTROL], "no-store", "{path}");
    }
}

#[tokio::test]
async fn an_agent_without_a_key_is_challenged() {
    for (headers, challenge) in [
        (vec![OURS], "Bearer realm=\"vouchsafe\""),
        (
            vec![OURS, ("authorization", "Bearer bad")],
            "Bearer realm=\"vouchsafe\", error=\"invalid_token\"",
        ),
        (
            vec![OURS, ("authorization", "Basic abc")],
            "Bearer realm=\"vouchsafe\", error=\"invalid_token\"",
        ),
    ] {
        let response = ask("/mcp", &headers).await;
        assert_eq!(response.status(), StatusCode::UNAUTHORIZED);
        assert_eq!(response.headers()[WWW_AUTHENTICATE], challenge);
        let body: Value = serde_json::from_str(&text(response).await).unwrap();
        assert_eq!(body["error"]["code"], "UNAUTHENTICATED");
    }
}

#[tokio::test]
async fn an_agent_with_its_key_is_let_in_without_it() {
    let headers = [OURS, ("authorization", "Bearer good"), ("user-agent", "cl\u{202e}ient/1")];
    for path in ["/mcp", "/mcp/blue"] {
        let response = ask(path, &headers).await;
        assert_eq!(response.status(), StatusCode::OK);
        assert_eq!(text(response).await, "cl\\u{202e}ient/1|false");
    }
    let response = ask("/mcp/red", &headers).await;
    assert_eq!(response.status(), StatusCode::FORBIDDEN);
    assert!(!response.headers().contains_key(WWW_AUTHENTICATE));
    let response = ask("/mcp", &[OURS, ("authorization", "Bearer busy")]).await;
    assert_eq!(response.status(), StatusCode::TOO_MANY_REQUESTS);
    assert!(response.headers().contains_key("retry-after"));
}

#[tokio::test]
async fn a_credential_in_the_address_is_refused_and_noted() {
    let porter = Arc::<Porter>::default();
    let request = Request::builder()
        .uri("/mcp?access_token=good")
        .header("host", "127.0.0.1:7431")
        .header("authorization", "Bearer good");
    let response = router(&porter).oneshot(request.body(Body::empty()).unwrap()).await.unwrap();
    assert_eq!(response.status(), StatusCode::BAD_REQUEST);
    assert_eq!(*porter.turned_away.lock().unwrap(), [Code::InvalidArgument]);
}

#[tokio::test]
async fn the_operators_routes_answer() {
    assert_eq!(text(ask("/healthz", &[OURS]).await).await, "ok\n");
    let ready = ask("/readyz", &[OURS]).await;
    assert_eq!(ready.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert!(text(ask("/metrics", &[OURS]).await).await.contains("vouchsafe_calls_waiting"));
    for path in ["/.well-known/oauth-protected-resource", "/mcp/a/b", "/"] {
        assert_eq!(ask(path, &[OURS]).await.status(), StatusCode::NOT_FOUND, "{path}");
    }
}

#[tokio::test]
async fn a_body_that_is_announced_too_large_is_refused() {
    let response =
        ask("/mcp", &[OURS, ("authorization", "Bearer good"), ("content-length", "1048577")]).await;
    assert_eq!(response.status(), StatusCode::PAYLOAD_TOO_LARGE);
}

/// A server; what tells that somebody has come to its `/slow`, and lets them go on.
async fn listening(limits: Limits) -> (SocketAddr, Tasks, Arc<Slow>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let tasks = Tasks::new();
    let slow = Arc::<Slow>::default();
    let there = Arc::clone(&slow);
    let app = Router::new().route("/", get(|| async { "hello" })).route("/stream", get(stream));
    let app = app.route(
        "/slow",
        get(|| async move {
            there.come.notify_one();
            there.go_on.notified().await;
            "late"
        }),
    );
    tasks.spawn_vital_loop("http", serve("http", listener, app, limits, tasks.clone()));
    (address, tasks, slow)
}

/// A little now and then, over more time than a stalled answer has.
async fn stream() -> Body {
    Body::from_stream(unfold(0, |sent| async move {
        tokio::time::sleep(Duration::from_millis(300)).await;
        (sent < PIECES).then_some((Ok::<_, Infallible>("piece "), sent + 1))
    }))
}

/// Pieces of that.
const PIECES: usize = 10;

#[derive(Default)]
struct Slow {
    come: Notify,
    go_on: Notify,
}

fn short() -> Limits {
    Limits {
        connections: 2,
        headers: Duration::from_millis(500),
        idle: Duration::from_millis(500),
        ..Limits::default()
    }
}

/// More than anything takes here on a busy machine.
const LONG: Duration = Duration::from_secs(20);

/// All that comes before the other side closes.
async fn until_closed(stream: &mut TcpStream) -> String {
    let mut bytes = Vec::new();
    let read = stream.read_to_end(&mut bytes);
    tokio::time::timeout(LONG, read).await.expect("closed in time").unwrap();
    String::from_utf8(bytes).unwrap()
}

#[tokio::test]
async fn whoever_does_not_finish_its_headers_is_cut_off() {
    let (address, _tasks, _slow) = listening(short()).await;
    for sent in ["", "GET / HTTP/1.1\r\nHost: x\r\n", "PRI * HT"] {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(sent.as_bytes()).await.unwrap();
        let answer = until_closed(&mut stream).await;
        assert!(!answer.contains("200"), "{sent:?}: {answer}");
    }
}

#[tokio::test]
async fn an_idle_connection_is_closed_after_its_answer() {
    let (address, _tasks, _slow) = listening(short()).await;
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
    assert!(until_closed(&mut stream).await.ends_with("hello"));
}

#[tokio::test]
async fn an_answer_that_goes_on_is_not_stalled() {
    let limits = Limits { stalled: Some(Duration::from_secs(2)), ..Limits::default() };
    let (address, _tasks, _slow) = listening(limits).await;
    let mut stream = TcpStream::connect(address).await.unwrap();
    let request = b"GET /stream HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    stream.write_all(request).await.unwrap();
    assert_eq!(until_closed(&mut stream).await.matches("piece ").count(), PIECES);
    // One that rests is cut off.
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(b"GET /slow HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
    assert!(!until_closed(&mut stream).await.contains("late"));
}

#[tokio::test]
async fn more_connections_than_there_may_be_wait_for_a_place() {
    let (address, _tasks, _slow) = listening(short()).await;
    let idle = (TcpStream::connect(address).await, TcpStream::connect(address).await);
    let mut third = TcpStream::connect(address).await.unwrap();
    third.write_all(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").await.unwrap();
    // The idle ones lose their places, and then it is served.
    assert!(until_closed(&mut third).await.ends_with("hello"));
    drop(idle);
}

#[tokio::test]
async fn what_was_begun_is_finished_when_the_daemon_stops() {
    let (address, tasks, slow) = listening(Limits::default()).await;
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(b"GET /slow HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
    slow.come.notified().await;
    let stopped = tasks.join_within(LONG);
    let meanwhile = async {
        // Nobody comes in any more, and whoever has is answered.
        while TcpStream::connect(address).await.is_ok() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        slow.go_on.notify_one();
    };
    assert!(tokio::join!(stopped, tokio::time::timeout(LONG, meanwhile)).0);
    assert!(until_closed(&mut stream).await.ends_with("late"));
}
