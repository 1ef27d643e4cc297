//! The code's own rules, which no compiler holds: who may use whom, how large a file grows, what
//! SQL may say.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test that cannot read the code fails"
)]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// The longest a source file may be, in lines, tests apart.
const FILE_LINES_MAX: usize = 600;

/// What each module of the daemon may use of the others.
const MAY_USE: &[(&str, &[&str])] = &[
    ("app", &["*"]),
    ("main", &["*"]),
    ("broker", &["clock", "generate", "policy_files", "store", "vault"]),
    ("clock", &[]),
    ("config", &[]),
    ("generate", &["vault"]),
    ("grpc", &["broker", "tasks", "telemetry"]),
    ("hardening", &[]),
    ("home", &["config"]),
    ("mcp", &["broker", "tasks", "telemetry"]),
    ("notify", &["clock", "config"]),
    ("policy_files", &[]),
    ("reconcile", &["broker", "notify"]),
    // The vault's stored state is plain data, kept as it is.
    ("store", &["clock", "vault"]),
    ("tasks", &[]),
    ("telemetry", &[]),
    ("vault", &[]),
    ("web", &["broker", "tasks", "telemetry"]),
];

/// Crates that one place alone may use.
const ONE_PLACE: &[(&str, &[&str])] = &[
    ("rusqlite", &["store"]),
    ("vouchsafe_proto", &["grpc"]),
    ("tonic", &["grpc"]),
    ("rmcp", &["mcp", "telemetry"]),
    ("ring::aead", &["vault"]),
    ("argon2", &["vault"]),
    ("axum", &["mcp", "web"]),
    ("askama", &["notify", "web"]),
    ("form_urlencoded", &["web"]),
    ("sd_notify", &["app"]),
    ("notify", &["app"]),
    ("lettre", &["notify"]),
    ("reqwest", &["notify"]),
    ("similar", &["broker"]),
    ("bip39", &["generate"]),
    // It makes keys. Nothing is encrypted or signed with it: ring does that.
    ("rsa", &["generate"]),
];

/// All that the core may depend on: nothing with a runtime, a file or a clock in it.
const CORE_DEPENDENCIES: &[&str] = &[
    "cel",
    "chrono",
    "chrono-tz",
    "crc32fast",
    "cron",
    "data-encoding",
    "globset",
    "humantime",
    "regex",
    "ring",
    "serde",
    "serde_json",
    "serde_json_canonicalizer",
    "thiserror",
    "toml",
    "unicode-properties",
    "zeroize",
];

struct Source {
    path: PathBuf,
    text: String,
}

#[test]
fn each_module_uses_only_what_it_may() {
    let mut wrong = Vec::new();
    for source in sources("daemon/src") {
        let module = module(&source.path);
        if module == "lib" {
            continue;
        }
        let (_, allowed) = MAY_USE
            .iter()
            .find(|(name, _)| *name == module)
            .unwrap_or_else(|| panic!("{module} is not in the table of who may use whom"));
        for used in used_modules(&source.text) {
            if used != module && !allowed.contains(&"*") && !allowed.contains(&used.as_str()) {
                wrong.push(format!("{} uses {used}", source.path.display()));
            }
        }
    }
    assert_eq!(wrong, [""; 0]);
}

#[test]
fn each_of_these_crates_has_one_place() {
    let mut wrong = Vec::new();
    for source in sources("daemon/src") {
        let module = module(&source.path);
        for (name, places) in ONE_PLACE {
            let used = [
                format!("use {name}"),
                format!(" {name}::"),
                format!("({name}::"),
                format!("<{name}::"),
            ]
            .iter()
            .any(|mark| source.text.contains(mark.as_str()));
            if used && !places.contains(&module.as_str()) {
                wrong.push(format!("{} uses {name}", source.path.display()));
            }
        }
    }
    assert_eq!(wrong, [""; 0]);
}

#[test]
fn answers_to_agents_have_one_way_out() {
    let marks =
        ["ServerHandler for", "Service<RoleServer> for", ".notify_", "peer.send", ".peer()"];
    let mut wrong = Vec::new();
    for source in sources("daemon/src/mcp") {
        let outlet = source.path.ends_with("mcp/outlet.rs");
        for mark in marks {
            if source.text.contains(mark) && !outlet {
                wrong.push(format!("{} has {mark}", source.path.display()));
            }
        }
    }
    assert_eq!(wrong, [""; 0]);
}

#[test]
fn the_core_depends_on_nothing_that_does_anything() {
    let manifest = read("daemon/core/Cargo.toml");
    let dependencies =
        manifest.split("\n[dependencies]\n").nth(1).unwrap().split("\n[").next().unwrap();
    let names: Vec<_> = dependencies
        .lines()
        .filter_map(|line| line.split(['.', ' ']).next())
        .filter(|n| !n.is_empty())
        .collect();
    assert_eq!(names, CORE_DEPENDENCIES);
    for source in sources("daemon/core/src") {
        for mark in ["std::fs", "std::net", "std::env", "std::thread", "SystemTime", "Instant"] {
            assert!(!source.text.contains(mark), "{} uses {mark}", source.path.display());
        }
    }
}

