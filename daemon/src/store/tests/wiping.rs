//! What is wiped is in no file, and what is not wiped is untouched.

use std::fs;

use vouchsafe_core::id::{ProjectId, SecretId};
use vouchsafe_core::project::Project;

use super::*;

const PROJECT: [u8; 10] = [3; 10];
const SECRET: [u8; 10] = [4; 10];

/// What no file may hold: a value as it is stored, and who knows what else.
fn marked(mark: &str, bytes: usize) -> Vec<u8> {
    mark.as_bytes().iter().copied().cycle().take(bytes).collect()
}

/// Which of the database's files hold this.
fn holding(home: &Home, needle: &[u8]) -> Vec<String> {
    let mut found = Vec::new();
    for entry in fs::read_dir(home.folder.path()).unwrap() {
        let path = entry.unwrap().path();
        let bytes = fs::read(&path).unwrap();
        if bytes.windows(needle.len()).any(|window| window == needle) {
            found.push(path.file_name().unwrap().to_str().unwrap().to_owned());
        }
    }
    found.sort();
    found
}

async fn done<T: Send + 'static>(
    store: &Store,
    f: impl Fn(&mut Tx<'_>) -> Result<T, StoreError> + Send + 'static,
) -> T {
    let done: Result<T, WriteError<StoreError>> = store.write("test", f).await;
    done.unwrap()
}

/// A secret with these versions, sealed so.
async fn with_versions(store: &Store, versions: Vec<Vec<u8>>) {
    done(store, move |tx| {
        let project = Project {
            id: ProjectId::from_random(PROJECT),
            name: "default".parse().unwrap(),
            monthly: None,
            created_at: tx.now().wall,
            archived_at: None,
        };
        tx.insert_project(&project)?;
        let path = "production/DB".parse().unwrap();
        let now = tx.now().wall;
        let mut secret = SecretRecord::new(SecretId::from_random(SECRET), project.id, path, now);
        secret.description = "WIPED-DESCRIPTION".to_owned();
        tx.insert_secret(&secret)?;
        for sealed in &versions {
            secret.version += 1;
            tx.save_secret(&secret)?;
            tx.insert_secret_version(&secret, sealed)?;
        }
        Ok(())
    })
    .await;
}

/// Steps until there is nothing left to do.
async fn tidied(store: &Store) -> u32 {
    for steps in 1..1_000 {
        match store.tidy().await.unwrap() {
            Tidied::More => {}
            Tidied::Done => return steps,
            Tidied::Held => panic!("nobody reads"),
        }
    }
    panic!("it does not end");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wiped_value_is_in_no_file() {
    let home = Home::new();
    let store = home.start();
    // Within a page, over the end of one, and over many.
    let (small, large) = (marked("WIPED-SMALL.", 140), marked("WIPED-LARGE.", 65_668));
    let kept = marked("KEPT.", 9_000);
    with_versions(&store, vec![small.clone(), large.clone(), kept.clone()]).await;
    // Some of it is in the database file, some in the log of it.
    Connection::open(home.path()).unwrap().execute_batch("PRAGMA wal_checkpoint").unwrap();
    let (small, large, kept) = (&small[..100], &large[..1_000], &kept[..1_000]);
    assert_eq!(holding(&home, small), ["vouchsafe.db", "vouchsafe.db-wal"]);
    assert_eq!(holding(&home, large), ["vouchsafe.db", "vouchsafe.db-wal"]);
    assert!(!holding(&home, b"WIPED-DESCRIPTION").is_empty());

    let wiped = done(&store, |tx| {
        let id = SecretId::from_random(SECRET);
        let mut secret = tx.secret(id)?.unwrap();
        let values = tx.values_up_to(id, 2, 10)?;
        for value in &values {
            tx.wipe_value(id, value)?;
        }
        secret.description.clear();
        tx.save_secret(&secret)?;
        Ok(values.iter().map(|value| value.version).collect::<Vec<_>>())
    })
    .await;
    assert_eq!(wiped, [1, 2]);
    // The log still has what was there before.
    assert!(!holding(&home, large).is_empty());
    tidied(&store).await;
    for gone in [small, large, b"WIPED-DESCRIPTION", b"WIPED"] {
        assert_eq!(holding(&home, gone), [""; 0]);
    }
    assert_eq!(holding(&home, kept), ["vouchsafe.db"]);
    assert_eq!(fs::metadata(home.path().with_extension("db-wal")).unwrap().len(), 0);

    let rows: Result<_, StoreError> = store
        .read("rows", |reader| {
            let secret = reader.secret(SecretId::from_random(SECRET))?.unwrap();
            reader.secret_versions(&secret)
        })
        .await;
    let rows: Vec<_> = rows.unwrap().iter().map(|row| (row.version, row.wiped)).collect();
    assert_eq!(rows, [(3, false), (2, true), (1, true)]);
    store.close().await;
    Database::open(&home.path()).unwrap().check().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn room_is_given_back_in_steps_and_writes_go_on_between() {
    let home = Home::new();
    let store = home.start();
    let versions: Vec<_> = (0..60).map(|_| marked("WIPED-LARGE.", 65_668)).collect();
    with_versions(&store, versions).await;
    tidied(&store).await;
    let full = fs::metadata(home.path()).unwrap().len();
    assert!(full > 60 * 65_536);
    done(&store, |tx| {
        let id = SecretId::from_random(SECRET);
        for value in tx.values_up_to(id, u64::MAX, 1_000)? {
            tx.wipe_value(id, &value)?;
        }
        Ok(())
    })
    .await;
    assert_eq!(store.tidy().await.unwrap(), Tidied::More);
    append(&store, entry(1)).await.unwrap();
    assert!(tidied(&store).await > 1);
    let left = fs::metadata(home.path()).unwrap().len();
    assert!(left < full / 4, "{left} of {full} bytes are left");
    assert_eq!(verify(&store, &home).await, Ok(1));
    store.close().await;
    Database::open(&home.path()).unwrap().check().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_holds_up_the_log_and_nothing_else() {
    let home = Home::new();
    let store = home.start();
    with_versions(&store, vec![marked("WIPED-SMALL.", 140)]).await;
    let reader = Connection::open(home.path()).unwrap();
    reader.execute_batch("BEGIN; SELECT * FROM secrets;").unwrap();
    done(&store, |tx| {
        let id = SecretId::from_random(SECRET);
        let value = tx.values_up_to(id, 1, 1)?;
        tx.wipe_value(id, &value[0])
    })
    .await;
    assert_eq!(store.tidy().await.unwrap(), Tidied::Held);
    append(&store, entry(1)).await.unwrap();
    reader.execute_batch("COMMIT").unwrap();
    tidied(&store).await;
    assert_eq!(holding(&home, b"WIPED-SMALL"), [""; 0]);
}
