//! `vouchsafe exec`: a command with secrets in its environment, on the real programs.

use std::path::Path;

use rustix::process::Signal;
use serde_json::Value;
use vouchsafe_tests::process::{RULES, RealDaemon, Running, Terminal, run, until};

/// As no other text is.
const VALUE: &str = "hunter2-\"quoted\"\\and more";
const REFUSED: i32 = 3;
/// What `--on-lease-end terminate` ends with.
const LEASE_ENDED: i32 = 124;

/// Leases that end while one looks.
const SHORT: &str = r#"
[[rule]]
name        = "Short"
resource    = "vouchsafe://secrets/short/*"
operations  = ["read"]
approval    = "none"
lease       = { default = "2s", max = "2s" }

[[rule]]
name        = "Renewed"
resource    = "vouchsafe://secrets/renewed/*"
operations  = ["read"]
approval    = "none"
lease       = { default = "20s", max = "1h" }
"#;

/// A daemon with some secrets, and a key called agent.
async fn daemon() -> RealDaemon {
    let daemon = RealDaemon::start().await;
    for path in ["free/ONE", "free/TWO", "asked/ONE", "asked/TWO"] {
        daemon.put(path, VALUE).await;
    }
    daemon.key("agent", "secrets:read,secrets:reveal").await;
    daemon
}

/// `vouchsafe exec` with these options, and a script for the shell.
fn exec(daemon: &RealDaemon, options: &[&str], script: &str) -> Running {
    let mut args = vec!["exec", "--key", "agent", "--reason", "for the test"];
    args.extend(options);
    args.extend(["--", "/bin/sh", "-c", script]);
    Running::vouchsafe(daemon, &args, &[])
}

/// The same, run to its end; its code.
async fn code_of(daemon: &RealDaemon, options: &[&str], script: &str) -> i32 {
    exec(daemon, options, script).ended().await.1.code
}

async fn listed(daemon: &RealDaemon, args: &[&str]) -> Vec<Value> {
    let said = run("vouchsafe", &daemon.path(), args, b"").await.ok();
    said.json().as_array().unwrap().clone()
}

/// How each lease of the key stands.
async fn leases(daemon: &RealDaemon) -> Vec<String> {
    let leases = listed(daemon, &["leases", "--key", "agent", "-o", "json"]).await;
    leases.iter().map(|lease| lease["status"].as_str().unwrap().to_owned()).collect()
}

async fn pending(daemon: &RealDaemon) -> usize {
    listed(daemon, &["approvals", "--status", "pending", "-o", "json"]).await.len()
}

fn proc(pid: u32, what: &str) -> String {
    let bytes = std::fs::read(Path::new("/proc").join(pid.to_string()).join(what)).unwrap();
    String::from_utf8_lossy(&bytes).into_owned()
}

#[tokio::test]
async fn values_are_in_the_environment_of_the_command_and_nowhere_else() {
    let daemon = daemon().await;
    let raw = b"\xff\xfe raw \x01";
    run("vouchsafe", &daemon.path(), ["secrets", "put", "free/RAW"], raw).await.ok();
    let key = daemon.path().join("keys/agent.key");
    let settings =
        [("VOUCHSAFE_KEY_FILE", key.to_str().unwrap()), ("VOUCHSAFE_TOKEN", "vs_user_x")];
    let script = "echo \"pid=$$;\"; read line; printf %s \"$RAW\"; test \"$ONE\" = \"$AGAIN\"";
    let args = [
        "exec",
        "--reason",
        "for the test",
        "--env",
        "ONE=vouchsafe://secrets/free/ONE",
        "AGAIN=free/ONE",
        "--env",
        "RAW=free/RAW",
        "--",
        "/bin/sh",
        "-c",
        script,
    ];
    let mut running = Running::vouchsafe(&daemon, &args, &settings);
    let said = running.prints(";").await;
    let pid = said.trim().trim_start_matches("pid=").trim_end_matches(';').parse().unwrap();

    let own = proc(pid, "environ");
    assert!(own.contains(&format!("ONE={VALUE}\0")), "the command has no value");
    assert!(own.contains("VOUCHSAFE_HOME="), "the home is kept from it");
    for kept in ["VOUCHSAFE_TOKEN", "VOUCHSAFE_KEY_FILE", "vs_user_x"] {
        assert!(!own.contains(kept), "the command has {kept}");
    }
    let ours = running.pid();
    for (pid, what) in [(pid, "cmdline"), (ours, "cmdline"), (ours, "environ")] {
        assert!(!proc(pid, what).contains("hunter2"), "{what} of {pid} has the value");
    }
    assert_eq!(leases(&daemon).await, ["active", "active"]);

    running.types("go on\n").await;
    let (_, said) = running.ended().await;
    assert_eq!(said.code, 0, "{said}");
    // Nobody was asked, so that nothing was said.
    assert_eq!(said.stderr, "");
    assert!(said.stdout.ends_with(&*String::from_utf8_lossy(raw)), "{said}");
    assert_eq!(leases(&daemon).await, ["released", "released"]);
    assert!(!daemon.log().contains("hunter2"));
}

