//! What this machine gives: an append that is synced, and bare `SQLite` with the daemon's settings.
#![expect(clippy::unwrap_used, reason = "without a calibration there is nothing to compare with")]

use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::path::Path;
use std::time::Duration;

use rusqlite::{Connection, params};
use tokio::time::Instant;

use crate::table::{Measured, Table};

/// Commits one by one.
pub(crate) const ONE: &str = "SQLite, one a commit (S1)";
/// As the daemon does it when 32 clients write at once.
pub(crate) const MANY: &str = "SQLite, 32 a commit (S32)";
const PAGE_BYTES: usize = 4096;
/// About what an audit entry has.
const ROW: [u8; 300] = [7; 300];

pub(crate) fn measure(scratch: &Path, span: Duration, table: &mut Table) {
    std::fs::create_dir_all(scratch).unwrap();
    let options = OpenOptions::new().create(true).append(true).clone();
    let mut file: File = options.open(scratch.join("appended")).unwrap();
    let page = [7; PAGE_BYTES];
    table.add(
        "append 4 KiB and fsync (F)".to_owned(),
        repeat(span, 1, || {
            file.write_all(&page).unwrap();
            file.sync_all().unwrap();
        }),
    );
    let mut database = open(&scratch.join("bare.db"));
    table.add(ONE.to_owned(), repeat(span, 1, || commit(&mut database, 1)));
    table.add(MANY.to_owned(), repeat(span, 32, || commit(&mut database, 32)));
}

/// Does it until the time is over; `each` operations at a time.
fn repeat(span: Duration, each: usize, mut act: impl FnMut()) -> Measured {
    let begun = Instant::now();
    let mut took = Vec::new();
    while begun.elapsed() < span {
        let before = Instant::now();
        act();
        took.extend(std::iter::repeat_n(before.elapsed(), each));
    }
    Measured { took, over: begun.elapsed() }
}

fn open(path: &Path) -> Connection {
    let database = Connection::open(path).unwrap();
    database
        .execute_batch(
            "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA secure_delete = ON;
             PRAGMA cell_size_check = ON;
             CREATE TABLE IF NOT EXISTS ask (id INTEGER PRIMARY KEY, body BLOB) STRICT;
             CREATE TABLE IF NOT EXISTS entry (id INTEGER PRIMARY KEY, body BLOB) STRICT;
             CREATE TABLE IF NOT EXISTS head (id INTEGER PRIMARY KEY, body BLOB) STRICT;",
        )
        .unwrap();
    database
}

fn commit(database: &mut Connection, operations: usize) {
    let transaction = database.transaction().unwrap();
    for _ in 0..operations {
        for table in ["ask", "entry", "head"] {
            let sql = format!("INSERT INTO {table} (body) VALUES (?1)");
            transaction.prepare_cached(&sql).unwrap().execute(params![ROW]).unwrap();
        }
    }
    transaction.commit().unwrap();
}
