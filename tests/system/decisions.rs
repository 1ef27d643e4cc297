//! The decision tables in `tests/decisions`, asked for real: each case by a key of its own, at its
//! time, through MCP. What came of it is read from what people see. The core's test of these tables
//! asks the rules alone; here is what the daemon makes of them.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::{fs, slice};

use serde_json::{Map, Value, json};
use vouchsafe_core::key::RATE_MAX;
use vouchsafe_core::policy::{
    Case, Considered, Directory, Member, Options, PolicyFile, RuleSet, parse, parse_cases,
};
use vouchsafe_core::resource::{Kind, Operation};
use vouchsafe_core::time::UnixTime;
use vouchsafe_proto::v1::{
    ApprovedBy, CreateKeyRequest, DeleteKeyRequest, DisableUserRequest, Lease, Level,
    ListLeasesRequest, PageRequest, Role,
};
use vouchsafe_tests::daemon::TestDaemon;
use vouchsafe_tests::mcp::{Agent, Answer};
use vouchsafed::clock::Clock as _;

use crate::minutes;

/// Who there is, as `people.toml` says.
#[derive(serde::Deserialize)]
struct People {
    user: Vec<User>,
    key: Vec<Key>,
}

#[derive(serde::Deserialize)]
struct User {
    name: String,
    roles: Vec<String>,
    groups: Vec<String>,
    #[serde(default = "yes")]
    enabled: bool,
}

#[derive(serde::Deserialize)]
struct Key {
    name: String,
    owner: String,
    level: String,
    scopes: Vec<String>,
}

impl People {
    fn directory(&self) -> Directory {
        let member = |user: &User| Member {
            name: user.name.clone(),
            enabled: user.enabled,
            approves: user.roles.iter().any(|role| role == "approver"),
            groups: user.groups.clone(),
        };
        Directory { members: self.user.iter().map(member).collect() }
    }
}

const fn yes() -> bool {
    true
}

/// One test a folder: they run beside each other.
macro_rules! tables {
    ($($folder:ident: $asked:literal),* $(,)?) => {
        const FOLDERS: &[&str] = &[$(stringify!($folder)),*];

        $(
            #[tokio::test]
            async fn $folder() {
                check_all(stringify!($folder), $asked).await;
            }
        )*
    };
}

// With how many of its cases can be asked through MCP at least.
tables! {
    expressions: 23,
    levels: 33,
    observed: 12,
    people: 9,
    reasons: 34,
    specificity: 28,
    times: 52,
    together: 17,
}

#[test]
fn every_table_is_asked() {
    let entries = fs::read_dir(root()).unwrap();
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let names: BTreeSet<_> = names.collect();
    assert_eq!(names, FOLDERS.iter().map(|folder| (*folder).to_owned()).collect());
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("decisions")
}

