//! The versions of a shared table's entries, by slot. A table that is not shared has none, and
//! they cost it nothing; else 8 bytes for each slot.

use crate::share::Version;

/// Slots per chunk: 32 KiB. Growing moves nothing that is there.
const CHUNK: usize = 1 << 12;

/// All versions that were ever set.
#[derive(Default)]
pub(super) struct Versions(Vec<Box<[Version]>>);

impl Versions {
    /// The version of the entry in slot `at`.
    pub fn get(&self, at: u32) -> Version {
        let at = at as usize;
        let chunk = self.0.get(at / CHUNK);
        chunk.map_or(Version::NONE, |chunk| chunk[at % CHUNK])
    }

    /// Sets the version of the entry in slot `at`.
    pub fn set(&mut self, at: u32, version: Version) {
        let at = at as usize;
        while self.0.len() <= at / CHUNK {
            self.0.push(vec![Version::NONE; CHUNK].into());
        }
        self.0[at / CHUNK][at % CHUNK] = version;
    }

    /// Slot `at` has another entry now, of which nothing was said.
    pub fn forget(&mut self, at: u32) {
        if self.get(at) != Version::NONE {
            self.set(at, Version::NONE);
        }
    }

    pub fn memory_bytes(&self) -> usize {
        self.0.len() * CHUNK * size_of::<Version>()
    }
}
