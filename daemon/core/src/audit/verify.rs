//! Checks an export line by line against its checkpoint: nothing changed, missing, moved or added.

use std::fmt;
use std::io;

use serde_json::Value;

use super::entry::canonical;
use super::{
    Checkpoint, LINE_BYTES_MAX, LeafHash, NoteError, RootHash, Tree, VerifierKey, leaf_hash,
};
use crate::time::UnixTime;

/// Reads a log from its first entry on.
#[derive(Clone, Debug)]
pub struct Verifier {
    tree: Tree,
    last: LeafHash,
    time: Option<UnixTime>,
}

/// A log that is what its checkpoint says.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Verified {
    /// How many entries.
    pub size: u64,
    /// The root of their tree.
    pub root: RootHash,
}

/// What is wrong with a log, and where first.
#[derive(Debug, thiserror::Error)]
pub enum VerifyError {
    /// An entry is not what it was, or not where it was.
    #[error("entry {seq}: {fault}")]
    Entry {
        /// The first entry that is wrong.
        seq: u64,
        /// In what way.
        fault: Fault,
    },
    /// The checkpoint itself is wrong.
    #[error("the checkpoint cannot be trusted")]
    Checkpoint(#[from] NoteError),
    /// The export could not be read.
    #[error("reading the export failed")]
    Read(#[source] io::Error),
}

/// In what way an entry is wrong.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Fault {
    /// Its bytes are not those that were hashed.
    Edited,
    /// It is not there, though later ones are.
    Missing,
    /// It is there, in another place.
    Reordered,
    /// It and all after it are not there.
    Truncated,
    /// It was added.
    Extra,
    /// It is no entry.
    Malformed,
    /// It is older than the entry before it.
    ClockRegress,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Edited => "edited: its bytes are not those that were hashed",
            Self::Missing => "missing, though later entries are there",
            Self::Reordered => "reordered: it is in another place",
            Self::Truncated => "truncated: this and all after it are missing",
            Self::Extra => "extra: the checkpoint does not know it",
            Self::Malformed => "malformed: not a line of the log",
            Self::ClockRegress => "clock regress: it is older than the entry before it",
        })
    }
}

/// What the checks need of a line.
struct Line {
    seq: u64,
    prev: LeafHash,
    time: UnixTime,
}

impl Default for Verifier {
    fn default() -> Self {
        Self::new()
    }
}

impl Verifier {
    /// Before the first entry.
    pub const fn new() -> Self {
        Self { tree: Tree::new(), last: LeafHash::NONE, time: None }
    }

    /// In the middle of a log that is trusted up to `tree`, whose last entry has the hash `last`.
    pub const fn resume(tree: Tree, last: LeafHash) -> Self {
        Self { tree, last, time: None }
    }

    /// The tree of the entries so far.
    pub const fn tree(&self) -> &Tree {
        &self.tree
    }

    /// The hash of the last entry so far.
    pub const fn last(&self) -> LeafHash {
        self.last
    }

    /// The time of the last entry so far.
    pub const fn time(&self) -> Option<UnixTime> {
        self.time
    }

    /// Takes the next line, without its line feed.
    pub fn push(&mut self, line: &[u8]) -> Result<(), VerifyError> {
        let expected = self.tree.size();
        let at = |seq, fault| Err(VerifyError::Entry { seq, fault });
        let Some(entry) = parse(line) else {
            return at(expected, Fault::Malformed);
        };
        if entry.seq > expected {
            return at(expected, Fault::Missing);
        }
        if entry.seq < expected {
            return at(entry.seq, Fault::Extra);
        }
        if entry.prev != self.last {
            return at(expected.saturating_sub(1), Fault::Edited);
        }
        if self.time.is_some_and(|time| entry.time < time) {
            return at(expected, Fault::ClockRegress);
        }
        self.last = leaf_hash(line);
        self.time = Some(entry.time);
        self.tree.push(self.last);
        Ok(())
    }

    /// Holds what was read against a checkpoint signed by `key`.
    pub fn finish(self, note: &[u8], key: &VerifierKey) -> Result<Verified, VerifyError> {
        let checkpoint = Checkpoint::open(note, key)?;
        let size = self.tree.size();
        let at = |seq, fault| Err(VerifyError::Entry { seq, fault });
        if size < checkpoint.size {
            return at(size, Fault::Truncated);
        }
        if size > checkpoint.size {
            return at(checkpoint.size, Fault::Extra);
        }
        if self.tree.root() != checkpoint.root {
            // Every entry but the last is held by its successor.
            return at(size.saturating_sub(1), Fault::Edited);
        }
        Ok(Verified { size, root: checkpoint.root })
    }
}

