//! Where the entries are: a slab with two chains through it.
//!
//! One chain runs from the entry that was matched longest ago to the one matched
//! last; slot 0 is its sentinel. The others hold the entries of one hash bucket.
//! Both are slot numbers inside the entries, so that every operation is O(1)
//! (no rehash, no tombstones), a key is stored once, and slots never move.

use std::hash::{BuildHasher, RandomState};

use crate::affinity::BackendId;

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
    pub backend: BackendId,
    older: u32,
    newer: u32,
    /// The next in the bucket, or in the list of free slots.
    chain: u32,
}

const _: () = assert!(size_of::<Slot>() == 40);

/// Entries by key, and in the order of their last match.
pub(super) struct Slab {
    slots: Vec<Slot>,
    buckets: Box<[u32]>,
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
        let sentinel = Slot {
            key: Box::default(),
            touched: 0,
            backend: BackendId(0),
            older: NIL,
            newer: NIL,
            chain: NIL,
        };
        Self {
            slots: vec![sentinel],
            buckets: vec![NIL; buckets].into(),
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
        self.slots.capacity() * size_of::<Slot>()
            + self.buckets.len() * size_of::<u32>()
            + self.key_bytes
            + self.len * KEY_OVERHEAD
    }

    /// The entry in slot `at`, if there is one.
    pub fn get(&self, at: u32) -> Option<&Slot> {
        self.slots
            .get(at as usize)
            .filter(|slot| at != NIL && slot.newer != at)
    }

    /// The slot after the last one in use so far.
    pub fn end(&self) -> u32 {
        self.slots.len() as u32
    }

    pub fn find(&self, key: &[u8]) -> Option<u32> {
        let mut at = self.buckets[self.bucket(key)];
        while at != NIL {
            let slot = &self.slots[at as usize];
            if *slot.key == *key {
                return Some(at);
            }
            at = slot.chain;
        }
        None
    }

    /// The entry that was matched longest ago.
    pub fn oldest(&self) -> Option<u32> {
        self.newer(NIL)
    }

    /// The entry matched next after `at`.
    pub fn newer(&self, at: u32) -> Option<u32> {
        Some(self.slots[at as usize].newer).filter(|&newer| newer != NIL)
    }

    /// Adds an entry that is not there yet, as the newest.
    pub fn insert(&mut self, key: Box<[u8]>, backend: BackendId, touched: u64) {
        let bucket = self.bucket(&key);
        self.len += 1;
        self.key_bytes += key.len();
        let chain = self.buckets[bucket];
        let slot = Slot {
            key,
            touched,
            backend,
            older: NIL,
            newer: NIL,
            chain,
        };
        let at = if self.free == NIL {
            self.slots.push(slot);
            self.end() - 1
        } else {
            let at = self.free;
            self.free = self.slots[at as usize].chain;
            self.slots[at as usize] = slot;
            at
        };
        self.buckets[bucket] = at;
        self.link_newest(at);
    }

    /// Makes the entry the newest.
    pub fn touch(&mut self, at: u32, touched: u64, backend: BackendId) {
        self.unlink(at);
        self.link_newest(at);
        let slot = &mut self.slots[at as usize];
        slot.touched = touched;
        slot.backend = backend;
    }

    /// Removes an entry and gives its key back.
    pub fn remove(&mut self, at: u32) -> Box<[u8]> {
        self.unlink(at);
        let slot = &mut self.slots[at as usize];
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
            while self.slots[link as usize].chain != at {
                link = self.slots[link as usize].chain;
            }
            self.slots[link as usize].chain = next;
        }
        key
    }

    fn bucket(&self, key: &[u8]) -> usize {
        self.hasher.hash_one(key) as usize & (self.buckets.len() - 1)
    }

    fn link_newest(&mut self, at: u32) {
        let last = std::mem::replace(&mut self.slots[NIL as usize].older, at);
        self.slots[last as usize].newer = at;
        self.slots[at as usize].older = last;
        self.slots[at as usize].newer = NIL;
    }

    fn unlink(&mut self, at: u32) {
        let Slot { older, newer, .. } = self.slots[at as usize];
        self.slots[older as usize].newer = newer;
        self.slots[newer as usize].older = older;
    }
}
