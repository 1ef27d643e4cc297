//! A database that an earlier version wrote, opened by this one.

use vouchsafe_core::approval::{Approval, Pending, Status};
use vouchsafe_core::id::{KeyId, ProjectId, UserId};
use vouchsafe_core::key::KeySettings;
use vouchsafe_core::time::Deadline;

use super::*;

const PENDING: &str = "ap_040g2081040g2081";
const APPROVED: &str = "ap_0g40r40g40r40g40";
const KEY: &str = "key_0c1g60r30c1g60r3";
const PROJECT: &str = "prj_081040g2081040g2";
const APPLICATION_ID: i64 = 0x5643_4853;

/// A home whose database has the first schema, with everything in it that there could be.
fn earlier() -> Home {
    let home = Home::new();
    std::fs::remove_file(home.path()).unwrap();
    let connection = Connection::open(home.path()).unwrap();
    connection.execute_batch(include_str!("../../../migrations/sqlite/0001_init.sql")).unwrap();
    connection.pragma_update(None, "application_id", APPLICATION_ID).unwrap();
    connection.pragma_update(None, "user_version", 1).unwrap();
    connection.execute_batch(include_str!("schema1.sql")).unwrap();
    assert!(Reader::new(&connection).save_vault(&home.vault.state()).unwrap());
    home
}

fn opened(home: &Home) -> Database {
    Database::open(&home.path()).unwrap()
}

async fn pending_of(store: &Store) -> Approval {
    let found = store.read("approval", |reader| reader.approval(PENDING.parse().unwrap())).await;
    let found: Result<_, StoreError> = found;
    found.unwrap().unwrap()
}

fn number(home: &Home, sql: &str) -> i64 {
    let connection = Connection::open(home.path()).unwrap();
    connection.query_row(sql, [], |row| row.get(0)).unwrap()
}

fn schema(home: &Home) -> i64 {
    number(home, "PRAGMA user_version")
}

fn at(deadline: &Deadline, by_wall: bool, early_ms: i64) -> Now {
    let far = 1_000_000;
    let (wall, boot) = if by_wall { (early_ms, far) } else { (far, early_ms) };
    Now {
        wall: UnixTime::from_ms(deadline.wall.ms() - wall),
        since_boot_ms: deadline.since_boot_ms - u64::try_from(boot).unwrap(),
        boot: BootId::new("test"),
    }
}

#[test]
fn everything_an_earlier_version_wrote_is_there_and_belongs_together() {
    let home = earlier();
    let database = opened(&home);
    let reader = database.reader();
    for (table, count) in
        [("approvals", 5), ("approval_votes", 5), ("leases", 3), ("mcp_keys", 1), ("users", 3)]
    {
        assert_eq!(number(&home, &format!("SELECT COUNT(*) FROM {table}")), count, "{table}");
    }
    let broken = "SELECT COUNT(*) FROM pragma_foreign_key_check";
    assert_eq!((number(&home, broken), schema(&home)), (0, 4));

    for (id, status) in [
        (PENDING, Status::Pending),
        (APPROVED, Status::Approved),
        ("ap_1g60r30c1g60r300", Status::Denied),
        ("ap_2081040g20810400", Status::Expired),
        ("ap_30c1g60r30c1g600", Status::Withdrawn),
    ] {
        let approval = reader.approval(id.parse().unwrap()).unwrap().unwrap();
        assert_eq!((approval.status(), approval.ask().id.to_string().as_str()), (status, id));
    }
    let leases = reader.active_leases().unwrap();
    assert!(leases.len() == 2 && leases.iter().all(|lease| !lease.terms.observed));
    assert_eq!(reader.leases_of(APPROVED.parse().unwrap()).unwrap().len(), 2);

    let key: KeyId = KEY.parse().unwrap();
    assert_eq!(reader.key_settings(key).unwrap(), Some(KeySettings::default()));
    let project: ProjectId = PROJECT.parse().unwrap();
    let found = reader.project(project).unwrap().unwrap();
    assert_eq!((found.monthly, found.archived_at), (None, None));
    let ann: UserId = "usr_144gj289144gj289".parse().unwrap();
    let ann = reader.user(ann).unwrap().unwrap();
    assert_eq!((ann.project_roles.len(), ann.groups), (0, vec!["oncall".to_owned()]));
}

