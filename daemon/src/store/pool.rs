//! Connections for reading, a few, each used by one reader at a time.

use std::num::NonZeroU32;
use std::panic::resume_unwind;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use rusqlite::Connection;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::engine::open_reader;
use super::error::{OpenError, StoreError};
use super::sql::Reader;

/// The connections, and a place for each to wait for.
#[derive(Debug)]
pub(super) struct Pool {
    free: Arc<Mutex<Vec<Connection>>>,
    places: Arc<Semaphore>,
}

/// A connection that goes back where it came from, whatever happens.
struct Lent {
    connection: Option<Connection>,
    free: Arc<Mutex<Vec<Connection>>>,
    _place: OwnedSemaphorePermit,
}

impl Pool {
    pub(super) fn new(path: &Path, connections: NonZeroU32) -> Result<Self, OpenError> {
        let free =
            (0..connections.get()).map(|_| open_reader(path)).collect::<Result<Vec<_>, _>>()?;
        let places = Arc::new(Semaphore::new(free.len()));
        Ok(Self { free: Arc::new(Mutex::new(free)), places })
    }

    pub(super) async fn read<T, E, F>(&self, name: &'static str, f: F) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
        F: FnOnce(&Reader<'_>) -> Result<T, E> + Send + 'static,
    {
        let lent = self.lend().await?;
        let read = tokio::task::spawn_blocking(move || lent.read(name, f)).await;
        match read.map_err(tokio::task::JoinError::try_into_panic) {
            Ok(result) => result,
            Err(Ok(panic)) => resume_unwind(panic),
            Err(Err(_)) => Err(StoreError::Closed.into()),
        }
    }

    async fn lend(&self) -> Result<Lent, StoreError> {
        let place = Arc::clone(&self.places).acquire_owned().await;
        let place = place.map_err(|_| StoreError::Closed)?;
        let connection = self.free.lock().unwrap_or_else(PoisonError::into_inner).pop();
        Ok(Lent { connection, free: Arc::clone(&self.free), _place: place })
    }
}

impl Lent {
    fn read<T, E: From<StoreError>>(
        self,
        name: &'static str,
        f: impl FnOnce(&Reader<'_>) -> Result<T, E>,
    ) -> Result<T, E> {
        let connection = self.connection.as_ref().ok_or(StoreError::Closed)?;
        // One snapshot for all queries of `f`; ends when dropped.
        let _snapshot = connection
            .unchecked_transaction()
            .map_err(|error| StoreError::from_sqlite(name, error))?;
        f(&Reader::new(connection))
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        if let Some(connection) = self.connection.take() {
            self.free.lock().unwrap_or_else(PoisonError::into_inner).push(connection);
        }
    }
}