#[tokio::test]
async fn the_code_of_the_command_is_handed_on() {
    let daemon = daemon().await;
    let one = ["--env", "ONE=free/ONE"];
    for (script, code) in
        [("exit 0", 0), ("exit 7", 7), ("kill -TERM $$", 143), ("kill -KILL $$", 137)]
    {
        assert_eq!(code_of(&daemon, &one, script).await, code, "{script}");
    }
    let start = ["exec", "--key", "agent", "--reason", "r", "--env", "ONE=free/ONE", "--"];
    let home = daemon.path();
    for (program, code) in [("no-such-command", 127), ("/nowhere/x", 127), ("/", 126)] {
        let args = [&start[..], &[program]].concat();
        let said = run("vouchsafe", &home, args, b"").await.failed(code);
        assert_ne!(said.stderr, "");
    }
    let script = daemon.beside("script");
    std::fs::write(&script, "no program").unwrap();
    let args = [&start[..], &[script.to_str().unwrap()]].concat();
    run("vouchsafe", &home, args, b"").await.failed(126);
    assert_eq!(leases(&daemon).await.len(), 4, "nothing is asked for a command that is not there");
}

#[tokio::test]
async fn what_cannot_be_done_is_said_and_nothing_is_run() {
    let mut daemon = daemon().await;
    run("vouchsafe", &daemon.path(), ["secrets", "put", "free/NUL"], b"a\0b").await.ok();
    daemon.put("other/ONE", VALUE).await;
    daemon.key("blind", "secrets:read").await;
    let marker = daemon.beside("marker");
    let script = format!("touch {}", marker.display());
    for (options, code, words) in [
        (&["--env", "NUL=free/NUL"][..], 1, "NUL byte"),
        (&["--env", "1A=free/ONE"], 2, "no name of a variable"),
        (&["--env", "A=free/ONE", "A=free/TWO"], 2, "twice"),
        (&["--env", "A=hunter2 hunter2"], 2, "no secret's URI"),
        (&["--env", "A=free/NONE"], 4, "free/NONE"),
        (&["--env", "A=other/ONE"], REFUSED, "no rule"),
        (&["--env", "A=free/ONE", "--key", "nobody"], 4, "keys/nobody.key"),
    ] {
        let options: Vec<&str> = options.to_vec();
        let mut args = vec!["exec", "--reason", "r"];
        if !options.contains(&"--key") {
            args.extend(["--key", "agent"]);
        }
        args.extend(options.iter().copied());
        args.extend(["--", "/bin/sh", "-c", &script]);
        let said = run("vouchsafe", &daemon.path(), &args, b"").await;
        assert_eq!(said.code, code, "{options:?}: {said}");
        assert!(said.stderr.contains(words), "{options:?}: {said}");
        assert!(!said.stderr.contains("hunter2"), "{options:?}: {said}");
    }
    let start = ["exec", "--reason", "r", "--env", "A=free/ONE"];
    let end = ["--", "/bin/sh", "-c", &script];
    let args = [&start[..], &["--key", "blind"], &end].concat();
    let said = run("vouchsafe", &daemon.path(), args, b"").await.failed(REFUSED);
    assert!(said.stderr.contains("secrets:reveal"), "{said}");
    let said = run("vouchsafe", &daemon.path(), [&start[..], &end].concat(), b"").await.failed(2);
    assert!(said.stderr.contains("vouchsafe keys create"), "{said}");
    daemon.kill().await;
    let args = [&start[..], &["--key", "agent"], &end].concat();
    let said = run("vouchsafe", &daemon.path(), args, b"").await.failed(6);
    assert!(said.stderr.contains("vouchsafed serve"), "{said}");
    assert!(!marker.exists());
    daemon.again().await;
    assert_eq!(leases(&daemon).await, ["released"], "the lease on the value that does not fit");
}

