//! The log, as somebody proves it who trusts nobody.

use vouchsafe_tests::process::RealDaemon;

#[tokio::test]
async fn a_log_is_proved_online_and_an_export_without_the_daemon() {
    let daemon = RealDaemon::start().await;
    daemon.put("asked/ONE", "a value").await;
    let online = daemon.vouchsafe(["audit", "verify"]).await.ok();
    assert!(online.stdout.contains("the log is whole"), "{online}");
    let file = daemon.beside("log");
    let path = file.to_str().unwrap();
    daemon.vouchsafe(["audit", "export", "--out", path]).await.ok();
    daemon.vouchsafe(["audit", "export", "--out", path]).await.failed(5);
    let home = daemon.stop().await;

    home.vouchsafe(["audit", "verify", path]).await.ok();
    let key = home.read("audit.pub");
    home.vouchsafe(["audit", "verify", path, "--public-key", key.trim()]).await.ok();
    let whole = home.vouchsafed(["verify"]).await.ok();
    assert!(whole.to_string().contains("the log is whole"), "{whole}");

    // Another daemon's key proves nothing about this log.
    let other = RealDaemon::start().await.read("audit.pub");
    home.vouchsafe(["audit", "verify", path, "--public-key", other.trim()]).await.failed(7);
}

#[tokio::test]
async fn whatever_is_done_to_an_export_is_found() {
    let daemon = RealDaemon::start().await;
    for n in 0..4 {
        daemon.put(&format!("asked/N{n}"), "a value").await;
    }
    let file = daemon.beside("log");
    let path = file.to_str().unwrap();
    daemon.vouchsafe(["audit", "export", "--out", path]).await.ok();
    let whole = std::fs::read_to_string(&file).unwrap();
    let lines: Vec<&str> = whole.lines().collect();
    let with = |lines: &[&str]| [lines.join("\n"), String::new()].join("\n");
    let swapped = {
        let mut lines = lines.clone();
        lines.swap(2, 3);
        with(&lines)
    };
    let doubled = [&lines[..2], &lines[1..]].concat();
    for (what, text) in [
        ("edited", whole.replacen("asked/N1", "asked/N9", 1)),
        ("cut at its end", with(&lines[..lines.len() - 1])),
        ("cut in the middle", with(&[&lines[..2], &lines[3..]].concat())),
        ("cut at its beginning", with(&lines[1..])),
        ("put in another order", swapped),
        ("an entry twice", with(&doubled)),
        ("without its last line feed", whole.trim_end().to_owned()),
        ("empty", String::new()),
    ] {
        std::fs::write(&file, text).unwrap();
        let said = daemon.vouchsafe(["audit", "verify", path]).await;
        assert_eq!(said.code, 7, "{what}: {said}");
    }
    std::fs::write(&file, &whole).unwrap();
    daemon.vouchsafe(["audit", "verify", path]).await.ok();

    let note = daemon.beside("log.checkpoint");
    let signed = std::fs::read_to_string(&note).unwrap();
    let size = lines.len().to_string();
    let shorter = signed.replacen(&format!("\n{size}\n"), &format!("\n{}\n", lines.len() - 1), 1);
    assert_ne!(shorter, signed);
    std::fs::write(&note, shorter).unwrap();
    daemon.vouchsafe(["audit", "verify", path]).await.failed(7);
}
