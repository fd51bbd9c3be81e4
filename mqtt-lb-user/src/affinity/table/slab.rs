//! Where the entries are: a slab with two chains through it.
//!
//! One chain runs from the entry that was matched longest ago to the one matched
//! last; slot 0 is its sentinel. The others hold the entries of one hash bucket.
//! Both are slot numbers inside the entries, so that every operation is O(1)
//! (no rehash, no tombstones), a key is stored once, and slots never move.

use std::hash::{BuildHasher, RandomState};

use super::chunks::Chunks;
use super::owners::{Owners, Place, Share};
use super::versions::Versions;
use crate::affinity::BackendId;
use crate::share::Version;

/// Slot number of the sentinel; as a link, "nothing".
const NIL: u32 = 0;

/// Buckets at most: 64 MiB of them.
const MAX_BUCKETS: usize = 1 << 24;

/// What the allocator adds to a key, roughly.
const KEY_OVERHEAD: usize = 16;

/// One entry, 40 bytes and the key's own bytes.
pub(super) struct Slot {
    pub key: Box<[u8]>,
    /// Last match, in the table's nanoseconds.
    pub touched: u64,
    backend: Place,
    home: Place,
    older: u32,
    newer: u32,
    /// The next in the bucket, or in the list of free slots.
    chain: u32,
}

const _: () = assert!(size_of::<Slot>() == 40);

/// Entries by key, and in the order of their last match.
pub(super) struct Slab {
    slots: Chunks,
    buckets: Box<[u32]>,
    owners: Owners,
    versions: Versions,
    free: u32,
    len: usize,
    key_bytes: usize,
    /// Keyed at random: clients choose the ids and must not choose the bucket.
    hasher: RandomState,
}

impl Slab {
    /// An empty slab with buckets for `size` entries.
    pub fn new(size: usize) -> Self {
        let buckets = size.clamp(1, MAX_BUCKETS).next_power_of_two();
        let mut slots = Chunks::default();
        // The sentinel. No owner counts it.
        slots.push(Slot {
            key: Box::default(),
            touched: 0,
            backend: 0,
            home: 0,
            older: NIL,
            newer: NIL,
            chain: NIL,
        });
        Self {
            slots,
            buckets: vec![NIL; buckets].into(),
            owners: Owners::default(),
            versions: Versions::default(),
            free: NIL,
            len: 0,
            key_bytes: 0,
            hasher: RandomState::new(),
        }
    }

    pub fn len(&self) -> usize {
        self.len
    }

    /// Bytes of all keys.
    pub fn key_bytes(&self) -> usize {
        self.key_bytes
    }

    pub fn memory_bytes(&self) -> usize {
        self.slots.memory_bytes()
            + self.versions.memory_bytes()
            + self.buckets.len() * size_of::<u32>()
            + self.key_bytes
            + self.len * KEY_OVERHEAD
    }

    /// The entry in slot `at`, if there is one.
    pub fn get(&self, at: u32) -> Option<&Slot> {
        self.slots
            .get(at)
            .filter(|slot| at != NIL && slot.newer != at)
    }

    /// Where the entry sends its client.
    pub fn backend(&self, slot: &Slot) -> BackendId {
        self.owners.backend(slot.backend)
    }

    /// Where its client belongs.
    pub fn home(&self, slot: &Slot) -> BackendId {
        self.owners.backend(slot.home)
    }

    /// What was last said of the entry to other balancers.
    pub fn version(&self, at: u32) -> Version {
        self.versions.get(at)
    }

    /// Remembers what was said of the entry.
    pub fn set_version(&mut self, at: u32, version: Version) {
        self.versions.set(at, version);
    }