/// Waits for the end of a program whose input stays open until then.
async fn is_over(running: &Running) {
    until("it has ended", async || {
        std::fs::read_to_string(format!("/proc/{}/stat", running.pid()))
            .map_or(Some(()), |stat| stat.contains(") Z ").then_some(()))
    })
    .await;
}

#[tokio::test]
async fn signals_are_handed_on() {
    let daemon = daemon().await;
    for (signal, name, code) in [
        (Signal::TERM, "TERM", 9),
        (Signal::INT, "INT", 10),
        (Signal::HUP, "HUP", 11),
        (Signal::QUIT, "QUIT", 12),
        (Signal::USR1, "USR1", 13),
        (Signal::USR2, "USR2", 14),
        (Signal::WINCH, "WINCH", 15),
    ] {
        // A shell that is about to read waits for a line before it looks at its traps.
        let script = format!("trap 'exit {code}' {name}; echo ready; while :; do sleep 0.05; done");
        let running = exec(&daemon, &["--env", "ONE=free/ONE"], &script);
        running.prints("ready").await;
        running.signal(signal);
        is_over(&running).await;
        assert_eq!(running.ended().await.1.code, code, "{name}");
    }
    let running = exec(&daemon, &["--env", "ONE=free/ONE"], "echo ready; read line");
    running.prints("ready").await;
    running.signal(Signal::TERM);
    is_over(&running).await;
    let (status, said) = running.ended().await;
    assert_eq!(status.code(), Some(143), "{said}");
    assert!(leases(&daemon).await.iter().all(|status| status == "released"));
}

#[tokio::test]
async fn a_key_at_the_terminal_reaches_the_command_once() {
    let daemon = daemon().await;
    // A shell that is about to read waits for a line before it looks at its traps.
    let script = "n=0; trap 'n=$((n+1)); echo \"got $n.\"' INT; echo ready; \
                  while test $n = 0; do sleep 0.05; done; \
                  until read line && test -n \"$line\"; do :; done; echo \"total $n.\"; exit 5";
    let args = [
        "exec",
        "--key",
        "agent",
        "--reason",
        "r",
        "--env",
        "ONE=free/ONE",
        "--",
        "/bin/sh",
        "-c",
        script,
    ];
    let mut terminal = Terminal::vouchsafe(&daemon, (24, 80), args);
    terminal.shows("ready").await;
    terminal.types("\u{3}").await;
    terminal.shows("got 1.").await;
    terminal.types("done\r").await;
    terminal.shows("total 1.").await;
    assert_eq!(terminal.ended().await.code(), Some(5));
}

#[tokio::test]
async fn a_denied_ask_runs_nothing_and_says_why() {
    let daemon = daemon().await;
    let marker = daemon.beside("marker");
    let script = format!("touch {}", marker.display());
    let running = exec(&daemon, &["--env", "ONE=asked/ONE", "TWO=asked/TWO"], &script);
    let noted = running.notes("waiting for approval ap_").await;
    let id = daemon.pending("vouchsafe://secrets/asked/TWO").await;
    assert!(noted.contains(&id), "{noted}");
    daemon.vouchsafe(["deny", &id, "--reason", "not on a Friday", "--yes"]).await.ok();
    let (_, said) = running.ended().await;
    assert_eq!(said.code, REFUSED, "{said}");
    assert!(said.stderr.contains("not on a Friday"), "{said}");
    assert!(!marker.exists());
}

