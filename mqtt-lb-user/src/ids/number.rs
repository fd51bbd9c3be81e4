//! Ids as numbers: what is remembered of an id must not depend on its length.

use std::hash::{BuildHasher, BuildHasherDefault, Hasher, RandomState};

/// Makes numbers of ids. Two ids of one process share one by chance in 2^64, and nobody
/// can choose ids that do: the numbers are keyed anew in every process.
#[derive(Debug, Default)]
pub(super) struct Numbers(RandomState);

impl Numbers {
    /// The number of an id in the pool of this tag: brokers of two pools know nothing
    /// of each other's ids.
    pub(super) fn of(&self, pool: u32, id: &[u8]) -> u64 {
        let mut hasher = self.0.build_hasher();
        hasher.write_u32(pool);
        hasher.write(id);
        hasher.finish()
    }
}

/// For maps whose keys are such numbers: they are hashes already.
pub(super) type Numbered = BuildHasherDefault<Same>;

#[derive(Default)]
pub(super) struct Same(u64);

impl Hasher for Same {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for chunk in bytes.chunks(8) {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            self.0 ^= u64::from_le_bytes(word);
        }
    }

    fn write_u64(&mut self, number: u64) {
        self.0 = number;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_another_one_in_another_pool() {
        let numbers = Numbers::default();
        assert_eq!(numbers.of(1, b"c0"), numbers.of(1, b"c0"));
        assert_ne!(numbers.of(1, b"c0"), numbers.of(2, b"c0"));
        assert_ne!(numbers.of(1, b"c0"), numbers.of(1, b"c1"));
    }
}
