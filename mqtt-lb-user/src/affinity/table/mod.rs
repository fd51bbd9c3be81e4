//! The stick table: which backend each client id belongs to.
//!
//! HAProxy's `stick-table type string`, but for the whole, byte-exact key: an
//! entry expires a fixed time after its last match, and a full table evicts the
//! entry matched longest ago, or refuses new ones (`nopurge`). As all entries
//! live equally long, the order of their last match is also the order in which
//! they expire.
//!
//! An entry also knows the client's *home*: the backend it was first given to. A
//! client that had to move because its backend was away still belongs there.
//!
//! Memory is bounded: an entry costs 40 bytes, 4 to 8 of index, and its key; and
//! all keys together get 256 bytes for each entry the table has room for, which
//! counts like the number of entries when it is used up. A table of 100,000
//! stays under 40 MB even if every client sends an id of 64 KiB.

mod chunks;
mod copy;
mod owners;
mod page;
mod restore;
mod shared;
mod slab;
mod versions;

use std::time::{Duration, Instant};

pub use copy::{Batch, Entry, Moment};
pub use owners::Share;
pub use page::{Cursor, Row};
pub use restore::{Former, Room};
pub use shared::Said;
use slab::{Slab, Slot};

use super::{BackendId, Sticky};
use crate::config::Stick;
use crate::share::Outbox;

/// Bytes of key per entry of the table's size, on average.
const KEY_BYTES: usize = 256;

/// Where the table's time begins: there is room in front of it for entries that are
/// older than the process, and 438 years behind it.
const START: u64 = 1 << 62;

/// The longest key MQTT allows (MQTT 5.0, 1.5.4): any table has room for one.
const LONGEST_KEY: usize = 65_535;

/// Which backend each client id belongs to. Every operation on one key is O(1).
pub struct StickTable {
    slab: Slab,
    stick: Stick,
    /// Begin of the table's time: the first time it is told.
    origin: Option<Instant>,
    /// The latest time it was told, in nanoseconds.
    clock: u64,
    /// Counts the changes that a reader of pages would not notice.
    epoch: u64,
    evictions: u64,
    /// What the other balancers have to be told, while the table is shared.
    outbox: Option<Outbox>,
}

impl StickTable {
    /// An empty table.
    #[must_use]
    pub fn new(stick: Stick) -> Self {
        let stick = bounded(stick);
        Self {
            slab: Slab::new(stick.size),
            stick,
            origin: None,
            clock: START,
            epoch: 0,
            evictions: 0,
            outbox: None,
        }
    }

    /// Takes over other settings. A new expire time holds for the entries that
    /// are there, too. A smaller table evicts those matched longest ago, whatever
    /// `nopurge` says. O(entries) when the size changes.
    pub fn reconfigure(&mut self, stick: Stick) {
        let stick = bounded(stick);
        let resized = stick.size != self.stick.size;
        // What has expired stays so, even if entries live longer from now on.
        while self.drop_oldest(false) {}
        self.stick = stick;
        if resized {
            while self.is_over(0, 0) && self.drop_oldest(true) {}
            let mut slab = Slab::new(stick.size);
            while let Some(at) = self.slab.oldest() {
                let Some(slot) = self.slab.get(at) else { break };
                let (backend, home) = (self.slab.backend(slot), self.slab.home(slot));
                let touched = slot.touched;
                slab.insert(self.slab.remove(at), backend, home, touched);
            }
            self.slab = slab;
            self.epoch += 1;
        }
    }

    /// The backend of a key. The match refreshes the entry.
    pub fn get(&mut self, now: Instant, key: &[u8]) -> Option<BackendId> {
        let now = self.advance(now);
        let (at, backend) = self.live(key, now)?;
        self.slab.touch(at, now);
        Some(backend)
    }

    /// The backend of a key, without refreshing the entry.
    #[must_use]
    pub fn peek(&self, now: Instant, key: &[u8]) -> Option<BackendId> {
        let slot = self.slab.get(self.slab.find(key)?)?;
        self.left(slot, self.nanos(now))
            .map(|_| self.slab.backend(slot))
    }

