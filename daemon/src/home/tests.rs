use std::fs::Permissions;
use std::os::unix::fs::symlink;

use super::*;

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[test]
fn a_home_is_named_by_the_flag_then_the_variable_then_the_user() {
    let mut environment = Environment {
        vouchsafe_home: Some("/srv/v".into()),
        user_home: Some("/home/jane".into()),
        ..Environment::default()
    };
    let find = |given: Option<&str>, environment: &Environment| {
        Home::find(given.map(Path::new), environment).ok()
    };
    assert_eq!(find(Some("/x"), &environment), Some("/x".into()));
    assert_eq!(find(None, &environment), Some("/srv/v".into()));
    environment.vouchsafe_home = None;
    assert_eq!(find(None, &environment), Some("/home/jane/.vouchsafe".into()));
    environment.user_home = None;
    assert_eq!(find(None, &environment), None);
}

#[test]
fn a_new_home_is_closed_to_others() {
    let dir = tempfile::tempdir().unwrap();
    let home = Home::create(&dir.path().join("a/b")).unwrap();
    assert_eq!(mode(home.dir()), 0o700);
}

#[test]
fn a_home_that_is_not_closed_is_refused_with_the_line_that_closes_it() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("home");
    fs::create_dir(&path).unwrap();
    fs::set_permissions(&path, Permissions::from_mode(0o750)).unwrap();
    let shown = path.display();
    assert_eq!(
        Home::create(&path).unwrap_err().to_string(),
        format!("other users can reach into {shown} (mode 0750): run `chmod 700 {shown}`")
    );
}

#[test]
fn a_link_a_file_and_nothing_are_no_homes() {
    let dir = tempfile::tempdir().unwrap();
    let (real, link, file) = (dir.path().join("r"), dir.path().join("l"), dir.path().join("f"));
    Home::create(&real).unwrap();
    symlink(&real, &link).unwrap();
    fs::write(&file, "").unwrap();
    assert!(matches!(Home::create(&link), Err(HomeError::Symlink { .. })));
    assert!(matches!(Home::create(&file), Err(HomeError::NotAFolder { .. })));
    let missing = Home::open(&dir.path().join("none")).unwrap_err();
    assert!(missing.to_string().contains("make one with `vouchsafed init --home "), "{missing}");
}

#[test]
fn a_dev_home_is_new_or_empty_or_marked() {
    let dir = tempfile::tempdir().unwrap();
    let new = dir.path().join("new");
    assert!(Home::create_dev(&new).unwrap().is_dev());
    fs::write(new.join("more"), "").unwrap();
    assert!(Home::create_dev(&new).is_ok(), "it is marked");

    let real = Home::create(&dir.path().join("real")).unwrap();
    fs::write(real.dir().join("vouchsafe.db"), "").unwrap();
    assert!(matches!(Home::create_dev(real.dir()), Err(HomeError::NotDev { .. })));
    assert!(!real.is_dev());
}

#[test]
fn a_second_daemon_is_told_who_the_first_one_is() {
    let dir = tempfile::tempdir().unwrap();
    let home = Home::create(&dir.path().join("home")).unwrap();
    let lock = home.lock().unwrap();
    let pid = std::process::id();
    assert_eq!(
        home.lock().unwrap_err().to_string(),
        format!("a daemon (pid {pid}) serves {} already: stop it first", home.dir().display())
    );
    drop(lock);
    assert!(home.lock().is_ok());
}

#[test]
fn what_a_killed_daemon_left_is_cleared_under_the_lock_alone() {
    let dir = tempfile::tempdir().unwrap();
    let home = Home::create(&dir.path().join("home")).unwrap();
    let lock = home.lock().unwrap();
    fs::write(home.grpc_socket(), "").unwrap();
    home.lock().unwrap_err();
    assert!(home.grpc_socket().exists(), "another daemon serves it");
    drop(lock);
    let _lock = home.lock().unwrap();
    assert!(!home.grpc_socket().exists());
}

#[test]
fn private_files_are_whole_and_nobody_elses() {
    let dir = tempfile::tempdir().unwrap();
    let home = Home::create(&dir.path().join("home")).unwrap();
    home.write_credentials("admin", "vs_user_1").unwrap();
    home.write_credentials("admin", "vs_user_2").unwrap();
    let path = home.credentials_file();
    assert_eq!(fs::read_to_string(&path).unwrap(), "user = \"admin\"\ntoken = \"vs_user_2\"\n");
    assert_eq!(mode(&path), 0o600);
    assert_eq!(fs::read_dir(home.dir()).unwrap().count(), 1);
}

#[test]
fn run_json_says_where_the_daemon_listens_while_it_does() {
    let dir = tempfile::tempdir().unwrap();
    let home = Home::create(&dir.path().join("home")).unwrap();
    home.write_run("127.0.0.1:7431".parse().unwrap(), None).unwrap();
    let run: serde_json::Value =
        serde_json::from_str(&fs::read_to_string(home.run_file()).unwrap()).unwrap();
    let pid = std::process::id();
    assert_eq!(run, serde_json::json!({"pid": pid, "http": "127.0.0.1:7431", "grpc": null}));
    home.clear_run().unwrap();
    assert!(!home.run_file().exists());
}