/// Verifies a whole export: `lines` from entry 0 on, without their line feeds, and the checkpoint
/// beside them.
pub fn verify_export(
    lines: impl IntoIterator<Item = io::Result<Vec<u8>>>,
    note: &[u8],
    key: &VerifierKey,
) -> Result<Verified, VerifyError> {
    let mut verifier = Verifier::new();
    let mut lines = lines.into_iter();
    while let Some(line) = lines.next() {
        let line = line.map_err(VerifyError::Read)?;
        match verifier.push(&line) {
            Ok(()) => {}
            Err(VerifyError::Entry { seq, fault: Fault::Missing }) => {
                let fault = if is_later(seq, lines) { Fault::Reordered } else { Fault::Missing };
                return Err(VerifyError::Entry { seq, fault });
            }
            Err(VerifyError::Entry { seq, fault: Fault::Edited }) => {
                // Either this line's link is false or the line before is. The next line knows.
                let next = lines.next().and_then(Result::ok).as_deref().and_then(parse);
                let this_is_false = next.is_some_and(|next| next.prev != leaf_hash(&line));
                let seq = if this_is_false { verifier.tree.size() } else { seq };
                return Err(VerifyError::Entry { seq, fault: Fault::Edited });
            }
            Err(error) => return Err(error),
        }
    }
    verifier.finish(note, key)
}

fn is_later(seq: u64, lines: impl Iterator<Item = io::Result<Vec<u8>>>) -> bool {
    lines.map_while(Result::ok).any(|line| parse(&line).is_some_and(|entry| entry.seq == seq))
}