#[test]
fn what_was_pending_is_due_when_it_was_and_can_be_answered() {
    let home = earlier();
    let database = opened(&home);
    let reader = database.reader();
    let pending: Pending = match reader.approval(PENDING.parse().unwrap()).unwrap().unwrap() {
        Approval::Pending(pending) => pending,
        other => panic!("{:?}", other.status()),
    };
    let deadline = pending.deadline().clone();
    assert_eq!(deadline.wall, UnixTime::from_ms(START_MS + 3_600_000));
    for by_wall in [true, false] {
        let due = |early| reader.due_approvals(&at(&deadline, by_wall, early), 10).unwrap();
        assert_eq!(due(1), [], "{by_wall}");
        assert_eq!(due(0), std::slice::from_ref(&pending), "{by_wall}");
    }
    let later_boot = Now { boot: BootId::new("other"), ..at(&deadline, false, 0) };
    assert_eq!(reader.due_approvals(&later_boot, 10).unwrap(), []);

    let project = pending.ask.project;
    let people = reader.directory(project).unwrap();
    assert_eq!(pending.votes.len(), 1);
    let mut vote = pending.votes[0].clone();
    vote.voter = "usr_1888888888888888".parse().unwrap();
    vote.voter_name = "ben".to_owned();
    vote.digest = pending.ask.digest();
    let settled = pending.vote(vote, &people, &at(&deadline, true, 1_000)).unwrap();
    assert_eq!(settled.status(), Status::Approved);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_earlier_database_is_put_to_work_and_stays_as_it_is_then() {
    let home = earlier();
    for round in 1..=2 {
        let store = home.start();
        fill(&store, 3).await;
        assert_eq!(verify(&store, &home).await, Ok(round * 3));
        let now = home.clock.now();
        let withdrawn = store.write("withdraw", move |tx| {
            let id = PENDING.parse().unwrap();
            let Some(Approval::Pending(pending)) = tx.approval(id)? else { return Ok(false) };
            tx.save_approval(&pending.withdraw("claude-desktop", &now))
        });
        let withdrawn: Result<bool, WriteError<StoreError>> = withdrawn.await;
        assert_eq!(withdrawn.unwrap(), round == 1, "once");
        // References are watched again.
        let mut vote = pending_of(&store).await.votes().first().unwrap().clone();
        vote.voter = UserId::from_random([5; 10]);
        let orphan = store
            .write("orphan", move |tx| tx.insert_vote(PENDING.parse().unwrap(), &vote).map(drop));
        let orphan: Result<(), WriteError<StoreError>> = orphan.await;
        assert!(orphan.is_err());
        store.close().await;
    }
    assert_eq!(schema(&home), 4);
}

#[test]
fn what_was_known_of_secrets_is_known_still_and_what_asks_are_about_is_found() {
    for from in [1, 2] {
        let home = earlier();
        if from == 2 {
            let connection = Connection::open(home.path()).unwrap();
            let second = include_str!("../../../migrations/sqlite/0002_rules.sql");
            connection.execute_batch("PRAGMA foreign_keys = OFF").unwrap();
            connection.execute_batch(second).unwrap();
            connection.pragma_update(None, "user_version", 2).unwrap();
        }
        let database = opened(&home);
        let reader = database.reader();
        let project: ProjectId = PROJECT.parse().unwrap();
        let path = "production/DB".parse().unwrap();
        let secret = reader.secret_at(project, &path).unwrap().unwrap();
        let given = |bytes| ValueRecord { bytes, ..ValueRecord::default() };
        assert_eq!((secret.version, &secret.value), (3, &given(7)));
        assert_eq!((&secret.upkeep, secret.purged_at), (&Upkeep::default(), None));
        let versions: Vec<_> = reader.secret_versions(&secret).unwrap().into_iter().collect();
        let versions: Vec<_> =
            versions.into_iter().map(|v| (v.version, v.current, v.value, v.wiped)).collect();
        assert_eq!(versions, [(3, true, given(7), false), (2, false, given(1), false)]);

        let connection = Connection::open(home.path()).unwrap();
        let sql = "SELECT approval_id FROM approval_items WHERE project_id = $1 AND resource = $2 \
                   AND asked_at = $3 ORDER BY approval_id";
        let mut items = connection.prepare(sql).unwrap();
        let at = (PROJECT, "vouchsafe://secrets/production/DB", START_MS);
        let found = items.query_map(at, |row| row.get::<_, String>(0)).unwrap();
        let found: Vec<_> = found.map(Result::unwrap).collect();
        let sql = "SELECT id FROM approvals ORDER BY id";
        let mut all = connection.prepare(sql).unwrap();
        let all = all.query_map([], |row| row.get::<_, String>(0)).unwrap();
        assert_eq!(found, all.map(Result::unwrap).collect::<Vec<_>>());
        assert_eq!(number(&home, "SELECT COUNT(*) FROM approval_items"), 5);
        assert_eq!(number(&home, "SELECT COUNT(*) FROM proposals"), 0);
    }
}

#[test]
fn the_file_is_written_anew_once_so_that_its_room_can_be_given_back() {
    let home = earlier();
    assert_eq!(number(&home, "PRAGMA auto_vacuum"), 0);
    drop(opened(&home));
    assert_eq!(number(&home, "PRAGMA auto_vacuum"), 2);
    // As where the rebuilding was cut short: the schema is the new one, and the file is not.
    let connection = Connection::open(home.path()).unwrap();
    connection.execute_batch("PRAGMA auto_vacuum = NONE; VACUUM;").unwrap();
    assert_eq!(number(&home, "PRAGMA auto_vacuum"), 0);
    drop(opened(&home));
    assert_eq!((number(&home, "PRAGMA auto_vacuum"), schema(&home)), (2, 4));
    assert_eq!(number(&home, "PRAGMA application_id"), APPLICATION_ID);
    opened(&home).check().unwrap();
    assert_eq!(number(&Home::new(), "PRAGMA auto_vacuum"), 2);
}

#[test]
fn whoever_only_looks_changes_nothing_and_is_told_what_to_run() {
    let home = earlier();
    let error = Database::look(&home.path()).unwrap_err();
    assert!(matches!(error, OpenError::Older { found: 1, known: 4 }));
    assert_eq!(
        error.to_string(),
        "the database has schema 1 and this version works with 4: run `vouchsafed serve` once to \
         bring it up to date"
    );
    assert_eq!(schema(&home), 1);
    drop(opened(&home));
    Database::look(&home.path()).unwrap().check().unwrap();
}

#[test]
fn a_database_that_does_not_hold_together_is_refused_and_stays_as_it_is() {
    let home = earlier();
    let connection = Connection::open(home.path()).unwrap();
    connection.execute_batch("PRAGMA foreign_keys = OFF").unwrap();
    let orphan = "INSERT INTO approval_votes VALUES ('ap_none', 'usr_none', 'deny', 1)";
    connection.execute(orphan, []).unwrap();
    connection.close().unwrap();
    let error = Database::open(&home.path()).unwrap_err();
    let finding = "a row of `approval_votes` belongs to one that is missing";
    assert!(matches!(&error, OpenError::Corrupt { finding: found } if found == finding), "{error}");
    assert_eq!(schema(&home), 1);
    assert_eq!(number(&home, "SELECT COUNT(*) FROM pragma_table_info('sessions')"), 0);
}
