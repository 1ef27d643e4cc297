//! What the daemon has acknowledged, written down outside of it, in the order we learnt it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::path::Path;
use std::sync::Mutex;

/// Something that a client was told is so.
#[derive(Clone, Debug)]
pub(super) enum Event {
    /// A secret has this version.
    Put { path: String, version: u64, value: String },
    /// This ask is pending; `digest` as it is shown to people.
    Asked { id: String, digest: String, path: String },
    /// This value is proposed for a secret that is not there, and people are asked.
    Proposed { id: String, digest: String, path: String, value: String },
    /// This vote settled this ask.
    Voted { id: String, approve: bool, leases: Vec<String> },
    /// Somebody else's vote did.
    Seen { id: String, approved: bool },
    /// A value, under this lease. `begun`: how many events there were when it was asked for.
    Read { lease: String, path: String, version: u64, value: String, begun: usize },
    /// The lease has ended.
    Revoked { lease: String },
}

/// The journal: a file that only grows, and the same in memory.
#[derive(Debug)]
pub(super) struct Journal {
    inner: Mutex<Inner>,
}

#[derive(Debug)]
struct Inner {
    file: File,
    events: Vec<Event>,
    next_secret: u64,
    /// Paths that were put and not asked for.
    unasked: Vec<String>,
    /// Paths whose ask was approved.
    approved: BTreeSet<String>,
    /// Asks that nobody has answered, as far as we know.
    open: BTreeSet<String>,
    /// By ask.
    paths: BTreeMap<String, String>,
    /// What asks propose values for, by ask.
    proposed: BTreeMap<String, String>,
    leases: Vec<String>,
}

impl Journal {
    pub(super) fn create(path: &Path) -> Self {
        let file = OpenOptions::new().create_new(true).append(true).open(path).unwrap();
        Self {
            inner: Mutex::new(Inner {
                file,
                events: Vec::new(),
                next_secret: 0,
                unasked: Vec::new(),
                approved: BTreeSet::new(),
                open: BTreeSet::new(),
                paths: BTreeMap::new(),
                proposed: BTreeMap::new(),
                leases: Vec::new(),
            }),
        }
    }

    /// Takes down what was acknowledged.
    pub(super) fn note(&self, event: Event) {
        self.with(|inner| {
            writeln!(inner.file, "{event:?}").unwrap();
            inner.learn(&event);
            inner.events.push(event);
        });
    }

    pub(super) fn events(&self) -> Vec<Event> {
        self.with(|inner| inner.events.clone())
    }

    pub(super) fn len(&self) -> usize {
        self.with(|inner| inner.events.len())
    }

    /// A number that no secret has.
    pub(super) fn new_secret(&self) -> u64 {
        self.with(|inner| {
            inner.next_secret += 1;
            inner.next_secret
        })
    }

    /// A path that nobody has asked for; it is given out once.
    pub(super) fn take_unasked(&self) -> Option<String> {
        self.with(|inner| inner.unasked.pop())
    }

    pub(super) fn approved(&self) -> Vec<String> {
        self.with(|inner| inner.approved.iter().cloned().collect())
    }

    pub(super) fn open(&self) -> Vec<String> {
        self.with(|inner| inner.open.iter().cloned().collect())
    }

    pub(super) fn leases(&self) -> Vec<String> {
        self.with(|inner| inner.leases.clone())
    }

    fn with<T>(&self, act: impl FnOnce(&mut Inner) -> T) -> T {
        act(&mut self.inner.lock().unwrap())
    }
}

impl Inner {
    fn learn(&mut self, event: &Event) {
        match event {
            Event::Put { path, version: 1, .. } => self.unasked.push(path.clone()),
            Event::Put { .. } | Event::Read { .. } => {}
            Event::Asked { id, path, .. } => {
                self.paths.insert(id.clone(), path.clone());
                self.open.insert(id.clone());
            }
            Event::Proposed { id, path, .. } => {
                self.proposed.insert(id.clone(), path.clone());
                self.open.insert(id.clone());
            }
            Event::Voted { id, approve, leases } => {
                self.settle(id, *approve);
                self.leases.extend(leases.iter().cloned());
            }
            Event::Seen { id, approved } => self.settle(id, *approved),
            Event::Revoked { lease } => self.leases.retain(|live| live != lease),
        }
    }

    fn settle(&mut self, id: &str, approved: bool) {
        self.open.remove(id);
        if let Some(path) = self.paths.get(id).filter(|_| approved) {
            self.approved.insert(path.clone());
        }
        // It is there now, once, however many learn of it: somebody will ask for it.
        if let Some(path) = self.proposed.remove(id).filter(|_| approved) {
            self.unasked.push(path);
        }
    }
}
