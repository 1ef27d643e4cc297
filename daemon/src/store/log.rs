//! The growing end of the audit log, as the writer keeps it.

use rusqlite::params;
use vouchsafe_core::audit::{Checkpoint, Entry, HeadSigner, LeafHash, Tree, leaf_hash};
use vouchsafe_core::route::{Event, Events};
use vouchsafe_core::time::UnixTime;

use super::error::StoreError;
use super::sql::{Reader, integer};

/// A checkpoint is kept whenever the log has grown past a multiple of this.
pub(super) const CHECKPOINT_ENTRIES: u64 = 256;

/// Where the next entry goes.
#[derive(Clone, Debug)]
pub(super) struct Log {
    tree: Tree,
    last: LeafHash,
    time: Option<UnixTime>,
    checkpoint: bool,
    /// What goes into the outbox: what some channel carries.
    told: Events,
    /// How much has gone there.
    outbox: u64,
}

impl Log {
    /// After the last entry of `tree`, which has the hash `last` and was written at `time`.
    pub(super) const fn new(tree: Tree, last: LeafHash, time: Option<UnixTime>) -> Self {
        Self { tree, last, time, checkpoint: false, told: Events::NONE, outbox: 0 }
    }

    /// With these events going into the outbox.
    pub(super) const fn telling(mut self, told: Events) -> Self {
        self.told = told;
        self
    }

    /// How many entries have gone into the outbox; it changes where there is something to route.
    pub(super) const fn outbox(&self) -> u64 {
        self.outbox
    }

    pub(super) const fn size(&self) -> u64 {
        self.tree.size()
    }

    pub(super) const fn time(&self) -> Option<UnixTime> {
        self.time
    }

    pub(super) const fn keep_checkpoint(&mut self) {
        self.checkpoint = true;
    }

    pub(super) fn append(
        &mut self,
        to: &Reader<'_>,
        entry: &Entry,
        time: UnixTime,
    ) -> Result<u64, StoreError> {
        let seq = self.tree.size();
        let line = entry.line(seq, time, &self.last);
        let leaf = leaf_hash(&line);
        to.insert_entry(seq, time, &line, leaf, entry)?;
        if let Some(event) = Event::of(entry).filter(|event| self.told.contains(*event)) {
            to.insert_outbox(seq, event)?;
            self.outbox += 1;
        }
        self.tree.push(leaf);
        self.last = leaf;
        self.time = Some(time);
        Ok(seq)
    }

    /// Signs and saves the head of the log, if it has moved since `before`.
    pub(super) fn save(
        &mut self,
        to: &Reader<'_>,
        before: u64,
        time: UnixTime,
        signer: &dyn HeadSigner,
    ) -> Result<(), StoreError> {
        let size = self.tree.size();
        let wanted = std::mem::take(&mut self.checkpoint)
            || size / CHECKPOINT_ENTRIES > before / CHECKPOINT_ENTRIES;
        if size == before && !wanted {
            return Ok(());
        }
        let origin = signer.verifier_key().name().to_owned();
        let note = Checkpoint { origin, size, root: self.tree.root() }.signed(signer);
        let tree = self.tree.to_bytes();
        to.change(
            "-- save_head\nINSERT INTO audit_head (id, size, note, tree) VALUES (1, $1, $2, $3) \
             ON CONFLICT (id) DO UPDATE SET size = excluded.size, note = excluded.note, \
             tree = excluded.tree",
            params![integer(size), note, tree],
        )?;
        if wanted {
            to.change(
                "-- keep_checkpoint\nINSERT INTO audit_checkpoints (size, note, tree, time) \
                 VALUES ($1, $2, $3, $4) ON CONFLICT (size) DO NOTHING",
                params![integer(size), note, tree, time.ms()],
            )?;
        }
        Ok(())
    }
}
