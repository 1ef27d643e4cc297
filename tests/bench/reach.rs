//! A burst of asks, and the messages that it brings about on three channels: alive, and dead.
#![expect(clippy::unwrap_used, reason = "a channel that cannot be set up spoils the measurement")]

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::time::Duration;

use tokio::time::{Instant, sleep};
use vouchsafe_proto::v1::UpdateUserRequest;
use vouchsafe_tests::hook::{Receiver, Reply};
use vouchsafe_tests::process::Home;
use vouchsafe_tests::slack::{self, Mood, SlackStub};
use vouchsafe_tests::smtp::{SmtpServer, Tls};

use crate::load::Bench;
use crate::table::Measured;

/// Approvals in the burst.
const BURST: usize = 1_000;
/// Clients that ask at once.
const CLIENTS: usize = 16;
/// How long the channels may take, before the measurement is given up.
const PATIENCE: Duration = Duration::from_secs(120);
const LOOK_EVERY: Duration = Duration::from_millis(5);

/// The asks of a burst, and until the last of their messages was delivered; nothing of these where
/// the channels are dead.
pub(crate) struct Reached {
    pub(crate) asks: Measured,
    pub(crate) told: Option<Measured>,
}

/// What the asks of a burst are called.
pub(crate) fn asks(alive: bool) -> String {
    let channels = if alive { "alive" } else { "dead" };
    format!("asks in a burst, three channels {channels}")
}

/// Measures one burst on a new daemon with e-mail, Slack and a webhook, all of them on this machine.
pub(crate) async fn measure(alive: bool) -> Reached {
    let (smtp, stub, hook) =
        (SmtpServer::start(Tls::None).await, SlackStub::start().await, Receiver::start().await);
    if !alive {
        smtp.down().await;
        hook.always(Reply::Die);
        stub.answers("api/chat.postMessage", Mood::Die, u32::MAX);
    }
    let settings = format!(
        "{}\n[notify.webhook.bench]\nurl = \"{}\"\nsecrets_file = \"hook.secrets\"\n\
         events = [\"approval.*\"]\nat_once = 8\n\n{}",
        stub.settings(),
        hook.url("/hook"),
        smtp.settings(""),
    );
    let home = Home::init().await;
    let secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSwZ2V0LWEta2V5";
    for (name, text) in
        [("slack.token", slack::TOKEN), ("slack.signing", slack::SECRET), ("hook.secrets", secret)]
    {
        home.write(name, text);
        fs::set_permissions(home.path().join(name), Permissions::from_mode(0o600)).unwrap();
    }
    let bench = Bench::start_on(home, 0, 0, &settings).await;
    let request = UpdateUserRequest {
        name: "admin".to_owned(),
        email: "admin@example.com".to_owned(),
        set_email: true,
        ..UpdateUserRequest::default()
    };
    bench.user().users().update_user(request).await.unwrap();
    let begun = Instant::now();
    let asks = bench.burst(BURST, CLIENTS).await;
    let told = if alive {
        loop {
            let told = smtp.taken().len() >= BURST
                && stub.calls("api/chat.postMessage").len() >= BURST
                && hook.seen().len() >= BURST;
            if told {
                break;
            }
            assert!(begun.elapsed() < PATIENCE, "not all messages were delivered");
            sleep(LOOK_EVERY).await;
        }
        let over = begun.elapsed();
        Some(Measured { took: vec![over; BURST * 3], over })
    } else {
        None
    };
    bench.stop().await;
    Reached { asks, told }
}