#[test]
fn the_command_line_never_depends_on_the_daemon() {
    assert!(!read("approver-cli/Cargo.toml").contains("vouchsafed"));
}

#[test]
fn no_file_is_too_long() {
    let mut wrong = Vec::new();
    for folder in ["daemon/src", "daemon/core/src", "approver-cli/src", "proto/src"] {
        for source in sources(folder) {
            let lines = source.text.lines().count();
            if lines > FILE_LINES_MAX {
                wrong.push(format!("{}: {lines} lines", source.path.display()));
            }
        }
    }
    assert_eq!(wrong, [""; 0]);
}

#[test]
fn no_folder_has_a_mod_rs() {
    for folder in ["daemon", "approver-cli/src", "tests"] {
        assert!(walk(&root().join(folder)).iter().all(|path| !path.ends_with("mod.rs")));
    }
}

#[test]
fn every_statement_says_whose_it_is_and_is_one_that_postgresql_takes() {
    let mut seen = 0;
    for source in sources("daemon/src/store") {
        for statement in statements(&source.text) {
            seen += 1;
            let at = format!("{}: {statement}", source.path.display());
            assert!(parameters_in_order(&statement), "parameters out of order in {at}");
            for word in
                ["INSERT OR", "REPLACE INTO", "rowid", "strftime", "datetime(", "GLOB ", "ifnull("]
            {
                assert!(!statement.contains(word), "{word} in {at}");
            }
        }
    }
    assert!(seen > 50, "only {seen} statements were found");
}

#[test]
fn every_test_that_the_architecture_names_is_there() {
    let page = read("daemon/ARCHITECTURE.md");
    let rows: Vec<_> =
        page.lines().filter(|line| line.starts_with("| ") && line.contains("` |")).collect();
    let mut named = BTreeSet::new();
    for row in rows {
        let last = row.trim_end_matches('|').rsplit('|').next().unwrap_or_default();
        named.extend(last.split('`').skip(1).step_by(2).map(str::to_owned));
    }
    let named: Vec<_> = named.into_iter().filter(|name| name.contains('/')).collect();
    assert!(named.len() >= 6, "the table of invariants names {named:?}");
    for name in named {
        assert!(
            root().join("tests").join(format!("{name}.rs")).exists() || root().join(&name).exists(),
            "ARCHITECTURE.md names {name}, which is not there"
        );
    }
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).expect(path)
}

fn walk(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(walk(&path));
        } else {
            found.push(path);
        }
    }
    found.sort();
    found
}

/// The sources below a folder (and the file of its own name beside it), without tests.
fn sources(folder: &str) -> Vec<Source> {
    let base = root().join(folder);
    let mut paths = walk(&base);
    paths.push(base.with_extension("rs"));
    paths.retain(|path| path.extension().is_some_and(|e| e == "rs") && path.exists());
    let found: Vec<_> = paths
        .into_iter()
        .filter(|path| {
            !path.ends_with("tests.rs") && !path.components().any(|c| c.as_os_str() == "tests")
        })
        .map(|path| {
            let text = fs::read_to_string(&path).unwrap();
            let text = text.split("\n#[cfg(test)]\nmod ").next().unwrap_or_default().to_owned();
            Source { path, text }
        })
        .collect();
    assert!(!found.is_empty(), "there is nothing in {folder}");
    found
}

/// The module of the daemon that a file belongs to: `broker` for `broker/keys.rs`.
fn module(path: &Path) -> String {
    let below = path.strip_prefix(root().join("daemon/src")).unwrap();
    let first = below.components().next().unwrap().as_os_str().to_str().unwrap();
    first.trim_end_matches(".rs").to_owned()
}

/// Every `crate::NAME` in a text, in lists too.
fn used_modules(text: &str) -> BTreeSet<String> {
    let name = |text: &str| -> String {
        text.chars().take_while(|c| c.is_ascii_lowercase() || *c == '_').collect()
    };
    let mut used = BTreeSet::new();
    for rest in text.split("crate::").skip(1) {
        match rest.strip_prefix('{') {
            Some(list) => {
                let list = list.split(';').next().unwrap_or_default();
                used.extend(list.split(',').map(|item| name(item.trim())));
            }
            None => {
                used.insert(name(rest));
            }
        }
    }
    used.remove("");
    used
}

/// The SQL in a source: string literals that begin with the comment that names their function.
fn statements(text: &str) -> Vec<String> {
    text.split('"').filter(|literal| literal.starts_with("-- ")).map(str::to_owned).collect()
}

/// Whether `$1`, `$2`.. are first used in this order, as positional binding needs it.
fn parameters_in_order(statement: &str) -> bool {
    let mut highest = 0_u32;
    for rest in statement.split('$').skip(1) {
        let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
        let number: u32 = digits.parse().unwrap_or(0);
        if number == 0 || number > highest + 1 {
            return false;
        }
        highest = highest.max(number);
    }
    true
}
