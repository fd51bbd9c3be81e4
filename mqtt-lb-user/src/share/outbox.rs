//! What a stick table still has to tell the other balancers: bounded, each key once.
//!
//! The table writes here while it is locked for a client, so nothing here waits. Only keys are
//! kept: what is said of one is looked up when it leaves, so that a client that comes back ten
//! times while Redis is slow costs one message. What does not fit is dropped and counted; the
//! next reconciliation finds changes in the table itself, but not removals, which therefore
//! get as much room again.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::version::{Clock, Version};
use crate::affinity::BackendId;

/// Bytes of key per place in the queue, on average.
const KEY_BYTES: usize = 256;
/// The longest key: any queue has room for one.
const LONGEST_KEY: usize = 65_535;
/// A match is told when the last telling is older than this part of the expire time.
const REFRESHES: u32 = 10;

/// Called when something is waiting.
pub type Wake = Box<dyn Fn() + Send>;

/// What waits for a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum What {
    /// Its entry, as it will be by then.
    Entry,
    /// Its removal.
    Removal(Version),
}

/// Which entries a clear removed: those of a backend, or all.
pub type Cleared = Option<BackendId>;

/// The queue of one table, and the clock of its versions.
pub struct Outbox {
    clock: Clock,
    limit: usize,
    wake: Wake,
    waiting: HashMap<Arc<[u8]>, What>,
    order: VecDeque<Arc<[u8]>>,
    key_bytes: usize,
    /// Every clear known, own or another's; at most one for each backend.
    clears: BTreeMap<Cleared, Version>,
    /// Own ones not yet told.
    unsaid: BTreeMap<Cleared, Version>,
    dropped: u64,
    overflowed: bool,
}

impl Outbox {
    /// An empty queue with room for `limit` keys.
    #[must_use]
    pub fn new(clock: Clock, limit: usize, wake: Wake) -> Self {
        Self {
            clock,
            limit,
            wake,
            waiting: HashMap::new(),
            order: VecDeque::new(),
            key_bytes: 0,
            clears: BTreeMap::new(),
            unsaid: BTreeMap::new(),
            dropped: 0,
            overflowed: false,
        }
    }

    /// Another limit and another to wake, and the clock set as the new one is; what waits goes
    /// on waiting.
    pub fn configure(&mut self, clock: &Clock, limit: usize, wake: Wake) {
        self.clock.set(clock);
        self.limit = limit;
        self.wake = wake;
    }

    /// The clock of the versions.
    pub fn clock(&mut self) -> &mut Clock {
        &mut self.clock
    }

    /// A client was seen at its entry, which said so in version `said` and may have `changed`.
    /// Answers the version the entry has from now on.
    #[must_use]
    pub fn matched(
        &mut self,
        now: Instant,
        key: &[u8],
        said: Version,
        changed: bool,
        expire: Duration,
    ) -> Version {
        let age = self.clock.millis(now).saturating_sub(said.millis());
        if !changed && Duration::from_millis(age) < expire / REFRESHES {
            return said;
        }
        self.push(key.into(), What::Entry);
        self.clock.next(now)
    }

    /// The entry of a key was removed.
    pub fn removed(&mut self, now: Instant, key: &[u8]) {
        let version = self.clock.next(now);
        self.push(key.into(), What::Removal(version));
    }

    /// All entries, or those of a backend, were removed.
    pub fn cleared(&mut self, now: Instant, which: Cleared) {
        let version = self.clock.next(now);
        self.clears.insert(which, version);
        self.unsaid.insert(which, version);
        (self.wake)();
    }

    /// Takes note of a clear. True: it is news.
    pub fn learn_clear(&mut self, which: Cleared, version: Version) -> bool {
        let known = self.clears.entry(which).or_default();
        let news = version > *known;
        *known = version.max(*known);
        news
    }

    /// Says those clears again that Redis, which has these, has lost.
    pub fn say_again(&mut self, there: &BTreeMap<Cleared, Version>) {
        for (which, version) in &self.clears {
            if there.get(which).is_none_or(|there| there < version) {
                self.unsaid.insert(*which, *version);
            }
        }
    }

    /// The newest removal known of all entries of a backend.
    #[must_use]
    pub fn clear_of(&self, backend: BackendId) -> Version {
        let known = |which| self.clears.get(&which).copied().unwrap_or_default();
        known(None).max(known(Some(backend)))
    }

    /// The newest removal known of a key or of all entries of its backend.
    #[must_use]
    pub fn removal(&self, key: &[u8], backend: BackendId) -> Version {
        let own = match self.waiting.get(key) {
            Some(What::Removal(version)) => *version,
            _ => Version::NONE,
        };
        own.max(self.clear_of(backend))
    }

    /// Takes the clears not yet told.
    pub fn take_clears(&mut self) -> BTreeMap<Cleared, Version> {
        std::mem::take(&mut self.unsaid)
    }

    /// Takes at most `n` keys, those that have waited longest.
    pub fn take(&mut self, n: usize) -> Vec<(Arc<[u8]>, What)> {
        let mut taken = Vec::new();
        while taken.len() < n {
            let Some(key) = self.order.pop_front() else {
                break;
            };
            self.key_bytes -= key.len();
            if let Some(what) = self.waiting.remove(&key) {
                taken.push((key, what));
            }
        }
        taken
    }

    /// Puts removals and clears back that may not have arrived; a change is found again in the
    /// table. What was said since is newer.
    pub fn give_back(
        &mut self,
        removals: impl Iterator<Item = (Arc<[u8]>, Version)>,
        clears: BTreeMap<Cleared, Version>,
    ) {
        for (key, version) in removals {
            if !self.waiting.contains_key(&key) {
                self.push(key, What::Removal(version));
            }
        }
        for (which, version) in clears {
            self.unsaid.entry(which).or_insert(version);
        }
    }

    /// Keys and clears that wait.
    #[must_use]
    pub fn len(&self) -> usize {
        self.waiting.len() + self.unsaid.len()
    }

    /// Whether nothing waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Changes and removals dropped since the last call.
    pub fn take_dropped(&mut self) -> u64 {
        std::mem::take(&mut self.dropped)
    }

    /// Whether changes were dropped since the last call, so that only a reconciliation finds
    /// them.
    pub fn take_overflowed(&mut self) -> bool {
        std::mem::take(&mut self.overflowed)
    }

    fn push(&mut self, key: Arc<[u8]>, what: What) {
        if let Some(waiting) = self.waiting.get_mut(&key) {
            *waiting = what;
            return;
        }
        let halves = match what {
            What::Entry => 1,
            What::Removal(_) => 2,
        };
        let bytes = self.limit.saturating_mul(KEY_BYTES).max(LONGEST_KEY) * halves;
        if self.waiting.len() >= self.limit * halves || self.key_bytes + key.len() > bytes {
            self.dropped += 1;
            self.overflowed |= what == What::Entry;
            return;
        }
        self.key_bytes += key.len();
        self.order.push_back(Arc::clone(&key));
        self.waiting.insert(key, what);
        (self.wake)();
    }
}

#[cfg(test)]
#[path = "outbox_tests.rs"]
mod tests;
