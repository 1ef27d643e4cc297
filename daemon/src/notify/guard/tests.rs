use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use super::*;
use crate::clock::SystemClock;

const SHORT: Duration = Duration::from_millis(300);

fn outlet(private_hosts: &[&str]) -> Outlet {
    // It fails where another test was first.
    drop(rustls::crypto::ring::default_provider().install_default());
    let hosts: Vec<_> = private_hosts.iter().map(|host| (*host).to_owned()).collect();
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    Outlet::build(&hosts, &clock).unwrap()
}

/// A server on loopback that gives each connection the same answer; the port, and what it was sent.
async fn server(answer: &'static [u8]) -> (u16, tokio::sync::mpsc::Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let (send, receive) = tokio::sync::mpsc::channel(16);
    #[expect(clippy::disallowed_methods, reason = "the test's own server")]
    drop(tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut seen = vec![0; 4096];
            let read = stream.read(&mut seen).await.unwrap_or(0);
            seen.truncate(read);
            // Not every test looks.
            drop(send.send(String::from_utf8_lossy(&seen).into_owned()).await);
            stream.write_all(answer).await.unwrap();
        }
    }));
    (port, receive)
}

async fn post(outlet: &Outlet, url: &str) -> Result<Answer, NoAnswer> {
    let address = outlet.address(url).unwrap();
    outlet.post(&address, HeaderMap::new(), b"{}".to_vec(), Duration::from_secs(5)).await
}

#[test]
fn an_address_is_looked_at_before_anything_is_sent() {
    use AddressError::{Login, NotHttp, Plain, Private};

    let outlet = outlet(&["hooks.lan", "10.0.0.7", "[fd00::7]"]);
    let long = format!("https://example.com/{}", "a".repeat(ADDRESS_BYTES_MAX));
    for (url, found) in [
        ("https://example.com/x?y=z", Ok(())),
        ("https://example.com:8443", Ok(())),
        ("https://8.8.8.8/", Ok(())),
        ("https://[2606:4700:4700::1111]/", Ok(())),
        ("http://hooks.lan/x", Ok(())),
        ("http://HOOKS.LAN.:8080/x", Ok(())),
        ("https://hooks.lan/x", Ok(())),
        ("http://10.0.0.7/", Ok(())),
        ("https://0xa.7", Ok(())),
        ("http://[fd00::7]:81/", Ok(())),
        ("http://example.com/", Err(Plain)),
        ("http://hooks.lan.example.com/", Err(Plain)),
        ("http://a.hooks.lan/", Err(Plain)),
        ("https://127.0.0.1/", Err(Private)),
        ("http://127.0.0.1/", Err(Private)),
        ("https://127.1/", Err(Private)),
        ("https://2130706433/", Err(Private)),
        ("https://0x7f000001/", Err(Private)),
        ("https://017700000001/", Err(Private)),
        ("https://0x7f.0.0.1./", Err(Private)),
        ("https://%31%32%37.0.0.1/", Err(Private)),
        ("https://１２７.0.0.1/", Err(Private)),
        ("https://0.0.0.0/", Err(Private)),
        ("https://0/", Err(Private)),
        ("https://169.254.169.254/latest/meta-data", Err(Private)),
        ("https://[::1]/", Err(Private)),
        ("https://[::]/", Err(Private)),
        ("https://[::ffff:127.0.0.1]/", Err(Private)),
        ("https://[::ffff:7f00:1]/", Err(Private)),
        ("https://[64:ff9b::7f00:1]/", Err(Private)),
        ("https://10.0.0.8/", Err(Private)),
        ("https://user@example.com/", Err(Login)),
        ("https://:secret@example.com/", Err(Login)),
        ("https://example.com@127.0.0.1/", Err(Login)),
        ("ftp://example.com/", Err(NotHttp)),
        ("file:///etc/passwd", Err(NotHttp)),
        ("unix:/run/x", Err(NotHttp)),
        ("//example.com/", Err(NotHttp)),
        ("https://", Err(NotHttp)),
        ("https://example.com:0/", Err(NotHttp)),
        ("https://[::1%25lo]/", Err(NotHttp)),
        ("", Err(NotHttp)),
        (long.as_str(), Err(NotHttp)),
    ] {
        assert_eq!(outlet.address(url).map(drop), found, "{url}");
    }
}

