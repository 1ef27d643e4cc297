//! Makes, opens and checks a database, and puts it to work.

use std::fs::{self, File, OpenOptions, Permissions};
use std::io;
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, ErrorCode, OpenFlags};
use tokio::sync::{mpsc, watch};
use vouchsafe_core::audit::{
    Checkpoint, HeadSigner, LeafHash, Tree, Verifier, VerifyError, leaf_hash,
};

use crate::clock::Clock;
use crate::vault::VaultState;

use super::ballast::Ballast;
use super::error::{OpenError, StartError, StoreError};
use super::log::{CHECKPOINT_ENTRIES, Log};
use super::migrate::{APPLICATION_ID, migrate, refuse_other};
use super::pool::Pool;
use super::sql::Reader;
use super::writer::{Signals, Writer};
use super::{Limits, Observe, Shared, Store};

/// How far the wall clock may be behind the last entry of the log.
pub(super) const CLOCK_BEHIND_MAX: Duration = Duration::from_mins(1);
/// The first `SQLite` without the fault that could lose a transaction in WAL mode.
const SQLITE_VERSION_MIN: i32 = 3_051_003;
/// How long the writer waits for another process that has the database locked.
pub(super) const WRITER_PATIENCE: Duration = Duration::from_secs(5);
/// Up to this size, in bytes, every page is checked when a database is opened.
const QUICK_CHECK_BYTES_MAX: u64 = 256 * 1024 * 1024;
const STATEMENTS_CACHED: usize = 256;
/// Entries read at a time when the log is checked.
const CHECK_ENTRIES: u32 = 256;

/// An open database that nobody works with yet.
#[derive(Debug)]
pub struct Database {
    connection: Connection,
    path: PathBuf,
}

/// Opens another connection to read from, that can change nothing.
pub(super) fn open_reader(path: &Path) -> Result<Connection, OpenError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let failed = |source| OpenError::Sqlite { action: "opening a connection to read", source };
    let connection = Connection::open_with_flags(path, flags).map_err(failed)?;
    connection
        .execute_batch(
            "PRAGMA query_only = ON; PRAGMA trusted_schema = OFF; PRAGMA busy_timeout = 5000;",
        )
        .map_err(failed)?;
    keep_statements(&connection).map_err(failed)?;
    Ok(connection)
}

