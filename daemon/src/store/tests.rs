//! The engine against real files: what is acknowledged is there, what is not is not, and nobody
//! changes the log unseen.
#![expect(
    clippy::redundant_closure_for_method_calls,
    reason = "a method of `Reader<'_>` is not general enough for the compiler"
)]

use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::sync::atomic::{AtomicI64, AtomicU32, Ordering};
use std::sync::{Mutex, mpsc};

use futures_util::future::{join_all, select_all};
use rusqlite::Connection;
use tempfile::TempDir;
use vouchsafe_core::audit::{Action, Actor, ActorKind, Entry, Outcome, Proof, Via};
use vouchsafe_core::audit::{HeadSigner as _, verify_export};
use vouchsafe_core::id::ApprovalId;
use vouchsafe_core::time::{BootId, Now, UnixTime};

use super::*;
use crate::clock::Clock;
use crate::vault::{RootKey, Vault};

mod accesses;
mod migrations;
mod plans;
mod wiping;

const START_MS: i64 = 1_795_257_840_000;

#[derive(Debug)]
struct TestClock(AtomicI64);

impl Clock for TestClock {
    fn now(&self) -> Now {
        let ms = self.0.load(Ordering::SeqCst);
        Now {
            wall: UnixTime::from_ms(START_MS + ms),
            since_boot_ms: u64::try_from(ms.max(0)).unwrap(),
            boot: BootId::new("test"),
        }
    }
}

struct Home {
    folder: TempDir,
    clock: Arc<TestClock>,
    vault: Vault,
    limits: Limits,
}

#[derive(Debug, thiserror::Error)]
enum No {
    #[error("no")]
    No,
    #[error("store")]
    Store(#[from] StoreError),
}

impl Home {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let now = UnixTime::from_ms(START_MS);
        let root = RootKey::generate().unwrap();
        let vault = Vault::create(&root, None, "vouchsafe/test", now).unwrap();
        let this = Self {
            folder,
            clock: Arc::new(TestClock(AtomicI64::new(0))),
            vault,
            limits: Limits::default(),
        };
        let mut database = Database::create(&this.path()).unwrap();
        assert!(database.store_vault(&this.vault.state()).unwrap());
        this
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("vouchsafe.db")
    }

    fn try_start(&self) -> Result<Store, StartError> {
        let clock = Arc::<TestClock>::clone(&self.clock);
        Database::open(&self.path())?.start(clock, self.vault.signer(), Arc::new(()), &self.limits)
    }

    fn start(&self) -> Store {
        self.try_start().unwrap()
    }

    fn set_clock(&self, ms: i64) {
        self.clock.0.store(ms, Ordering::SeqCst);
    }

    /// Does what no trigger would allow, as somebody with the file in hand can.
    fn tamper(&self, sql: &str) {
        let connection = Connection::open(self.path()).unwrap();
        for table in ["audit_entries", "audit_resources", "audit_checkpoints"] {
            let drop = format!("DROP TRIGGER {table}_stay; DROP TRIGGER {table}_keep;");
            connection.execute_batch(&drop).unwrap();
        }
        connection.execute_batch("PRAGMA foreign_keys = OFF").unwrap();
        assert_ne!(connection.execute(sql, []).unwrap(), 0, "{sql}");
    }

    async fn with_entries(count: u64) -> Self {
        let home = Self::new();
        let store = home.start();
        fill(&store, count).await;
        store.close().await;
        home
    }
}

fn entry(n: u64) -> Entry {
    Entry::new(Action::SECRET_READ, Actor::system()).detail("n", n)
}

async fn append(store: &Store, entry: Entry) -> Result<u64, StoreError> {
    store.write("append", move |tx| tx.append(&entry)).await.map_err(StoreError::from)
}

async fn fill(store: &Store, count: u64) {
    let write = |tx: &mut Tx<'_>| (0..50).try_for_each(|n| tx.append(&entry(n)).map(drop));
    for _ in 0..count / 50 {
        store.write("fill", write).await.unwrap();
    }
    for n in 0..count % 50 {
        append(store, entry(n)).await.unwrap();
    }
}