fn parse(line: &[u8]) -> Option<Line> {
    if line.len() > LINE_BYTES_MAX {
        return None;
    }
    let value: Value = serde_json::from_slice(line).ok()?;
    if canonical(&value) != line || value.get("v")?.as_u64()? != 1 {
        return None;
    }
    let time = value.get("time")?.as_str()?;
    Some(Line {
        seq: value.get("seq")?.as_u64()?,
        prev: LeafHash::parse_hex(value.get("prev")?.as_str()?)?,
        time: UnixTime::parse_rfc3339(time).filter(|read| read.rfc3339() == time)?,
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::note::tests::TestSigner;
    use super::super::{Action, Actor, Entry, HeadSigner as _};
    use super::*;

    struct Log {
        lines: Vec<Vec<u8>>,
        note: String,
        signer: TestSigner,
    }

    fn log(times: &[i64]) -> Log {
        let signer = TestSigner::new("vouchsafe/test", 1);
        let (mut tree, mut prev, mut lines) = (Tree::new(), LeafHash::NONE, Vec::new());
        for (&time, seq) in times.iter().zip(0..) {
            let entry = Entry::new(Action::SECRET_READ, Actor::system()).detail("n", seq);
            let line = entry.line(seq, UnixTime::from_ms(time), &prev);
            prev = leaf_hash(&line);
            tree.push(prev);
            lines.push(line);
        }
        let origin = "vouchsafe/test".to_owned();
        let note = Checkpoint { origin, size: tree.size(), root: tree.root() }.signed(&signer);
        Log { lines, note, signer }
    }

    fn plain(len: usize) -> Log {
        log(&(0..).take(len).collect::<Vec<_>>())
    }

    impl Log {
        fn verify(&self) -> Result<Verified, VerifyError> {
            let lines = self.lines.iter().cloned().map(Ok);
            verify_export(lines, self.note.as_bytes(), self.signer.verifier_key())
        }

        fn fault(&self) -> (u64, Fault) {
            match self.verify() {
                Err(VerifyError::Entry { seq, fault }) => (seq, fault),
                other => panic!("{other:?}"),
            }
        }
    }

    #[test]
    fn a_log_as_it_was_written_is_verified() {
        for size in [0, 1, 2, 3, 64, 100] {
            assert_eq!(plain(size).verify().unwrap().size, u64::try_from(size).unwrap());
        }
    }

    #[test]
    fn each_fault_is_named_with_its_first_entry() {
        let changed = |change: fn(&mut Vec<Vec<u8>>)| {
            let mut log = plain(6);
            change(&mut log.lines);
            log.fault()
        };
        let edit = |line: &mut Vec<u8>| {
            *line = String::from_utf8(line.clone()).unwrap().replace(r#""ok""#, r#""no""#).into();
        };
        for n in 0..6 {
            let mut log = plain(6);
            edit(&mut log.lines[n]);
            assert_eq!(log.fault(), (u64::try_from(n).unwrap(), Fault::Edited));
        }
        assert_eq!(changed(|lines| drop(lines.remove(2))), (2, Fault::Missing));
        assert_eq!(changed(|lines| drop(lines.remove(0))), (0, Fault::Missing));
        assert_eq!(changed(|lines| lines.swap(2, 4)), (2, Fault::Reordered));
        assert_eq!(changed(|lines| drop(lines.pop())), (5, Fault::Truncated));
        assert_eq!(changed(Vec::clear), (0, Fault::Truncated));
        assert_eq!(changed(|lines| lines.push(lines[5].clone())), (5, Fault::Extra));
        assert_eq!(changed(|lines| lines.push(Vec::new())), (6, Fault::Malformed));
        assert_eq!(changed(|lines| lines[3].push(b' ')), (3, Fault::Malformed));
        assert_eq!(log(&[5, 7, 6]).fault(), (2, Fault::ClockRegress));
    }

    #[test]
    fn an_edited_link_is_told_from_an_edited_line_before_it() {
        let mut log = plain(6);
        let text = String::from_utf8(log.lines[3].clone()).unwrap();
        let (at, _) = text.match_indices(r#""prev":""#).next().unwrap();
        let digit = &mut log.lines[3][at + 8];
        *digit = if *digit == b'0' { b'1' } else { b'0' };
        assert_eq!(log.fault(), (3, Fault::Edited));
    }

    #[test]
    fn a_well_linked_entry_that_nobody_signed_is_extra() {
        let mut log = plain(3);
        let prev = leaf_hash(&log.lines[2]);
        let forged = Entry::new(Action::SECRET_READ, Actor::system());
        log.lines.push(forged.line(3, UnixTime::from_ms(9), &prev));
        assert_eq!(log.fault(), (3, Fault::Extra));
    }

    #[test]
    fn another_key_and_a_changed_checkpoint_are_told_apart() {
        let log = plain(3);
        let verify = |note: &str, signer: &TestSigner| {
            let lines = log.lines.iter().cloned().map(Ok);
            match verify_export(lines, note.as_bytes(), signer.verifier_key()) {
                Err(VerifyError::Checkpoint(error)) => error,
                other => panic!("{other:?}"),
            }
        };
        assert_eq!(verify(&log.note, &TestSigner::new("vouchsafe/test", 2)), NoteError::WrongKey);
        assert_eq!(
            verify(&log.note.replace("\n3\n", "\n2\n"), &log.signer),
            NoteError::BadSignature
        );
        assert_eq!(verify("", &log.signer), NoteError::Malformed);
    }

    proptest! {
        #[test]
        fn any_flipped_bit_is_found(size in 1_usize..20, pick: u64, bit in 0_u32..8) {
            let mut log = plain(size);
            let total: usize = log.lines.iter().map(Vec::len).sum();
            let mut at = usize::try_from(pick).unwrap() % total;
            let mut n = 0;
            while at >= log.lines[n].len() {
                at -= log.lines[n].len();
                n += 1;
            }
            log.lines[n][at] ^= 1 << bit;
            let (seq, _) = log.fault();
            prop_assert!(seq.abs_diff(u64::try_from(n).unwrap()) <= 1 || log.lines[n][at].is_ascii_digit());
        }

        #[test]
        fn any_flipped_bit_of_the_checkpoint_is_found(size in 0_usize..5, pick: u64, bit in 0_u32..8) {
            let mut log = plain(size);
            let mut note = log.note.into_bytes();
            let at = usize::try_from(pick).unwrap() % note.len();
            note[at] ^= 1 << bit;
            log.note = String::new();
            let lines = log.lines.iter().cloned().map(Ok);
            prop_assert!(verify_export(lines, &note, log.signer.verifier_key()).is_err());
        }

        #[test]
        fn any_line_taken_out_moved_or_doubled_is_found(size in 2_usize..20, a: u64, b: u64) {
            let pick = |n: u64| usize::try_from(n).unwrap() % size;
            let (a, b) = (pick(a), pick(b));
            let mut out = plain(size);
            out.lines.remove(a);
            prop_assert!(out.verify().is_err());
            let mut doubled = plain(size);
            let copy = doubled.lines[a].clone();
            doubled.lines.insert(b, copy);
            prop_assert!(doubled.verify().is_err());
            let mut moved = plain(size);
            moved.lines.swap(a, b);
            prop_assert_eq!(moved.verify().is_ok(), a == b);
            let mut cut = plain(size);
            cut.lines.truncate(a);
            prop_assert!(cut.verify().is_err());
        }
    }
}