    /// The home of a key, without refreshing the entry.
    #[must_use]
    pub fn home(&self, now: Instant, key: &[u8]) -> Option<BackendId> {
        let slot = self.slab.get(self.slab.find(key)?)?;
        self.left(slot, self.nanos(now))
            .map(|_| self.slab.home(slot))
    }

    /// Stores the backend of a key, refreshes the entry, and says what it said
    /// before. The backend is the home of a new entry; a known one keeps its home.
    /// [`Sticky::None`]: the table is full and refuses new entries, the key is
    /// longer than any client id, or the entries name more than 65,535 backends.
    pub fn set(&mut self, now: Instant, key: &[u8], backend: BackendId) -> Sticky {
        let before = self.store(now, key, backend);
        if before != Sticky::None {
            self.note_match(now, key, before != Sticky::Hit);
        }
        before
    }

    fn store(&mut self, now: Instant, key: &[u8], backend: BackendId) -> Sticky {
        let now = self.advance(now);
        if let Some((at, before)) = self.live(key, now) {
            self.slab.touch(at, now);
            return if before == backend {
                Sticky::Hit
            } else if self.slab.set_backend(at, backend) {
                Sticky::Moved
            } else {
                Sticky::None
            };
        }
        if key.len() > LONGEST_KEY {
            return Sticky::None;
        }
        while self.is_over(1, key.len()) {
            if !self.drop_oldest(!self.stick.nopurge) {
                return Sticky::None;
            }
        }
        if self.slab.insert(key.into(), backend, backend, now) {
            Sticky::New
        } else {
            Sticky::None
        }
    }

    /// Changes where a key's client belongs, without refreshing the entry, and
    /// says whether there is one.
    pub fn set_home(&mut self, now: Instant, key: &[u8], home: BackendId) -> bool {
        let nanos = self.advance(now);
        let live = self.live(key, nanos);
        let found = live.is_some_and(|(at, _)| self.slab.set_home(at, home));
        if found {
            self.note_match(now, key, true);
        }
        found
    }

    /// Removes the entry of a key and returns its backend.
    pub fn remove(&mut self, now: Instant, key: &[u8]) -> Option<BackendId> {
        let nanos = self.advance(now);
        let (at, backend) = self.live(key, nanos)?;
        self.slab.remove(at);
        self.note_removal(now, key);
        Some(backend)
    }

    /// Removes all entries and hands them out: it takes time to free them, and the
    /// table can be used meanwhile.
    pub fn clear(&mut self) -> Cleared {
        self.epoch += 1;
        self.note_clear(None);
        Cleared(std::mem::replace(
            &mut self.slab,
            Slab::new(self.stick.size),
        ))
    }

    /// Removes a backend's entries and returns how many there were; clients that
    /// belong there and are elsewhere belong where they are. O(entries).
    pub fn clear_backend(&mut self, backend: BackendId) -> usize {
        self.note_clear(Some(backend));
        self.retain(|owner| owner != backend)
    }

    /// Keeps the entries whose backend pleases, and returns how many were removed;
    /// an entry whose home does not please is at home where it is. O(entries), but
    /// O(backends) when all of them please.
    pub fn retain(&mut self, keep: impl Fn(BackendId) -> bool) -> usize {
        if self.shares().all(|share| keep(share.backend)) {
            return 0;
        }
        self.epoch += 1;
        let before = self.slab.len();
        for at in 1..self.slab.end() {
            let Some(slot) = self.slab.get(at) else {
                continue;
            };
            let (backend, home) = (self.slab.backend(slot), self.slab.home(slot));
            if !keep(backend) {
                self.slab.remove(at);
            } else if !keep(home) {
                self.slab.set_home(at, backend);
            }
        }
        before - self.slab.len()
    }

