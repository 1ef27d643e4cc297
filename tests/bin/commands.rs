//! Exit codes of `vouchsafe`: fixed, because scripts rely on them.

use serde_json::json;
use vouchsafe_tests::process::{Agent, Home, RealDaemon, run};

const DONE: i32 = 0;
const USAGE: i32 = 2;
const REFUSED: i32 = 3;
const NOT_FOUND: i32 = 4;
const CONFLICT: i32 = 5;
const UNREACHABLE: i32 = 6;
const FAULT: i32 = 7;

#[tokio::test]
async fn exit_codes_of_commands_that_need_no_ask() {
    let daemon = RealDaemon::start().await;
    daemon.put("asked/ONE", "a value").await;
    daemon.key("agent", "mcp:read").await;
    let cases: [(&[&str], i32); 22] = [
        (&["status"], DONE),
        (&["whoami", "-o", "json"], DONE),
        (&["doctor"], DONE),
        (&["secrets", "list"], DONE),
        (&["policy", "check"], DONE),
        (&["approvals", "show", "ap_0000000000000000"], NOT_FOUND),
        (&["approve", "ap_0000000000000000", "--yes"], NOT_FOUND),
        (&["deny", "ap_0000000000000000", "--yes", "--reason", "no"], NOT_FOUND),
        (&["leases", "show", "ls_0000000000000000"], NOT_FOUND),
        (&["secrets", "show", "asked/NONE"], NOT_FOUND),
        (&["keys", "show", "nobody"], NOT_FOUND),
        (&["users", "show", "nobody"], NOT_FOUND),
        (&["--project", "none", "secrets", "list"], NOT_FOUND),
        (&["keys", "create", "agent"], CONFLICT),
        (&["users", "create", "admin", "--roles", "auditor"], CONFLICT),
        (&["keys", "create", "x"], USAGE),
        (&["keys", "create", "reader", "--scopes", "secrets:fly"], USAGE),
        (&["secrets", "show", "../ONE"], USAGE),
        (&["approve", "nonsense!", "--yes"], NOT_FOUND),
        (&["deny", "ap_0", "--yes", "--reason", " "], USAGE),
        (&["approvals", "--since", "yesterday-ish"], USAGE),
        (&["fly"], USAGE),
    ];
    for (args, code) in cases {
        let said = run("vouchsafe", &daemon.path(), args, b"").await;
        assert_eq!(said.code, code, "vouchsafe {args:?}: {said}");
        if code != DONE {
            assert_eq!(said.stdout, "", "vouchsafe {args:?} fails on standard output");
            assert_ne!(said.stderr, "", "vouchsafe {args:?} says nothing");
        }
    }
}

#[tokio::test]
async fn an_ask_is_answered_once_and_by_who_may() {
    let daemon = RealDaemon::start().await;
    daemon.put("asked/ONE", "a value").await;
    let agent =
        Agent::new(daemon.url("/mcp"), daemon.key("agent", "mcp:read,secrets:reveal").await);
    let made = daemon.vouchsafe(["users", "create", "jane", "--roles", "auditor", "-o", "json"]);
    let token = made.await.ok().json().pointer("/token").unwrap().as_str().unwrap().to_owned();
    let resource = "vouchsafe://secrets/asked/ONE";
    let ask = json!({ "resources": [resource], "reason": "for the test" });
    let (answer, ()) = tokio::join!(agent.call("request_access", ask), async {
        let id = daemon.pending(resource).await;
        // An auditor looks and does not vote.
        let credentials = daemon.read("credentials.toml");
        daemon.write("credentials.toml", &format!("user = \"jane\"\ntoken = \"{token}\"\n"));
        daemon.vouchsafe(["approve", &id, "--yes"]).await.failed(REFUSED);
        daemon.vouchsafe(["approvals", "show", &id]).await.ok();
        daemon.vouchsafe(["keys", "create", "mine"]).await.failed(REFUSED);
        daemon.write("credentials.toml", "user = \"jane\"\ntoken = \"vs_user_nonsense\"\n");
        daemon.vouchsafe(["whoami"]).await.failed(REFUSED);
        daemon.write("credentials.toml", &credentials);

        // Half of the id is enough.
        let short = id.get(..12).unwrap();
        daemon.vouchsafe(["approve", short, "--yes"]).await.ok();
        daemon.vouchsafe(["approve", &id, "--yes"]).await.failed(CONFLICT);
        daemon.vouchsafe(["deny", &id, "--yes", "--reason", "late"]).await.failed(CONFLICT);
    });
    let answer = answer.unwrap();
    assert_eq!(answer.status(), "approved", "{answer:?}");
    let lease = answer.text("/leases/0/id");
    daemon.vouchsafe(["leases", "revoke", lease]).await.ok();
    let ended = daemon.vouchsafe(["leases", "show", lease, "-o", "json"]).await.ok().json();
    assert_eq!(ended.pointer("/status"), Some(&json!("revoked")), "{ended}");
}

