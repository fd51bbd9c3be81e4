//! Reading the table piece by piece, without stopping the world.

use std::time::{Duration, Instant};

use super::StickTable;
use super::slab::Slot;
use crate::affinity::BackendId;

/// Where the next page starts; `default()` is the beginning.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Cursor(pub(super) u32);

/// An entry as shown to people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// The whole client id.
    pub key: Vec<u8>,
    /// Its backend.
    pub backend: BackendId,
    /// Where its client belongs.
    pub home: BackendId,
    /// Time until it expires if nobody matches it before.
    pub expires_in: Duration,
}

impl StickTable {
    /// Looks at the next `n` slots (at least one) and returns the entries in
    /// them, and where to go on. A page may be short or empty before the end.
    ///
    /// The table may change between two pages. An entry that was there all the
    /// time is returned exactly once; one that was added, removed or evicted
    /// meanwhile may be returned or not, and one that was removed and came back
    /// may be returned twice. Only a change of the table's size in between breaks
    /// this: entries may then be missing or repeated.
    #[must_use]
    pub fn page(&self, now: Instant, cursor: Cursor, n: usize) -> (Vec<Row>, Option<Cursor>) {
        let now = self.nanos(now);
        let start = cursor.0.max(1);
        let step = u32::try_from(n.max(1)).unwrap_or(u32::MAX);
        let end = start.saturating_add(step).min(self.slab.end());
        let rows = (start..end)
            .filter_map(|at| self.slab.get(at))
            .filter_map(|slot| self.row(slot, now))
            .collect();
        (rows, (end < self.slab.end()).then_some(Cursor(end)))
    }

    /// The entry of a key, without refreshing it.
    #[must_use]
    pub fn entry(&self, now: Instant, key: &[u8]) -> Option<Row> {
        self.row(self.slab.get(self.slab.find(key)?)?, self.nanos(now))
    }

    fn row(&self, slot: &Slot, now: u64) -> Option<Row> {
        Some(Row {
            key: slot.key.to_vec(),
            backend: self.slab.backend(slot),
            home: self.slab.home(slot),
            expires_in: self.left(slot, now)?,
        })
    }
}
