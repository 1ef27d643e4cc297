//! The log of everything that was asked, decided and released, as bytes anyone can check.
//!
//! An entry is one line of canonical JSON (RFC 8785). It carries the hash of the line before it and
//! is a leaf of a Merkle tree (RFC 6962); the tree's size and root are signed as a checkpoint
//! (C2SP `tlog-checkpoint` in a signed note). This module makes lines, grows the tree, writes and
//! reads checkpoints and verifies an export. It stores nothing and signs nothing.

mod action;
mod entry;
mod note;
mod tree;
mod verify;

pub use action::Action;
pub use entry::{Actor, ActorKind, Entry, LINE_BYTES_MAX, Outcome, Proof, Via};
pub use note::{Checkpoint, HeadSigner, KeyError, NoteError, VerifierKey, open_note};
pub use tree::{LeafHash, RootHash, Tree, TreeError, leaf_hash};
pub use verify::{Fault, Verified, Verifier, VerifyError, verify_export};
