use super::*;

fn parse(text: &str) -> Result<Config, ConfigError> {
    file::parse(Path::new("/home/vouchsafe.toml"), text, &Environment::default())
}

#[test]
fn without_a_file_the_defaults_hold() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join(FILE_NAME);
    let config = Config::load(&path, &Environment::default()).unwrap();
    assert_eq!(config, Config::defaults(dir.path()));
    assert_eq!(config.http.listen.to_string(), "127.0.0.1:7431");
}

#[test]
fn a_file_says_it_all_and_paths_begin_at_its_folder() {
    let config = parse(
        r#"
        [http]
        listen = "0.0.0.0:80"
        allowed_hosts = ["vault.example.com"]
        allowed_origins = ["https://app.example.com"]
        max_connections = 10
        [grpc]
        listen = "[::1]:7432"
        tls_cert = "tls/cert.pem"
        tls_key = "/etc/key.pem"
        [mcp]
        block_seconds = 45
        max_waiting = 7
        [policy]
        dir = "rules"
        watch = false
        approval = "required"
        approvers = ["group:security", "jane@example.com"]
        quorum = 2
        [root_key]
        source = "command"
        command = ["pass", "show", "vouchsafe"]
        [log]
        filter = "debug"
        format = "json"
        [store]
        readers = 8
        "#,
    )
    .unwrap();
    let tcp = config.grpc.tcp.unwrap();
    assert_eq!(tcp.tls_cert, Path::new("/home/tls/cert.pem"));
    assert_eq!(tcp.tls_key, Path::new("/etc/key.pem"));
    assert_eq!(config.policy.dir, Path::new("/home/rules"));
    assert!(!config.policy.watch);
    let approval = config.policy.approval.unwrap();
    let approvers = ["group:security", "jane@example.com"].map(|name| name.parse().unwrap());
    assert_eq!(approval, PolicyApproval { approvers: approvers.into(), quorum: 2 });
    assert_eq!(config.mcp, Mcp { block_for: Duration::from_secs(45), max_waiting: 7 });
    assert_eq!(config.log, Log { filter: "debug".to_owned(), format: LogFormat::Json });
    assert!(matches!(config.root_key, RootKey::Command(words) if words.len() == 3));
    assert_eq!((config.http.max_connections, config.store.readers), (10, 8));
}

#[test]
fn the_environment_goes_before_the_filter_and_says_where_credentials_are() {
    let environment = Environment {
        rust_log: Some("trace".to_owned()),
        credentials_directory: Some("/run/credentials".into()),
        ..Environment::default()
    };
    let text = "[log]\nfilter = \"warn\"\n[root_key]\nsource = \"credential\"\n";
    let config = file::parse(Path::new("/h/vouchsafe.toml"), text, &environment).unwrap();
    assert_eq!(config.log.filter, "trace");
    let RootKey::Credential { directory, name } = config.root_key else { panic!("a credential") };
    assert_eq!(directory, Path::new("/run/credentials"));
    assert_eq!(name, "vouchsafe-root-key");
}

#[test]
fn what_is_wrong_is_said_with_its_line_and_what_to_do() {
    for (text, said) in [
        (
            "\n[mcp]\nblock_seconds = 60\n",
            ":3: mcp.block_seconds is 60: 45 at most, since clients give up at 60 s; correct it",
        ),
        ("[mcp]\nmax_waiting = 0\n", ":2: mcp.max_waiting is 0: 1 to 10000; correct it"),
        (
            "[mcp]\nblock_secs = 5\n",
            ":2: unknown field `block_secs`, expected `block_seconds` or `max_waiting`; \
             take it away, or correct its spelling",
        ),
        (
            "[htpt]\n",
            ":1: unknown field `htpt`, expected one of `http`, `grpc`, `mcp`, `policy`, \
             `root_key`, `log`, `store`, `secrets`, `notify`; take it away, or correct its spelling",
        ),
        (
            "[http]\nlisten = \"localhost\"\n",
            ":2: http.listen is `localhost`, which is no address; write an IP address and a port, \
             such as 127.0.0.1:7431",
        ),
        (
            "[http]\nlisten = \"0.0.0.0:80\"\n",
            ":2: http.listen is 0.0.0.0:80, which other machines reach; list in \
             http.allowed_hosts what clients call it, or listen on 127.0.0.1",
        ),
        (
            "[http]\nallowed_hosts = [\"\"]\n",
            ":2: http.allowed_hosts has an empty entry; take it away",
        ),
        (
            "[grpc]\nlisten = \"127.0.0.1:1\"\n",
            ":2: grpc.tls_cert and grpc.tls_key are missing: gRPC over TCP is always with TLS; \
             give all three, or none of them",
        ),
        (
            "[grpc]\ntls_cert = \"a\"\ntls_key = \"b\"\n",
            ":2: grpc.listen is missing: gRPC over TCP is always with TLS; give all three, or \
             none of them",
        ),
        (
            "[root_key]\nsource = \"passphrase\"\n",
            ":2: root_key.path is missing, or too long; name the private file that holds the \
             passphrase",
        ),
        (
            "[root_key]\npath = \"k\"\ncommand = [\"x\"]\n",
            ":3: root_key.command means nothing where the source is file; take it away, or change \
             root_key.source",
        ),
        (
            "[root_key]\nsource = \"credential\"\n",
            ":2: root_key.source is credential, and systemd gives none; start the daemon as a \
             unit with LoadCredential=, or change the source",
        ),
        ("[store]\nreaders = 33\n", ":2: store.readers is 33: 1 to 32; correct it"),
        (
            "[log]\nformat = \"xml\"\n",
            ":2: unknown variant `xml`, expected `pretty` or `json`; correct it",
        ),
        (
            "[mcp]\nblock_seconds = \"5\"\n",
            ":2: invalid type: string \"5\", expected i64; correct it",
        ),
    ] {
        let error = parse(text).unwrap_err();
        assert_eq!(error.to_string(), format!("/home/vouchsafe.toml{said}"));
    }
}