async fn verify(store: &Store, home: &Home) -> Result<u64, String> {
    let key = home.vault.signer().verifier_key().clone();
    let verified = store.read("verify", move |reader| reader.audit_verify(&key)).await;
    let verified: Result<_, StoreError> = verified;
    verified.unwrap().map(|verified| verified.size).map_err(|error| error.to_string())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_written_is_there_after_a_restart_and_verifies() {
    let home = Home::with_entries(0).await;
    for round in 1..=3_u64 {
        let store = home.start();
        fill(&store, 301).await;
        assert_eq!(verify(&store, &home).await, Ok(round * 301));
        assert_eq!(*store.audit_size().borrow(), round * 301);
        store.close().await;
    }
    let database = Database::open(&home.path()).unwrap();
    database.check().unwrap();
    let lines = database.reader().audit_lines(0, 10_000).unwrap();
    let head = database.reader().audit_head().unwrap();
    let signer = home.vault.signer();
    let lines = lines.into_iter().map(Ok);
    let export = verify_export(lines, head.note.as_bytes(), signer.verifier_key());
    assert_eq!(export.unwrap().size, 903);
    assert!(matches!(
        database.reader().audit_checkpoints_verify(signer.verifier_key()),
        Ok(Ok(checkpoints)) if checkpoints >= 6
    ));
}

#[tokio::test(flavor = "multi_thread")]
async fn writes_that_wait_are_committed_together() {
    let home = Home::new();
    let store = home.start();
    let (go, wait) = mpsc::channel::<()>();
    let (began, begun) = mpsc::channel();
    let wait = Mutex::new(wait);
    let first = store.write("slow", move |tx| {
        began.send(()).unwrap();
        wait.lock().unwrap().recv().unwrap();
        tx.append(&entry(0))
    });
    // The head is saved once a batch: whoever sees it as it was before is in the same batch.
    let rest = async {
        tokio::task::spawn_blocking(move || begun.recv().unwrap()).await.unwrap();
        let rest = join_all((1..=50).map(|n| {
            store.write("append", move |tx| {
                tx.append(&entry(n))?;
                Ok::<_, StoreError>(tx.audit_head()?.size)
            })
        }));
        // All are asked for before the slow one may end.
        let (rest, ()) = tokio::join!(rest, async { go.send(()).unwrap() });
        rest
    };
    let (first, rest) = tokio::join!(first, rest);
    assert_eq!(first.unwrap(), 0);
    let seen: Vec<_> = rest.into_iter().map(Result::unwrap).collect();
    assert_eq!(seen, [1; 50]);
    assert_eq!(verify(&store, &home).await, Ok(51));
}

#[tokio::test(flavor = "multi_thread")]
async fn one_refusal_or_panic_leaves_the_others_of_its_batch() {
    let home = Home::new();
    let store = home.start();
    let results = join_all((0..60_u64).map(|n| {
        store.write("mixed", move |tx| {
            tx.set_meta(&format!("n{n}"), "here")?;
            tx.append(&entry(n))?;
            match n % 3 {
                0 => Ok(n),
                1 => Err(No::No),
                _ => panic!("a fault in the program"),
            }
        })
    }))
    .await;
    for (n, result) in results.into_iter().enumerate() {
        match n % 3 {
            0 => assert_eq!(result.unwrap(), u64::try_from(n).unwrap()),
            1 => assert!(matches!(result, Err(WriteError::Refused(No::No)))),
            _ => assert!(matches!(result, Err(WriteError::Store(StoreError::Panicked)))),
        }
    }
    let metas = store.read("metas", |reader| {
        (0..60).map(|n| reader.meta(&format!("n{n}"))).collect::<Result<Vec<_>, StoreError>>()
    });
    for (n, meta) in metas.await.unwrap().into_iter().enumerate() {
        assert_eq!(meta.is_some(), n % 3 == 0, "{n}");
    }
    assert_eq!(verify(&store, &home).await, Ok(20));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_done_before_starting_over_is_undone_and_the_rest_stays() {
    let home = Home::new();
    let store = home.start();
    store
        .write("parts", |tx| {
            tx.append(&entry(0))?;
            tx.append(&entry(1))?;
            tx.set_meta("part", "here")?;
            tx.start_over()?;
            tx.append(&entry(2))?;
            tx.append(&entry(3))
        })
        .await
        .unwrap();
    let part: Option<String> = store
        .read("meta", |reader| reader.meta("part"))
        .await
        .unwrap_or_else(|e: StoreError| panic!("{e}"));
    assert_eq!(part, None);
    assert_eq!(verify(&store, &home).await, Ok(2));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_statement_is_the_closures_to_answer_for() {
    let home = Home::new();
    let store = home.start();
    let failed = store.write("bad", |tx| tx.execute("-- bad_query\nSELECT nothing", [])).await;
    let error = failed.map_err(StoreError::from).unwrap_err();
    assert_eq!(error.to_string(), "bad_query failed");
    append(&store, entry(0)).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_commit_that_fails_is_unknown_and_the_last() {
    let home = Home::with_entries(3).await;
    let store = home.start();
    let failed = store
        .write("fails at commit", |tx| {
            tx.execute("-- defer\nPRAGMA defer_foreign_keys = ON", [])?;
            tx.append(&entry(9))?;
            tx.execute(
                "-- dangle\nINSERT INTO audit_resources (resource, seq) VALUES ('x', 99)",
                [],
            )
        })
        .await;
    assert!(matches!(failed, Err(WriteError::Store(StoreError::Unknown))));
    assert!(store.failed().await.contains("committing failed"));
    assert!(matches!(append(&store, entry(0)).await, Err(StoreError::Closed)));
    drop(store);
    let store = home.start();
    assert_eq!(verify(&store, &home).await, Ok(3));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_came_before_closing_is_written_and_what_comes_after_is_refused() {
    let home = Home::new();
    let store = home.start();
    let last = append(&store, entry(0));
    let (last, ()) = tokio::join!(last, store.close());
    assert_eq!(last.unwrap(), 0);
    assert!(matches!(append(&store, entry(0)).await, Err(StoreError::Closed)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_queue_is_said_so() {
    let mut home = Home::new();
    home.limits.queue = NonZeroUsize::MIN;
    // Else what waits could be taken in with the slow one.
    home.limits.batch = NonZeroUsize::MIN;
    home.limits.queue_wait = Duration::from_millis(20);
    let store = home.start();
    let (go, wait) = mpsc::channel::<()>();
    let wait = Mutex::new(wait);
    let slow = store.write("slow", move |tx| {
        // Nobody sends: it goes on when the sender is dropped.
        assert!(wait.lock().unwrap().recv().is_err());
        tx.append(&entry(0))
    });
    let others = async {
        // One gets the place in the queue, and waits there for as long as the slow one takes.
        let others = (0..3).map(|n| Box::pin(append(&store, entry(n))));
        let (first, _, _) = select_all(others).await;
        drop(go);
        first
    };
    let (slow, first) = tokio::join!(slow, others);
    slow.unwrap();
    assert!(matches!(first, Err(StoreError::Busy)), "{first:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn any_change_to_the_end_of_the_log_is_found_at_the_start() {
    for sql in [
        "UPDATE audit_entries SET line = CAST(replace(CAST(line AS TEXT), 'system', 'nobody') AS BLOB) WHERE seq = 299",
        "UPDATE audit_entries SET line = CAST(line || ' ' AS BLOB) WHERE seq = 60",
        "UPDATE audit_entries SET leaf = zeroblob(32) WHERE seq = 298",
        "UPDATE audit_entries SET leaf = zeroblob(31) WHERE seq = 298",
        "DELETE FROM audit_entries WHERE seq = 299",
        "DELETE FROM audit_entries WHERE seq = 100",
        "UPDATE audit_entries SET seq = 300 WHERE seq = 299",
        "INSERT INTO audit_entries SELECT 300, line, leaf, time, actor_name, action, outcome, project, approval, lease FROM audit_entries WHERE seq = 299",
        "UPDATE audit_head SET note = replace(note, '300', '299')",
        "UPDATE audit_head SET tree = zeroblob(8)",
        "UPDATE audit_head SET tree = x''",
        "UPDATE audit_head SET note = (SELECT note FROM audit_checkpoints LIMIT 1)",
        "DELETE FROM audit_head",
    ] {
        let home = Home::with_entries(300).await;
        home.tamper(sql);
        let started = home.try_start();
        assert!(
            matches!(
                started,
                Err(StartError::Log { .. } | StartError::Verify(_) | StartError::Store(_))
            ),
            "{sql}: {started:?}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_long_ago_is_found_by_verifying_all() {
    for (sql, finding) in [
        (
            "UPDATE audit_entries SET line = CAST(replace(CAST(line AS TEXT), 'system', 'nobody') AS BLOB) WHERE seq = 10",
            "entry 10: edited: its bytes are not those that were hashed",
        ),
        (
            "UPDATE audit_entries SET leaf = zeroblob(32) WHERE seq = 10",
            "entry 10: edited: its bytes are not those that were hashed",
        ),
        (
            "DELETE FROM audit_entries WHERE seq = 10",
            "entry 10: missing, though later entries are there",
        ),
    ] {
        let home = Home::with_entries(600).await;
        home.tamper(sql);
        let store = home.start();
        assert_eq!(verify(&store, &home).await.unwrap_err(), finding, "{sql}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_signed_by_another_key_is_refused() {
    let mut home = Home::with_entries(3).await;
    let root = RootKey::generate().unwrap();
    home.vault = Vault::create(&root, None, "vouchsafe/test", UnixTime::from_ms(0)).unwrap();
    assert!(matches!(home.try_start(), Err(StartError::Verify(_))));
}

#[tokio::test(flavor = "multi_thread")]
async fn entries_of_the_log_cannot_be_changed_through_sql() {
    let home = Home::with_entries(3).await;
    let connection = Connection::open(home.path()).unwrap();
    for sql in [
        "UPDATE audit_entries SET outcome = 'ok'",
        "DELETE FROM audit_entries",
        "DELETE FROM audit_checkpoints",
        "UPDATE audit_checkpoints SET time = 0",
    ] {
        let refused = connection.execute(sql, []).unwrap_err().to_string();
        assert!(refused.contains("of the audit log are never"), "{sql}: {refused}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_log_never_goes_back_in_time() {
    let home = Home::new();
    home.set_clock(100_000);
    let store = home.start();
    append(&store, entry(0)).await.unwrap();
    home.set_clock(100_000 - 60_000);
    let time = store.write("now", |tx| tx.append(&entry(1)).map(|_| tx.now().wall)).await.unwrap();
    assert_eq!(time, UnixTime::from_ms(START_MS + 100_000));
    home.set_clock(100_000 - 60_001);
    assert!(matches!(append(&store, entry(2)).await, Err(StoreError::Clock)));
    assert!(store.failed().await.contains("set the clock"));
    drop(store);
    assert!(matches!(home.try_start(), Err(StartError::Clock { .. })));
    home.set_clock(100_000);
    assert_eq!(verify(&home.start(), &home).await, Ok(2));
}

#[tokio::test(flavor = "multi_thread")]
async fn on_a_full_disk_the_essential_goes_on_until_there_is_space_again() {
    let mut home = Home::with_entries(10).await;
    let connection = Connection::open(home.path()).unwrap();
    let used: u32 = connection.pragma_query_value(None, "page_count", |row| row.get(0)).unwrap();
    drop(connection);
    let pages = Arc::new(AtomicU32::new(used + 8));
    let ballast = home.folder.path().join("ballast");
    home.limits.pages = Some(Arc::clone(&pages));
    home.limits.ballast = Some(ballast.clone());
    let store = home.start();
    assert_eq!(std::fs::metadata(&ballast).unwrap().len(), home.limits.ballast_bytes);
    let large = || entry(0).detail("text", "x".repeat(8_000));

    let mut written = 10;
    let full = loop {
        match append(&store, large()).await {
            Ok(_) => written += 1,
            Err(error) => break error,
        }
        assert!(written < 100);
    };
    assert!(matches!(full, StoreError::Full), "{full:?}");
    assert!(!ballast.exists());
    assert!(matches!(append(&store, entry(0)).await, Err(StoreError::Full)));
    store.write_essential("deny", |tx| tx.append(&entry(0))).await.unwrap();
    // Another second, and still no space.
    home.set_clock(1_500);
    assert!(matches!(append(&store, entry(0)).await, Err(StoreError::Full)));

    pages.store(used + 1_000, Ordering::SeqCst);
    // Looked just now.
    assert!(matches!(append(&store, entry(0)).await, Err(StoreError::Full)));
    home.set_clock(2_500);
    append(&store, large()).await.unwrap();
    assert!(ballast.exists());
    assert_eq!(verify(&store, &home).await, Ok(written + 2));
    store.close().await;
    assert_eq!(verify(&home.start(), &home).await, Ok(written + 2));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_essential_write_that_meets_the_full_disk_is_run_again() {
    let mut home = Home::with_entries(10).await;
    let connection = Connection::open(home.path()).unwrap();
    let used: u32 = connection.pragma_query_value(None, "page_count", |row| row.get(0)).unwrap();
    drop(connection);
    home.limits.pages = Some(Arc::new(AtomicU32::new(used + 1)));
    let store = home.start();
    let deny = store.write_essential("deny", |tx| {
        (0..4).try_for_each(|n| tx.append(&entry(n).detail("text", "x".repeat(8_000))).map(drop))
    });
    deny.await.unwrap();
    assert_eq!(verify(&store, &home).await, Ok(14));
}

#[test]
fn a_file_that_is_not_our_database_is_refused_with_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let open = |name: &str| Database::open(&at(name)).unwrap_err();

    assert!(matches!(open("missing"), OpenError::Missing { .. }));
    assert!(!at("missing").exists());
    Connection::open(at("other")).unwrap().execute_batch("CREATE TABLE t (a)").unwrap();
    assert!(matches!(open("other"), OpenError::NotVouchsafe { .. }));
    std::fs::write(at("empty"), "").unwrap();
    assert!(matches!(open("empty"), OpenError::NotVouchsafe { .. }));
    std::fs::write(at("text"), "no database at all, ".repeat(500)).unwrap();
    assert!(matches!(open("text"), OpenError::Corrupt { .. }));

    drop(Database::create(&at("newer")).unwrap());
    Connection::open(at("newer")).unwrap().pragma_update(None, "user_version", 99).unwrap();
    assert!(matches!(open("newer"), OpenError::Newer { found: 99, .. }));
    assert!(matches!(Database::create(&at("newer")), Err(OpenError::Exists { .. })));

    drop(Database::create(&at("damaged")).unwrap());
    let mut bytes = std::fs::read(at("damaged")).unwrap();
    let len = bytes.len();
    bytes[4096..len].fill(0x5a);
    std::fs::write(at("damaged"), bytes).unwrap();
    assert!(matches!(open("damaged"), OpenError::Corrupt { .. }));
}

#[tokio::test(flavor = "multi_thread")]
async fn every_file_is_its_owners_alone() {
    let mut home = Home::new();
    home.limits.ballast = Some(home.folder.path().join("ballast"));
    let store = home.start();
    append(&store, entry(0)).await.unwrap();
    let mut files = 0;
    for file in std::fs::read_dir(home.folder.path()).unwrap() {
        let file = file.unwrap();
        assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o600, "{file:?}");
        files += 1;
    }
    assert_eq!(files, 4, "database, -wal, -shm, ballast");
}

#[tokio::test(flavor = "multi_thread")]
async fn readers_see_one_snapshot_of_what_is_committed_and_change_nothing() {
    let home = Home::with_entries(1).await;
    let store = home.start();
    let (seen, more) = mpsc::channel();
    let (go, wait) = mpsc::channel::<()>();
    let read = store.read("slow", move |reader| {
        let before = reader.audit_head()?.size;
        seen.send(()).unwrap();
        wait.recv().unwrap();
        Ok::<_, StoreError>((before, reader.audit_head()?.size))
    });
    let write = async {
        tokio::task::spawn_blocking(move || more.recv().unwrap()).await.unwrap();
        append(&store, entry(1)).await.unwrap();
        go.send(()).unwrap();
    };
    let (read, ()) = tokio::join!(read, write);
    assert_eq!(read.unwrap(), (1, 1));
    let head = store.read("head", |reader| reader.audit_head()).await;
    let head: Result<Head, StoreError> = head;
    assert_eq!(head.unwrap().size, 2);
    let changed: Result<usize, StoreError> =
        store.read("change", |reader| reader.change("-- change\nDELETE FROM meta", [])).await;
    assert!(matches!(changed, Err(StoreError::Sqlite { .. })), "{changed:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_vault_is_stored_only_on_top_of_the_one_before_it() {
    let home = Home::new();
    let store = home.start();
    let stored = store.read("vault", |reader| reader.vault()).await;
    let stored: Result<_, StoreError> = stored;
    assert_eq!(stored.unwrap(), Some(home.vault.state()));
    let next = home.vault.next_kek(UnixTime::from_ms(START_MS + 1)).unwrap();
    let other = home.vault.next_root(&RootKey::generate().unwrap(), None).unwrap();
    for (state, wins) in [(next.state().clone(), true), (other.state().clone(), false)] {
        let saved = store.write("vault", move |tx| tx.store_vault(&state)).await;
        assert_eq!(saved.map_err(StoreError::from).unwrap(), wins);
    }
    home.vault.adopt(next).unwrap();
    let stored: Result<_, StoreError> = store.read("vault", |reader| reader.vault()).await;
    assert_eq!(stored.unwrap(), Some(home.vault.state()));
}

async fn searchable() -> (Home, Store) {
    let home = Home::new();
    let store = home.start();
    let actor = |name| Actor::new(ActorKind::Agent, "key_1", name, Proof::McpKey, Via::Http);
    for n in 0..30_i64 {
        home.set_clock(n * 1_000);
        let action = if n % 3 == 0 { Action::SECRET_READ } else { Action::LEASE_ISSUED };
        let name = if n % 2 == 0 { "even" } else { "odd" };
        let outcome = if n == 7 { Outcome::Refused } else { Outcome::Ok };
        let approval = ApprovalId::from_random([u8::try_from(n / 10).unwrap(); 10]);
        let entry = Entry::new(action, actor(name))
            .outcome(outcome)
            .approval(approval)
            .project(if n < 20 { "default" } else { "other" })
            .resource(&format!("vouchsafe://default/app/{n}"))
            .resource("vouchsafe://default/shared");
        append(&store, entry).await.unwrap();
    }
    (home, store)
}

async fn seqs(
    store: &Store,
    filter: Filter,
    before: Option<u64>,
    limit: u32,
) -> (Vec<u64>, Option<u64>) {
    let page = store.read("page", move |reader| reader.audit_entries(&filter, before, limit)).await;
    let page: Result<EntryPage, StoreError> = page;
    let page = page.unwrap();
    (page.entries.iter().map(|entry| entry.seq).collect(), page.next)
}

#[tokio::test(flavor = "multi_thread")]
async fn entries_are_found_by_what_they_are_about() {
    let (_home, store) = searchable().await;
    let time = |n: i64| Some(UnixTime::from_ms(START_MS + n * 1_000));
    let all = Filter::default();
    let pattern = |ends: &'static str| ResourceFilter::Pattern {
        prefix: "vouchsafe://default/app/".to_owned(),
        matches: Arc::new(move |uri| uri.ends_with(ends)),
    };
    let shared = ResourceFilter::Exact("vouchsafe://default/shared".to_owned());
    for (filter, expected) in [
        (Filter { actor: Some("odd".to_owned()), since: time(26), ..all.clone() }, vec![29, 27]),
        (Filter { since: time(3), until: time(5), ..all.clone() }, vec![4, 3]),
        (Filter { since: time(99), ..all.clone() }, vec![]),
        (
            Filter {
                action: Some(ActionFilter::Exact("secret.read".to_owned())),
                since: time(20),
                ..all.clone()
            },
            vec![27, 24, 21],
        ),
        (
            Filter {
                action: Some(ActionFilter::Kind("secret".to_owned())),
                until: time(7),
                ..all.clone()
            },
            vec![6, 3, 0],
        ),
        (Filter { outcome: Some(Outcome::Refused), ..all.clone() }, vec![7]),
        (
            Filter {
                approval: Some(ApprovalId::from_random([2; 10])),
                since: time(28),
                ..all.clone()
            },
            vec![29, 28],
        ),
        (
            Filter { project: Some("other".to_owned()), until: time(22), ..all.clone() },
            vec![21, 20],
        ),
        (
            Filter { resource: Some(shared.clone()), since: time(27), ..all.clone() },
            vec![29, 28, 27],
        ),
        (Filter { resource: Some(pattern("7")), ..all.clone() }, vec![27, 17, 7]),
        (Filter { resource: Some(pattern("none")), ..all.clone() }, vec![]),
    ] {
        assert_eq!(seqs(&store, filter.clone(), None, 1_000).await, (expected, None), "{filter:?}");
    }
    for filter in [
        all.clone(),
        Filter { resource: Some(shared), ..all.clone() },
        Filter { resource: Some(pattern("")), ..all },
    ] {
        let (mut found, mut before) = (Vec::new(), None);
        loop {
            let (page, next) = seqs(&store, filter.clone(), before, 7).await;
            assert!(page.len() <= 7);
            found.extend(page);
            before = next;
            if next.is_none() {
                break;
            }
        }
        assert_eq!(found, (0..30).rev().collect::<Vec<_>>(), "{filter:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn entries_are_counted_by_value() {
    let (_home, store) = searchable().await;
    let group = |filter: Filter, by| {
        let store = store.clone();
        async move {
            let groups = store.read("groups", move |reader| reader.audit_groups(&filter, by)).await;
            let groups: Result<_, StoreError> = groups;
            groups.unwrap()
        }
    };
    let pairs = |pairs: &[(&str, u64)]| -> Vec<(String, u64)> {
        pairs.iter().map(|(value, count)| ((*value).to_owned(), *count)).collect()
    };
    let all = Filter::default();
    assert_eq!(group(all.clone(), GroupBy::Actor).await, pairs(&[("even", 15), ("odd", 15)]));
    assert_eq!(
        group(all.clone(), GroupBy::Action).await,
        pairs(&[("lease.issued", 20), ("secret.read", 10)])
    );
    assert_eq!(group(all.clone(), GroupBy::Outcome).await, pairs(&[("ok", 29), ("refused", 1)]));
    assert_eq!(group(all.clone(), GroupBy::Day).await, pairs(&[("2026-11-21", 30)]));
    let by_resource = group(all.clone(), GroupBy::Resource).await;
    assert_eq!(by_resource.first(), pairs(&[("vouchsafe://default/shared", 30)]).first());
    assert_eq!(by_resource.len(), 31);
    let pattern = ResourceFilter::Pattern {
        prefix: "vouchsafe://default/app/2".to_owned(),
        matches: Arc::new(|uri| uri.contains("/app/2")),
    };
    let some = Filter { resource: Some(pattern), ..all };
    assert_eq!(group(some, GroupBy::Actor).await, pairs(&[("even", 6), ("odd", 5)]));
}

#[test]
fn a_statement_is_compiled_once_whatever_is_bound() {
    let home = Home::new();
    let connection = engine::open_reader(&home.path()).unwrap();
    let sql = "SELECT u.name FROM mcp_keys k JOIN users u ON u.id = k.owner_id \
               WHERE k.id = $1 AND k.deleted_at IS NULL";
    for key in ["key_1", "key_2", "key_3"] {
        let mut statement = connection.prepare_cached(sql).unwrap();
        assert!(!statement.exists([key]).unwrap());
        assert_eq!(statement.get_status(rusqlite::StatementStatus::RePrepare), 0);
    }
}