/// Asks each case of a folder that can be asked, and says all that went otherwise.
async fn check_all(folder: &str, asked: usize) {
    let read = |name: &str| fs::read_to_string(root().join(folder).join(name)).unwrap();
    let people: People = toml::from_str(&read("people.toml")).unwrap();
    let name = format!("{folder}/rules.cases.toml");
    let mut cases = parse_cases(&PolicyFile { name, text: read("rules.cases.toml") }).unwrap();
    let rules = PolicyFile { name: "rules.toml".to_owned(), text: read("rules.toml") };
    let set = parse(slice::from_ref(&rules), &people.directory(), &Options::default()).unwrap();
    cases.retain(|case| can_be_asked(case, &set));
    // Time goes one way.
    cases.sort_by_key(at);
    let mut daemon = daemon(&people, at(&cases[0])).await;
    for path in cases.iter().filter_map(path).collect::<BTreeSet<_>>() {
        daemon.admin().put(&path, "a value").await;
    }
    let loaded = daemon.load_rules(&rules.text).await;
    assert!(loaded.problems.is_empty(), "{:?}", loaded.problems);
    let mut wrong = Vec::new();
    for case in &cases {
        daemon.clock.advance(at(case).since(daemon.clock.now().wall));
        let key = people.key.iter().find(|key| Some(&key.name) == case.key.as_ref()).unwrap();
        let got = outcome(&mut daemon, key, case).await;
        let expected = expected(case);
        if got.0 != expected.0 || expected.1.is_some() && got.1 != expected.1 {
            let place = format!("{}:{}: {}", case.file, case.line, case.name);
            wrong.push(format!("{place}: {got:?}, not {expected:?}"));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert!(cases.len() >= asked, "{} cases of {folder} can be asked", cases.len());
}

/// What shows of what a case expects: the word, and the rule behind what was given or asked for, or
/// what the reason lacks.
fn expected(case: &Case) -> (String, Option<String>) {
    let facts: BTreeMap<_, _> = case.expected().collect();
    let word = facts["expect"];
    let shows = match word {
        "refuse" => None,
        "reason" => facts.get("reason_lacks"),
        _ => facts.get("rule"),
    };
    (word.to_owned(), shows.map(|fact| (*fact).to_owned()))
}

/// Calls of tools need an upstream, and what may be listed is not asked for one by one. Nor can a
/// case be asked that says nothing of reasons, where its rule wants one.
fn can_be_asked(case: &Case, rules: &RuleSet) -> bool {
    let there = match case.resource.kind() {
        Kind::Secrets => !matches!(case.operation, Operation::List | Operation::Call),
        Kind::Audit => case.operation == Operation::Read,
        Kind::Tools | Kind::Policy => false,
    };
    let expected = case.expected().next().map(|(_, word)| word);
    let lacks = match rules.consider(&case.circumstances()) {
        Considered::ReasonLacks { .. } => expected != Some("reason"),
        _ => false,
    };
    there && !lacks
}

fn at(case: &Case) -> UnixTime {
    case.circumstances().now
}

fn path(case: &Case) -> Option<String> {
    case.resource.to_string().strip_prefix("vouchsafe://secrets/").map(str::to_owned)
}

/// A daemon with these people, at an hour before this time.
async fn daemon(people: &People, first: UnixTime) -> TestDaemon {
    let builder = TestDaemon::builder().block_for(minutes(0)).empty();
    let mut daemon = builder.at(first.minus(minutes(60))).start().await;
    for user in &people.user {
        let roles: Vec<_> = user.roles.iter().map(|role| self::role(role)).collect();
        let groups: Vec<_> = user.groups.iter().map(String::as_str).collect();
        daemon.add_user(&user.name, &roles, &groups).await;
        if !user.enabled {
            let request = DisableUserRequest { name: user.name.clone(), reason: String::new() };
            daemon.admin().users().disable_user(request).await.unwrap();
        }
    }
    daemon
}

fn role(word: &str) -> Role {
    Role::from_str_name(&format!("ROLE_{}", word.to_uppercase())).unwrap()
}

fn level(word: &str) -> Level {
    Level::from_str_name(&format!("LEVEL_{}", word.to_uppercase())).unwrap()
}

/// Asks a case with a key that nothing was given to before: the decision, in the words of the
/// tables, and what shows of it besides.
async fn outcome(daemon: &mut TestDaemon, key: &Key, case: &Case) -> (String, Option<String>) {
    daemon
        .add_key_as(CreateKeyRequest {
            name: key.name.clone(),
            owner: key.owner.clone(),
            scopes: key.scopes.clone(),
            level: level(&key.level).into(),
            rate: RATE_MAX,
            ..CreateKeyRequest::default()
        })
        .await;
    let before = leases(daemon, key).await;
    if let Some(path) = path(case).filter(|_| case.operation == Operation::Delete) {
        // An earlier case may have deleted it.
        daemon.admin().put(&path, "a value").await;
    }
    let answer = ask(&daemon.agent(&key.name), case).await;
    let after = leases(daemon, key).await;
    let lacks = |what: &str| ("reason".to_owned(), Some(what.to_owned()));
    let decided = match (answer.code(), answer.status()) {
        ("POLICY_REFUSED", _) => ("refuse".to_owned(), None),
        ("REASON_NEEDED" | "REASON_TOO_SHORT", _) => lacks("length"),
        ("REASON_FORM", _) => lacks("form"),
        ("REASON_KIND_NEEDED", _) => lacks("kind"),
        ("", "pending") => {
            let asked = daemon.admin().show(&answer.approval()).await.unwrap();
            ("ask".to_owned(), Some(asked.items[0].rule.clone()))
        }
        ("", "applied") => made_by(daemon, case).await,
        ("", _) => {
            let given: Vec<_> = after.iter().filter(|(id, _)| !before.contains_key(*id)).collect();
            assert_eq!(given.len(), 1, "{}: {answer:?}", case.name);
            given_by(daemon, given[0].1).await
        }
        (code, _) => (code.to_owned(), None),
    };
    let request = DeleteKeyRequest { name: key.name.clone(), ..DeleteKeyRequest::default() };
    daemon.admin().keys().delete_key(request).await.unwrap();
    decided
}

async fn given_by(daemon: &TestDaemon, lease: &Lease) -> (String, Option<String>) {
    let word = if lease.observed {
        "observe"
    } else if lease.approval_id.is_empty() {
        "allow"
    } else {
        let approval = daemon.admin().show(&lease.approval_id).await.unwrap();
        assert_eq!(approval.approved_by(), ApprovedBy::Rule);
        let holds = approval.conditions.iter().all(|condition| condition.holds);
        assert!(holds && !approval.conditions.is_empty(), "{:?}", approval.conditions);
        "approve"
    };
    (word.to_owned(), Some(lease.rule.clone()))
}

/// Who or what let a change be made that nobody was asked for, as the log has it.
async fn made_by(daemon: &TestDaemon, case: &Case) -> (String, Option<String>) {
    let action = match case.operation {
        Operation::Delete => "secret.deleted",
        _ => "secret.written",
    };
    let entry = daemon.admin().log_of(action).await.pop().unwrap();
    let rule = entry["details"]["rule"].as_str().unwrap().to_owned();
    let word = if entry["details"]["observed"] == true {
        "observe"
    } else if entry["approval"].is_null() {
        "allow"
    } else {
        "approve"
    };
    (word.to_owned(), Some(rule))
}

/// The leases of all keys that had this name, ended ones too.
async fn leases(daemon: &TestDaemon, key: &Key) -> BTreeMap<String, Lease> {
    let request = ListLeasesRequest {
        key: key.name.clone(),
        page: Some(PageRequest { size: 500, token: String::new() }),
        ..ListLeasesRequest::default()
    };
    let listed = daemon.admin().leases().list_leases(request).await.unwrap().into_inner().leases;
    listed.into_iter().map(|lease| (lease.id.clone(), lease)).collect()
}

async fn ask(agent: &Agent, case: &Case) -> Answer {
    let mut arguments = Map::new();
    if let Some(reason) = &case.reason {
        arguments.insert("reason".to_owned(), json!(reason.original()));
    }
    if let Some(kind) = &case.reason_kind {
        arguments.insert("reason_kind".to_owned(), json!(kind));
    }
    if case.resource.kind() == Kind::Audit {
        return agent.call("query_audit", Value::Object(arguments)).await;
    }
    let uri = json!(case.resource.to_string());
    match case.operation {
        Operation::Write => {
            arguments.insert("uri".to_owned(), uri);
            // Not the one that is there: what nobody need be asked for is made at once.
            arguments.insert("value".to_owned(), json!("another value"));
            return agent.call("write_secret", Value::Object(arguments)).await;
        }
        Operation::Delete => {
            arguments.insert("uri".to_owned(), uri);
            return agent.call("delete_secret", Value::Object(arguments)).await;
        }
        _ => {}
    }
    arguments.insert("resources".to_owned(), json!([case.resource.to_string()]));
    arguments.insert("operation".to_owned(), json!(case.operation.as_str()));
    agent.call("request_access", Value::Object(arguments)).await
}