impl Database {
    /// Makes a new database, readable by its owner only, whole or not at all.
    pub fn create(path: &Path) -> Result<Self, OpenError> {
        let made = path.with_extension("new");
        let file = |action| move |source| OpenError::File { action, source };
        match fs::remove_file(&made) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(file("removing an unfinished database")(error));
            }
            Ok(()) | Err(_) => {}
        }
        let new = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&made);
        let new = new.map_err(file("making the database file"))?;
        let mode = Permissions::from_mode(0o600);
        new.set_permissions(mode).map_err(file("making the database private"))?;
        let mut connection = open_writer(&made)?;
        migrate(&mut connection)?;
        connection.close().map_err(|(_, source)| OpenError::Sqlite {
            action: "closing the new database",
            source,
        })?;
        new.sync_all().map_err(file("writing the new database"))?;
        // A link, unlike a rename, never replaces what is there.
        fs::hard_link(&made, path).map_err(|error| {
            if error.kind() == io::ErrorKind::AlreadyExists {
                return OpenError::Exists { path: path.to_owned() };
            }
            file("naming the new database")(error)
        })?;
        fs::remove_file(&made).map_err(file("naming the new database"))?;
        if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
            File::open(folder)
                .and_then(|folder| folder.sync_all())
                .map_err(file("saving its name"))?;
        }
        Self::open(path)
    }

    /// Opens a database that is there, ours, whole, and not from a later version; brings an older
    /// schema up to date.
    pub fn open(path: &Path) -> Result<Self, OpenError> {
        let mut connection = open_whole(path)?;
        migrate(&mut connection)?;
        Self::ready(connection, path)
    }

    /// Opens a database to look at it: as [`Self::open`], but an older schema is refused and stays
    /// as it is.
    pub fn look(path: &Path) -> Result<Self, OpenError> {
        let connection = open_whole(path)?;
        refuse_other(&connection)?;
        Self::ready(connection, path)
    }

    fn ready(connection: Connection, path: &Path) -> Result<Self, OpenError> {
        work_settings(&connection)
            .and_then(|()| keep_statements(&connection))
            .map_err(|source| damaged_or("setting up the database", source))?;
        Ok(Self { connection, path: path.to_owned() })
    }

    /// Checks every page, however many there are.
    pub fn check(&self) -> Result<(), OpenError> {
        check_pages(&self.connection)
    }

    /// What is in it.
    pub fn reader(&self) -> Reader<'_> {
        Reader::new(&self.connection)
    }

    /// The stored vault, if there is one yet.
    pub fn load_vault(&self) -> Result<Option<VaultState>, StoreError> {
        self.reader().vault()
    }

    /// Puts `state` in place of the one before it; `false` where another came first.
    pub fn store_vault(&mut self, state: &VaultState) -> Result<bool, StoreError> {
        let failed = |source| StoreError::from_sqlite("storing the vault", source);
        let transaction = self.connection.transaction().map_err(failed)?;
        let saved = Reader::new(&transaction).save_vault(state)?;
        transaction.commit().map_err(failed)?;
        Ok(saved)
    }

    /// Checks the log against its signed head and starts the writer and the readers.
    pub fn start(
        self,
        clock: Arc<dyn Clock>,
        signer: Arc<dyn HeadSigner>,
        observe: Arc<dyn Observe>,
        limits: &Limits,
    ) -> Result<Store, StartError> {
        let log = open_log(&self.reader(), clock.as_ref(), signer.as_ref())?.telling(limits.told);
        let (size, size_seen) = watch::channel(log.size());
        let (outbox, outbox_seen) = watch::channel(0);
        let (fatal, fatal_seen) = watch::channel(None);
        let (queue, waiting) = mpsc::channel(limits.queue.get());
        let pool = Pool::new(&self.path, limits.readers)?;
        let writer = Writer {
            connection: self.connection,
            log,
            clock,
            signer,
            observe,
            ballast: Ballast::new(limits.ballast.clone(), limits.ballast_bytes),
            batch: limits.batch.get(),
            signals: Signals { size, outbox, fatal },
            #[cfg(test)]
            pages: limits.pages.clone(),
        };
        let thread = thread::Builder::new()
            .name("store-writer".to_owned())
            .spawn(move || writer.run(waiting))
            .map_err(StartError::Thread)?;
        let shared = Shared {
            queue,
            queue_wait: limits.queue_wait,
            pool,
            size: size_seen,
            outbox: outbox_seen,
            fatal: fatal_seen,
            writer: Mutex::new(Some(thread)),
        };
        Ok(Store { shared: Arc::new(shared) })
    }
}

/// Opens a file that is a database of ours, and whole.
fn open_whole(path: &Path) -> Result<Connection, OpenError> {
    if rusqlite::version_number() < SQLITE_VERSION_MIN {
        return Err(OpenError::OldEngine { found: rusqlite::version() });
    }
    let size = match fs::metadata(path) {
        Ok(found) => found.len(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Err(OpenError::Missing { path: path.to_owned() });
        }
        Err(source) => return Err(OpenError::File { action: "finding the database", source }),
    };
    let connection = open_writer(path)?;
    let id: i64 = connection
        .pragma_query_value(None, "application_id", |row| row.get(0))
        .map_err(|source| damaged_or("reading what the database is", source))?;
    if id != APPLICATION_ID {
        return Err(OpenError::NotVouchsafe { path: path.to_owned() });
    }
    if size <= QUICK_CHECK_BYTES_MAX {
        check_pages(&connection)?;
    }
    Ok(connection)
}

fn open_writer(path: &Path) -> Result<Connection, OpenError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let failed = |source| damaged_or("opening the database", source);
    let connection = Connection::open_with_flags(path, flags).map_err(failed)?;
    connection
        .execute_batch("PRAGMA trusted_schema = OFF; PRAGMA cell_size_check = ON;")
        .map_err(failed)?;
    connection.busy_timeout(WRITER_PATIENCE).map_err(failed)?;
    Ok(connection)
}