    /// Entries by backend, in no order: each backend that an entry names. O(backends).
    pub fn shares(&self) -> impl Iterator<Item = Share> + '_ {
        self.slab.shares()
    }

    /// The entries of one backend.
    #[must_use]
    pub fn share(&self, backend: BackendId) -> Share {
        let found = self.shares().find(|share| share.backend == backend);
        found.unwrap_or(Share {
            backend,
            entries: 0,
            homes: 0,
            away: 0,
        })
    }

    /// Frees at most `budget` expired entries and returns how many. Expired
    /// entries are never matched or shown; this only gives their memory back.
    pub fn expire(&mut self, now: Instant, budget: usize) -> usize {
        self.advance(now);
        (0..budget).take_while(|_| self.drop_oldest(false)).count()
    }

    /// Entries, with those that have expired and are not freed yet.
    #[must_use]
    pub fn len(&self) -> usize {
        self.slab.len()
    }

    /// Whether there are no entries.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Entries at most.
    #[must_use]
    pub fn capacity(&self) -> usize {
        self.stick.size
    }

    /// Entries that were pushed out before they expired, since the start.
    #[must_use]
    pub fn evictions(&self) -> u64 {
        self.evictions
    }

    /// Bytes of memory the table takes, with an estimate for the allocator.
    #[must_use]
    pub fn memory_bytes(&self) -> usize {
        self.slab.memory_bytes()
    }

    /// Whether the table would be too large with so many more entries and bytes.
    fn is_over(&self, entries: usize, bytes: usize) -> bool {
        let room = self.room();
        self.slab.len() + entries > room.entries || self.slab.key_bytes() + bytes > room.key_bytes
    }

    /// Drops the entry matched longest ago if it has expired, or else if it may
    /// be evicted.
    fn drop_oldest(&mut self, evict: bool) -> bool {
        let Some(at) = self.slab.oldest() else {
            return false;
        };
        let live = self
            .slab
            .get(at)
            .is_some_and(|slot| self.left(slot, self.clock).is_some());
        if live && !evict {
            return false;
        }
        self.evictions += u64::from(live);
        self.slab.remove(at);
        true
    }

    /// The unexpired entry of a key; an expired one is removed.
    fn live(&mut self, key: &[u8], now: u64) -> Option<(u32, BackendId)> {
        let at = self.slab.find(key)?;
        let slot = self.slab.get(at)?;
        let backend = self.slab.backend(slot);
        if self.left(slot, now).is_none() {
            self.slab.remove(at);
            return None;
        }
        Some((at, backend))
    }

    /// Time until an entry expires; `None` when it has.
    fn left(&self, slot: &Slot, now: u64) -> Option<Duration> {
        let age = Duration::from_nanos(now.saturating_sub(slot.touched));
        self.stick
            .expire
            .checked_sub(age)
            .filter(|left| !left.is_zero())
    }

    /// Tells the table the time. It never runs backwards: two threads may have
    /// looked at the clock in another order than they got here.
    fn advance(&mut self, now: Instant) -> u64 {
        self.origin.get_or_insert(now);
        self.clock = self.nanos(now);
        self.clock
    }

    fn nanos(&self, now: Instant) -> u64 {
        let since = self.origin.map_or(Duration::ZERO, |origin| {
            now.saturating_duration_since(origin)
        });
        let since = u64::try_from(since.as_nanos()).unwrap_or(u64::MAX);
        self.clock.max(START.saturating_add(since))
    }

    /// The latest time it was told.
    fn latest(&self) -> Option<Instant> {
        let since = Duration::from_nanos(self.clock.saturating_sub(START));
        self.origin.map(|origin| origin + since)
    }
}

/// What [`StickTable::clear`] has removed; freed when dropped.
pub struct Cleared(Slab);

impl Cleared {
    /// How many entries there were, with those that had expired.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there were none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Slots have 32-bit numbers.
fn bounded(stick: Stick) -> Stick {
    Stick {
        size: stick.size.min(u32::MAX as usize - 1),
        ..stick
    }
}
