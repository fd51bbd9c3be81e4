//! Slots by number, in memory that grows without moving what is there.
//!
//! A vector that doubles copies a million entries while a client waits for its
//! route; here growing costs one chunk, whatever the size.

use std::ops::{Index, IndexMut};

use super::slab::Slot;

/// Slots per chunk: 40 KiB.
const CHUNK: usize = 1 << 10;

/// All slots that were ever in use.
#[derive(Default)]
pub(super) struct Chunks {
    chunks: Vec<Vec<Slot>>,
    len: usize,
}

impl Chunks {
    pub fn len(&self) -> usize {
        self.len
    }

    /// Adds a slot behind the last one.
    pub fn push(&mut self, slot: Slot) {
        if self.len.is_multiple_of(CHUNK) {
            // The first one grows as it fills: most tables are small.
            let room = if self.chunks.is_empty() { 0 } else { CHUNK };
            self.chunks.push(Vec::with_capacity(room));
        }
        self.chunks[self.len / CHUNK].push(slot);
        self.len += 1;
    }

    pub fn get(&self, at: u32) -> Option<&Slot> {
        let at = at as usize;
        self.chunks.get(at / CHUNK)?.get(at % CHUNK)
    }

    pub fn memory_bytes(&self) -> usize {
        let slots: usize = self.chunks.iter().map(Vec::capacity).sum();
        slots * size_of::<Slot>()
    }
}

impl Index<u32> for Chunks {
    type Output = Slot;

    fn index(&self, at: u32) -> &Slot {
        let at = at as usize;
        &self.chunks[at / CHUNK][at % CHUNK]
    }
}

impl IndexMut<u32> for Chunks {
    fn index_mut(&mut self, at: u32) -> &mut Slot {
        let at = at as usize;
        &mut self.chunks[at / CHUNK][at % CHUNK]
    }
}