#[test]
fn everything_that_is_wrong_is_said_at_once() {
    let error = parse("[store]\nreaders = 0\n[mcp]\nblock_seconds = -1\n").unwrap_err();
    assert_eq!(error.problems.iter().map(|problem| problem.line).collect::<Vec<_>>(), [2, 4]);
}

#[test]
fn a_file_that_cannot_be_read_is_no_missing_file() {
    let dir = tempfile::tempdir().unwrap();
    let error = Config::load(dir.path(), &Environment::default()).unwrap_err();
    assert!(error.to_string().contains("cannot be read: it is not a regular file"), "{error}");
}

#[test]
fn who_approves_changes_of_the_rules_is_checked() {
    let required = |rest: &str| parse(&format!("[policy]\napproval = \"required\"\n{rest}\n"));
    let everybody = required("").unwrap().policy.approval.unwrap();
    assert_eq!(everybody, PolicyApproval { approvers: Vec::new(), quorum: 1 });
    for rest in ["quorum = 0", "quorum = 21", "approvers = [\"group:\"]", "approvers = [\"\"]"] {
        assert!(required(rest).is_err(), "{rest}");
    }
    let error = parse("[policy]\nquorum = 2\n").unwrap_err();
    assert_eq!(
        error.to_string(),
        "/home/vouchsafe.toml:2: policy.approvers and policy.quorum say who approves a change of the \
         rules, and policy.approval asks nobody; write approval = \"required\", or take them away"
    );
    assert!(parse("[policy]\napproval = \"none\"\n").unwrap().policy.approval.is_none());
    assert!(parse("[policy]\napproval = \"maybe\"\n").is_err());
}

#[test]
fn what_stands_before_the_daemon_is_checked() {
    let proxies = "[http]\ntrusted_proxies = [\"127.0.0.1\", \"10.0.0.0/8\", \"::1\"]\n";
    let trusted = parse(proxies).unwrap().http.trusted_proxies;
    assert_eq!(
        trusted.iter().map(ToString::to_string).collect::<Vec<_>>(),
        ["127.0.0.1/32", "10.0.0.0/8", "::1/128"]
    );
    let error = parse("[http]\ntrusted_proxies = [\"10.0.0.0/33\"]\n").unwrap_err();
    assert_eq!(
        error.to_string(),
        "/home/vouchsafe.toml:2: http.trusted_proxies has `10.0.0.0/33`, which is no address and no \
         network; write addresses such as 127.0.0.1 or 10.0.0.0/8"
    );
    for url in ["https://vault.example.com", "http://vault.localhost:7431/"] {
        assert!(parse(&format!("[http]\npublic_url = \"{url}\"\n")).is_ok(), "{url}");
    }
    for url in ["http://localhost:7431", "https://[::1]"] {
        let error = parse(&format!("[http]\npublic_url = \"{url}\"\n")).unwrap_err();
        assert_eq!(
            error.to_string(),
            format!(
                "/home/vouchsafe.toml:2: http.public_url is `{url}`, a name that every program on \
                 this machine has: each would be shown the cookies of the pages; take it away: \
                 the pages are at http://vouchsafe.localhost and the port then"
            )
        );
    }
    let error = parse("[http]\npublic_url = \"http://vault.example.com\"\n").unwrap_err();
    assert_eq!(
        error.to_string(),
        "/home/vouchsafe.toml:2: http.public_url is `http://vault.example.com`, and without TLS \
         browsers keep nobody signed in: their cookie is for https:// alone, and for this very \
         machine; put a proxy with TLS before it, and write https://"
    );
}

#[test]
fn links_that_lead_nowhere_are_warned_of() {
    let email = "[notify.email]\nserver = \"smtp.example.com:587\"\nfrom = \"vault@example.com\"\n";
    let told = parse(email).unwrap().warnings();
    assert_eq!(
        told,
        [
            "the links in messages (email) lead to what http.listen has, 127.0.0.1:7431, which other \
          machines may not reach; set http.public_url to where people's browsers reach the daemon"
        ]
    );
    let named = format!("[http]\npublic_url = \"https://vault.example.com\"\n{email}");
    assert!(parse(&named).unwrap().warnings().is_empty());
    assert!(parse("").unwrap().warnings().is_empty());
}