#[tokio::test]
async fn it_waits_for_people_and_runs_once_they_approve() {
    let daemon = daemon().await;
    let options = ["--env", "ONE=asked/ONE", "TWO=asked/TWO", "FREE=free/ONE"];
    let script = "printf '%s' \"$ONE$TWO$FREE\"";
    let running = exec(&daemon, &options, script);
    let id = daemon.pending("vouchsafe://secrets/asked/ONE").await;
    running.notes(&id).await;
    daemon.vouchsafe(["approve", &id, "--yes"]).await.ok();
    let (_, said) = running.ended().await;
    assert_eq!((said.code, said.stdout.as_str()), (0, VALUE.repeat(3).as_str()), "{said}");
    let lines: Vec<&str> = said.stderr.lines().collect();
    let [waiting, approved] = lines[..] else { panic!("{said}") };
    assert!(waiting.starts_with(&format!("vouchsafe exec: waiting for approval {id}")), "{said}");
    assert!(approved.starts_with("vouchsafe exec: approved after "), "{said}");
    assert_eq!(leases(&daemon).await, ["released"; 3]);

    // What the approver leaves out is not asked for again.
    let running = exec(&daemon, &options, script);
    let id = daemon.pending("vouchsafe://secrets/asked/ONE").await;
    let only = "vouchsafe://secrets/asked/ONE";
    daemon.vouchsafe(["approve", &id, "--only", only, "--yes"]).await.ok();
    let (_, said) = running.ended().await;
    assert_eq!((said.code, said.stdout.as_str()), (REFUSED, ""), "{said}");
    assert!(said.stderr.contains("but only vouchsafe://secrets/asked/ONE\n"), "{said}");
    assert_eq!(pending(&daemon).await, 0);
    assert!(!leases(&daemon).await.contains(&"active".to_owned()));
}

#[tokio::test]
async fn a_person_at_a_terminal_sees_how_long_it_waits() {
    let daemon = daemon().await;
    let args = [
        "exec",
        "--key",
        "agent",
        "--reason",
        "INC-1042",
        "--env",
        "ONE=asked/ONE",
        "--",
        "/bin/sh",
        "-c",
        "echo \"has ${#ONE} characters\"",
    ];
    let mut terminal = Terminal::vouchsafe(&daemon, (24, 100), args);
    let id = daemon.pending("vouchsafe://secrets/asked/ONE").await;
    terminal.shows(&format!("waiting for approval {id} (expires ")).await;
    terminal.shows("s: INC-1042").await;
    daemon.vouchsafe(["approve", &id, "--yes"]).await.ok();
    let shown = terminal.shows(&format!("has {} characters", VALUE.len())).await;
    // The line is gone, and what is said in the end stays.
    assert!(shown.contains("approved after") && !shown.contains("waiting"), "{shown}");
    assert!(terminal.ended().await.success());
}

#[tokio::test]
async fn an_interrupted_wait_leaves_the_ask_and_the_same_command_goes_on_with_it() {
    let mut daemon = daemon().await;
    let options = ["--env", "ONE=asked/ONE"];
    let running = exec(&daemon, &options, "exit 0");
    let id = daemon.pending("vouchsafe://secrets/asked/ONE").await;
    running.notes(&id).await;
    running.signal(Signal::INT);
    let (_, said) = running.ended().await;
    assert_eq!(said.code, 130, "{said}");
    assert!(said.stderr.contains(&format!("vouchsafe deny {id}")), "{said}");
    assert_eq!(daemon.pending("vouchsafe://secrets/asked/ONE").await, id);

    // The daemon may go and come meanwhile.
    let running = exec(&daemon, &options, "exit 4");
    running.notes(&id).await;
    daemon.kill().await;
    running.notes("the daemon is away").await;
    daemon.again().await;
    daemon.vouchsafe(["approve", &id, "--yes"]).await.ok();
    let (_, said) = running.ended().await;
    assert_eq!(said.code, 4, "{said}");
    assert_eq!(listed(&daemon, &["approvals", "-o", "json"]).await.len(), 1);
    assert_eq!(leases(&daemon).await, ["released"]);
}

