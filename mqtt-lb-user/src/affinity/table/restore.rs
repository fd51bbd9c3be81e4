//! Putting entries back that are older than the table.

use std::time::{Duration, Instant};

use super::{KEY_BYTES, LONGEST_KEY, StickTable};
use crate::affinity::BackendId;

/// What a table has room for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Room {
    /// Entries at most.
    pub entries: usize,
    /// Bytes of all keys at most.
    pub key_bytes: usize,
}

/// An entry from before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Former {
    /// The whole key.
    pub key: Box<[u8]>,
    /// Its backend.
    pub backend: BackendId,
    /// Where its client belongs.
    pub home: BackendId,
    /// Time since its last match.
    pub age: Duration,
}

impl StickTable {
    /// What the table has room for.
    #[must_use]
    pub fn room(&self) -> Room {
        let bytes = self.stick.size.saturating_mul(KEY_BYTES);
        Room {
            entries: self.stick.size,
            key_bytes: bytes.max(LONGEST_KEY),
        }
    }

    /// Puts entries back into a table that is empty, oldest first, and returns how
    /// many there are then: of a key that comes twice the later one stays, and more
    /// than there is room for push the oldest out. Into a table that has entries
    /// nothing is put: they are newer.
    pub fn restore(&mut self, now: Instant, entries: Vec<Former>) -> usize {
        let now = self.advance(now);
        if !self.is_empty() {
            return 0;
        }
        for entry in entries {
            if entry.key.len() > LONGEST_KEY {
                continue;
            }
            if let Some(at) = self.slab.find(&entry.key) {
                self.slab.remove(at);
            }
            while self.is_over(1, entry.key.len()) && self.drop_oldest(true) {}
            let age = u64::try_from(entry.age.as_nanos()).unwrap_or(u64::MAX);
            let touched = now.saturating_sub(age);
            self.slab
                .insert(entry.key, entry.backend, entry.home, touched);
        }
        self.len()
    }
}