#[tokio::test]
async fn several_asks_are_answered_in_one_command() {
    let daemon = RealDaemon::start().await;
    let key = daemon.key("agent", "mcp:read,secrets:reveal").await;
    let agent = Agent::new(daemon.url("/mcp"), key);
    let uri = |name: &str| format!("vouchsafe://secrets/asked/{name}");
    for name in ["ONE", "TWO"] {
        daemon.put(&format!("asked/{name}"), "a value").await;
    }
    let ask = |name| json!({ "resources": [uri(name)], "reason": "for the test" });
    let (one, two, ()) = tokio::join!(
        agent.call("request_access", ask("ONE")),
        agent.call("request_access", ask("TWO")),
        async {
            let (one, two) = (daemon.pending(&uri("ONE")).await, daemon.pending(&uri("TWO")).await);
            let args = ["approve", &one, "ap_zzzz", &two, "--yes", "--uses", "3", "-o", "json"];
            let said = daemon.vouchsafe(args).await.failed(NOT_FOUND);
            let told = said.json();
            assert_eq!(told[0]["approval"]["id"], json!(one), "{said}");
            assert_eq!(told[1]["id"], json!("ap_zzzz"), "{said}");
            assert_eq!(told[1]["exit_code"], json!(NOT_FOUND), "{said}");
            assert_eq!(told[2]["leases"][0]["uses_left"], json!(3), "{said}");
            assert!(said.stderr.contains("1 of 3 were not approved"), "{said}");
            let args = ["deny", &one, &two, "--reason", "late", "--yes"];
            let said = daemon.vouchsafe(args).await.failed(CONFLICT);
            assert!(said.stderr.contains("2 of 2 were not denied"), "{said}");
        }
    );
    for answer in [one, two] {
        assert_eq!(answer.unwrap().status(), "approved");
    }
}

#[tokio::test]
async fn without_a_daemon_the_way_to_start_one_is_said() {
    let home = Home::init().await;
    let said = home.vouchsafe(["status"]).await.failed(UNREACHABLE);
    assert!(said.stderr.contains("vouchsafed serve"), "{said}");
    let said = Home::nowhere().vouchsafe(["status"]).await.failed(UNREACHABLE);
    assert!(said.stderr.contains("vouchsafed init"), "{said}");
}

#[tokio::test]
async fn checks_that_find_a_fault_say_so_by_their_code() {
    let daemon = RealDaemon::start().await;
    let bad = daemon.beside("bad");
    std::fs::create_dir(&bad).unwrap();
    std::fs::write(bad.join("bad.toml"), "[[rule]]\nname = 1\n").unwrap();
    let dir = bad.to_str().unwrap();
    let said = daemon.vouchsafe(["policy", "check", dir]).await.failed(FAULT);
    assert!(said.to_string().contains("bad.toml:2"), "{said}");

    let keys = daemon.path().join("credentials.toml");
    let open = std::os::unix::fs::PermissionsExt::from_mode(0o644);
    std::fs::set_permissions(keys, open).unwrap();
    daemon.vouchsafe(["doctor"]).await.failed(FAULT);
    daemon.vouchsafe(["status"]).await.failed(REFUSED);
}