#[tokio::test]
async fn a_lease_that_is_revoked_is_said_and_ends_the_command_where_that_is_wanted() {
    let daemon = daemon().await;
    let warned = exec(&daemon, &["--env", "ONE=free/ONE"], "echo ready; read line; exit 6");
    let ended = exec(
        &daemon,
        &["--env", "ONE=free/TWO", "--on-lease-end", "terminate"],
        "trap 'echo told; exit 0' TERM; echo ready; while :; do sleep 0.05; done",
    );
    for running in [&warned, &ended] {
        running.prints("ready").await;
    }
    daemon.vouchsafe(["leases", "revoke", "--key", "agent"]).await.ok();
    let said = warned.notes("the command goes on").await;
    assert!(said.contains("secrets/free/ONE: ") && said.contains("(revoked)"), "{said}");
    ended.prints("told").await;
    let (_, said) = ended.ended().await;
    assert_eq!(said.code, LEASE_ENDED, "{said}");
    assert!(said.stderr.contains("the command is ended"), "{said}");
    // It goes on, and is told once.
    let (_, said) = warned.ended().await;
    assert_eq!((said.code, said.stderr.matches("has ended").count()), (6, 1), "{said}");
}

#[tokio::test]
async fn leases_are_renewed_as_far_as_they_go() {
    let daemon = daemon().await;
    daemon.rule("rules.toml", &format!("{RULES}{SHORT}"));
    daemon.vouchsafe(["policy", "reload"]).await.ok();
    daemon.put("short/ONE", VALUE).await;
    daemon.put("renewed/ONE", VALUE).await;
    let mut renewed = exec(&daemon, &["--env", "ONE=renewed/ONE"], "echo ready; read line; exit 0");
    renewed.prints("ready").await;
    let short = exec(
        &daemon,
        &["--env", "ONE=short/ONE", "--on-lease-end", "terminate"],
        "echo ready; while :; do read line; done",
    );
    let noted = short.notes("the command is ended").await;
    assert!(noted.contains("has ended (expired)"), "{noted}");
    assert_eq!(short.ended().await.1.code, LEASE_ENDED);

    until("it was renewed", async || {
        let args = ["leases", "--resource", "vouchsafe://secrets/renewed/*", "-o", "json"];
        let known = listed(&daemon, &args).await;
        let [lease] = &known[..] else { panic!("{known:?}") };
        assert_eq!(lease["status"], "active");
        lease["renewals"].as_u64().filter(|renewals| *renewals > 0)
    })
    .await;
    renewed.types("go on\n").await;
    let (_, said) = renewed.ended().await;
    assert_eq!((said.code, said.stderr.as_str()), (0, ""), "{said}");
}

#[tokio::test]
async fn a_command_that_does_not_end_when_it_is_told_is_made_to() {
    let daemon = daemon().await;
    daemon.rule("rules.toml", &format!("{RULES}{SHORT}"));
    daemon.vouchsafe(["policy", "reload"]).await.ok();
    daemon.put("short/ONE", VALUE).await;
    let options = ["--env", "ONE=short/ONE", "--on-lease-end", "terminate"];
    let running = exec(&daemon, &options, "trap '' TERM; echo ready; while :; do read line; done");
    running.notes("the command is ended").await;
    is_over(&running).await;
    let (_, said) = running.ended().await;
    let told = said.stderr.matches("the command is ended").count();
    assert_eq!((said.code, told), (LEASE_ENDED, 1), "{said}");
}
