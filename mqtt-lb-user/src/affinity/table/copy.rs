//! Copying entries out, fast enough to be done while clients wait.

use std::ops::Range;
use std::time::Instant;

use super::{Cursor, StickTable};
use crate::affinity::BackendId;

/// Slots looked at in one go.
const SLOTS: u32 = 256;

/// Bytes of key after which a batch is full; the last one may be the longest.
const BYTES: usize = 64 << 10;

/// A moment of a table's own time, in nanoseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Moment(pub u64);

/// An entry as it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entry<'a> {
    /// The whole key.
    pub key: &'a [u8],
    /// Its backend.
    pub backend: BackendId,
    /// Where its client belongs.
    pub home: BackendId,
    /// Its last match.
    pub touched: Moment,
}

/// Entries that were copied in one go; its memory is used again for the next ones.
#[derive(Debug, Default)]
pub struct Batch {
    entries: Vec<(BackendId, BackendId, Moment, Range<usize>)>,
    keys: Vec<u8>,
}

impl Batch {
    /// The entries.
    pub fn entries(&self) -> impl Iterator<Item = Entry<'_>> {
        let entries = self.entries.iter();
        entries.map(|(backend, home, touched, key)| Entry {
            key: &self.keys[key.clone()],
            backend: *backend,
            home: *home,
            touched: *touched,
        })
    }
}

impl StickTable {
    /// Replaces what is in `batch` by the entries of the next slots, and says where
    /// to go on: at most 256 entries and 128 KiB of key. Across copies the same holds
    /// as for [`StickTable::page`], as long as the [`StickTable::epoch`] stays.
    pub fn copy(&self, now: Instant, cursor: Cursor, batch: &mut Batch) -> Option<Cursor> {
        batch.entries.clear();
        batch.keys.clear();
        let now = self.nanos(now);
        let start = cursor.0.max(1);
        let end = start.saturating_add(SLOTS).min(self.slab.end());
        let mut at = start;
        while at < end && batch.keys.len() < BYTES {
            let slot = self.slab.get(at);
            if let Some(slot) = slot.filter(|slot| self.left(slot, now).is_some()) {
                let from = batch.keys.len();
                batch.keys.extend_from_slice(&slot.key);
                batch.entries.push((
                    self.slab.backend(slot),
                    self.slab.home(slot),
                    Moment(slot.touched),
                    from..batch.keys.len(),
                ));
            }
            at += 1;
        }
        (at < self.slab.end()).then_some(Cursor(at))
    }

    /// What the table's own time is.
    #[must_use]
    pub fn moment(&self, now: Instant) -> Moment {
        Moment(self.nanos(now))
    }

    /// Changes when many entries were removed at once or slots got other numbers:
    /// what was copied out before may be wrong.
    #[must_use]
    pub fn epoch(&self) -> u64 {
        self.epoch
    }
}