    /// Entries by backend.
    pub fn shares(&self) -> impl Iterator<Item = Share> + '_ {
        self.owners.shares()
    }

    /// The slot after the last one in use so far.
    pub fn end(&self) -> u32 {
        self.slots.len() as u32
    }

    pub fn find(&self, key: &[u8]) -> Option<u32> {
        let mut at = self.buckets[self.bucket(key)];
        while at != NIL {
            let slot = &self.slots[at];
            if *slot.key == *key {
                return Some(at);
            }
            at = slot.chain;
        }
        None
    }

    /// The entry that was matched longest ago.
    pub fn oldest(&self) -> Option<u32> {
        Some(self.slots[NIL].newer).filter(|&oldest| oldest != NIL)
    }

    /// Adds an entry that is not there yet, as the newest. Without effect when
    /// the entries name too many backends.
    pub fn insert(
        &mut self,
        key: Box<[u8]>,
        backend: BackendId,
        home: BackendId,
        touched: u64,
    ) -> bool {
        let Some(backend) = self.owners.place(backend) else {
            return false;
        };
        self.owners.enter(backend);
        let Some(home) = self.owners.place(home) else {
            self.owners.leave(backend);
            return false;
        };
        self.owners.settle(home);
        self.owners.stray(backend, home);
        let bucket = self.bucket(&key);
        self.len += 1;
        self.key_bytes += key.len();
        let slot = Slot {
            key,
            touched,
            backend,
            home,
            older: NIL,
            newer: NIL,
            chain: self.buckets[bucket],
        };
        let at = if self.free == NIL {
            self.slots.push(slot);
            self.end() - 1
        } else {
            let at = self.free;
            self.free = self.slots[at].chain;
            self.slots[at] = slot;
            at
        };
        self.buckets[bucket] = at;
        self.versions.forget(at);
        self.link_newest(at);
        true
    }

    /// Makes the entry the newest.
    pub fn touch(&mut self, at: u32, touched: u64) {
        self.unlink(at);
        self.link_newest(at);
        self.slots[at].touched = touched;
    }

    /// Sends the entry's client elsewhere. Without effect when the entries name
    /// too many backends.
    pub fn set_backend(&mut self, at: u32, backend: BackendId) -> bool {
        let Some(place) = self.owners.place(backend) else {
            return false;
        };
        self.owners.enter(place);
        let home = self.slots[at].home;
        let before = std::mem::replace(&mut self.slots[at].backend, place);
        self.owners.unstray(before, home);
        self.owners.stray(place, home);
        self.owners.leave(before);
        true
    }

    /// Changes where the entry's client belongs. Without effect when the entries
    /// name too many backends.
    pub fn set_home(&mut self, at: u32, home: BackendId) -> bool {
        let Some(place) = self.owners.place(home) else {
            return false;
        };
        self.owners.settle(place);
        let backend = self.slots[at].backend;
        let before = std::mem::replace(&mut self.slots[at].home, place);
        self.owners.unstray(backend, before);
        self.owners.stray(backend, place);
        self.owners.unsettle(before);
        true
    }

    /// Removes an entry and gives its key back.
    pub fn remove(&mut self, at: u32) -> Box<[u8]> {
        self.unlink(at);
        let slot = &mut self.slots[at];
        self.owners.unstray(slot.backend, slot.home);
        self.owners.leave(slot.backend);
        self.owners.unsettle(slot.home);
        let key = std::mem::take(&mut slot.key);
        let next = std::mem::replace(&mut slot.chain, self.free);
        // A link to itself marks a free slot: no entry is its own neighbour.
        slot.newer = at;
        self.free = at;
        self.len -= 1;
        self.key_bytes -= key.len();

        let bucket = self.bucket(&key);
        let mut link = self.buckets[bucket];
        if link == at {
            self.buckets[bucket] = next;
        } else {
            while self.slots[link].chain != at {
                link = self.slots[link].chain;
            }
            self.slots[link].chain = next;
        }
        key
    }

    fn bucket(&self, key: &[u8]) -> usize {
        self.hasher.hash_one(key) as usize & (self.buckets.len() - 1)
    }

    fn link_newest(&mut self, at: u32) {
        let last = std::mem::replace(&mut self.slots[NIL].older, at);
        self.slots[last].newer = at;
        self.slots[at].older = last;
        self.slots[at].newer = NIL;
    }

    fn unlink(&mut self, at: u32) {
        let Slot { older, newer, .. } = self.slots[at];
        self.slots[older].newer = newer;
        self.slots[newer].older = older;
    }
}