/// A statement is compiled once. Without the planner's promise to decide without looking at what
/// is bound, `SQLite` compiles each one that might use a partial index anew with every use.
fn keep_statements(connection: &Connection) -> rusqlite::Result<()> {
    connection.set_prepared_statement_cache_capacity(STATEMENTS_CACHED);
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true).map(drop)
}

fn work_settings(connection: &Connection) -> rusqlite::Result<()> {
    // These answer with a row, unlike those below.
    connection
        .pragma_update_and_check(None, "journal_mode", "WAL", |row| row.get::<_, String>(0))?;
    connection.execute_batch(
        "PRAGMA synchronous = FULL; PRAGMA fullfsync = ON; PRAGMA checkpoint_fullfsync = ON; \
         PRAGMA foreign_keys = ON; PRAGMA secure_delete = ON; PRAGMA journal_size_limit = 67108864;",
    )
}

fn check_pages(connection: &Connection) -> Result<(), OpenError> {
    let finding: String = connection
        .query_row("PRAGMA quick_check(1)", [], |row| row.get(0))
        .map_err(|source| damaged_or("checking the database", source))?;
    if finding == "ok" { Ok(()) } else { Err(OpenError::Corrupt { finding }) }
}

fn damaged_or(action: &'static str, source: rusqlite::Error) -> OpenError {
    match source.sqlite_error_code() {
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => {
            OpenError::Corrupt { finding: source.to_string() }
        }
        _ => OpenError::Sqlite { action, source },
    }
}

/// Reads the end of the log and checks it: the head is signed, is the head of what is there, and the
/// entries since an earlier checkpoint lead up to it.
fn open_log(
    reader: &Reader<'_>,
    clock: &dyn Clock,
    signer: &dyn HeadSigner,
) -> Result<Log, StartError> {
    let wrong = |finding| Err(StartError::Log { finding });
    let now = clock.now();
    let entries = reader.audit_entries_stored()?;
    let Some((note, stored)) = reader.stored_head()? else {
        if entries > 0 || reader.checkpoint_before(u64::MAX)?.is_some() {
            return wrong("there were entries and there is no head");
        }
        let mut log = Log::new(Tree::new(), LeafHash::NONE, None);
        log.keep_checkpoint();
        log.save(reader, 0, now.wall, signer)?;
        return Ok(log);
    };
    let head = checked(&note, &stored, signer)?;
    if head.size() != entries {
        return wrong("entries are missing from its end, or there are too many");
    }
    let mut verifier =
        match reader.checkpoint_before(head.size().saturating_sub(CHECKPOINT_ENTRIES))? {
            Some((note, stored)) => {
                let base = checked(&note, &stored, signer)?;
                let last = match base.size().checked_sub(1) {
                    None => LeafHash::NONE,
                    Some(seq) => match reader.audit_lines(seq, 1)?.first() {
                        Some(line) => leaf_hash(line),
                        None => return wrong("an entry is missing"),
                    },
                };
                Verifier::resume(base, last)
            }
            None => Verifier::new(),
        };
    while verifier.tree().size() < head.size() {
        let rows = reader.audit_leaves(verifier.tree().size(), CHECK_ENTRIES)?;
        if rows.is_empty() {
            return wrong("an entry is missing");
        }
        for (line, leaf) in rows {
            verifier.push(&line)?;
            if verifier.last() != leaf {
                return wrong("a stored hash is not that of its entry");
            }
        }
    }
    if *verifier.tree() != head {
        return wrong("the last entries are not those that were signed");
    }
    if let Some(last) = verifier.time()
        && last.since(now.wall) > CLOCK_BEHIND_MAX
    {
        return Err(StartError::Clock { last: last.rfc3339() });
    }
    Ok(Log::new(head, verifier.last(), verifier.time()))
}

/// The stored tree, if it is the one that was signed.
fn checked(note: &str, tree: &[u8], signer: &dyn HeadSigner) -> Result<Tree, StartError> {
    let checkpoint =
        Checkpoint::open(note.as_bytes(), signer.verifier_key()).map_err(VerifyError::from)?;
    let tree = Tree::from_bytes(tree)
        .map_err(|_| StartError::Log { finding: "the stored tree is damaged" })?;
    if tree.size() != checkpoint.size || tree.root() != checkpoint.root {
        return Err(StartError::Log { finding: "the stored tree is not the signed one" });
    }
    Ok(tree)
}