#[test]
fn a_name_with_one_private_address_has_none() {
    let public: SocketAddr = "8.8.8.8:0".parse().unwrap();
    let private: SocketAddr = "127.0.0.1:0".parse().unwrap();
    assert_eq!(judge(false, vec![public]).unwrap(), [public]);
    assert!(judge(false, vec![public, private]).unwrap_err().is::<LeadsInside>());
    assert_eq!(judge(true, vec![public, private]).unwrap(), [public, private]);
    assert!(judge(true, Vec::new()).is_err());
}

#[tokio::test]
async fn a_name_that_leads_inside_is_not_connected_to() {
    let (port, mut seen) = server(b"HTTP/1.1 204 No Content\r\n\r\n").await;
    let refused = post(&outlet(&[]), &format!("https://localhost:{port}/secret")).await;
    let refused = refused.unwrap_err();
    assert_eq!(refused, NoAnswer::Private("localhost".to_owned()));
    assert!(!refused.to_string().contains("secret"));
    // Its address is not its name, and a name is not one that ends alike.
    for other in ["127.0.0.1", "::1", "host", "a.localhost"] {
        let refused = post(&outlet(&[other]), &format!("https://localhost:{port}/")).await;
        assert_eq!(refused.unwrap_err(), NoAnswer::Private("localhost".to_owned()));
    }
    assert!(seen.try_recv().is_err(), "somebody has connected");
    let taken = post(&outlet(&["localhost"]), &format!("http://localhost:{port}/")).await.unwrap();
    assert_eq!(taken.status, StatusCode::NO_CONTENT);
    assert!(seen.recv().await.unwrap().starts_with("POST / HTTP/1.1\r\n"));
}

#[tokio::test]
async fn a_redirect_is_an_answer() {
    let (inside, mut seen) = server(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await;
    let answer = format!(
        "HTTP/1.1 307 Temporary Redirect\r\nlocation: http://127.0.0.1:{inside}/\r\n\
         retry-after: 7\r\ncontent-length: 0\r\n\r\n"
    );
    let (port, _) = server(answer.leak().as_bytes()).await;
    let answer = post(&outlet(&["127.0.0.1"]), &format!("http://127.0.0.1:{port}/")).await.unwrap();
    assert_eq!(answer.status, StatusCode::TEMPORARY_REDIRECT);
    assert_eq!(answer.retry_after, Some(Duration::from_secs(7)));
    assert!(seen.try_recv().is_err(), "the redirect was followed");
}

#[tokio::test]
async fn an_answer_is_read_to_a_limit() {
    let mut answer = b"HTTP/1.1 200 OK\r\ncontent-length: 1000000\r\n\r\n".to_vec();
    answer.resize(answer.len() + ANSWER_BYTES_MAX + 1, b'x');
    let (port, _) = server(answer.leak()).await;
    let answer = post(&outlet(&["127.0.0.1"]), &format!("http://127.0.0.1:{port}/")).await.unwrap();
    assert_eq!(answer.body.len(), ANSWER_BYTES_MAX);
}

#[tokio::test]
async fn whoever_stalls_or_is_not_there_is_told_of_without_the_address() {
    let outlet = outlet(&["127.0.0.1"]);
    let stalling = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = outlet.address(&format!("http://{}/secret", stalling.local_addr().unwrap()));
    let address = address.unwrap();
    let answer = outlet.post(&address, HeaderMap::new(), Vec::new(), SHORT).await.unwrap_err();
    assert!(matches!(answer, NoAnswer::TimeUp { .. }), "{answer}");
    let answer = post(&outlet, "http://127.0.0.1:1/secret").await.unwrap_err();
    assert!(matches!(answer, NoAnswer::Broken { .. }), "{answer}");
    let told = format!("{answer} {address:?}");
    assert!(told.contains("127.0.0.1") && !told.contains("secret"), "{told}");
}

#[tokio::test]
async fn what_was_said_before_it_broke_off_was_said() {
    let (port, _) = server(b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nabc").await;
    let answer = post(&outlet(&["127.0.0.1"]), &format!("http://127.0.0.1:{port}/")).await.unwrap();
    assert_eq!((answer.status, answer.body.as_slice()), (StatusCode::OK, &b"abc"[..]));
}
