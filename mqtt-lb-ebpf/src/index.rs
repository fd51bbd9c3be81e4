//! The index of IPv4 flows: buckets in an array that userspace edits in place.
//!
//! A key may be in either of two buckets; userspace takes the emptier one, and no entry
//! ever moves, so a reader that looks into both cannot miss one that is there. Against
//! the kernel's hash map it saves two thirds of the memory, and the system calls of a
//! connection that begins and ends.
//!
//! Keys stay as they are in every [`crate::LAYOUT`]: a process has to see which ports
//! flows of another version occupy.

use crate::tuple::{Place, Tuple4};

/// Entries of a bucket.
pub const WAYS: usize = 8;

/// Buckets for each [`WAYS`] entries there is to be room for. At half load two choices
/// leave no bucket full.
const SPARE: u64 = 2;

/// Bits of a word that are the place; the tag is above.
const PLACE_BITS: u32 = 24;

/// Every tag has it, so that no entry's word is 0.
const TAKEN: u32 = 0x80;

/// An IPv4 4-tuple as three words as they stand in the packet: source address,
/// destination address, both ports.
pub type Key = [u32; 3];

/// Entries side by side, in two cache lines: the words are all in the first.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bucket {
    /// 0 for none; else a tag of the key's hash, and the place.
    pub words: [u32; WAYS],
    /// Valid where the word is not 0, and the same before and after they were read.
    pub keys: [Key; WAYS],
}

/// How keys are spread. Random, so that nobody can choose 4-tuples for one bucket.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seed {
    /// Keys of the hash.
    pub keys: [u64; 2],
    /// Number of buckets.
    pub buckets: u32,
    /// Reserved, zero.
    pub reserved: u32,
}

const _: () = assert!(size_of::<Bucket>() == 128);
const _: () = assert!(size_of::<Seed>() == 24);

/// Where a key may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Spot {
    /// Both buckets.
    pub buckets: [u32; 2],
    /// What its word has above the place, shifted there.
    pub tag: u32,
}

impl Seed {
    /// Where `key` may be. The mixer is that of MurmurHash3 (fmix64), keyed.
    #[inline(always)]
    pub const fn spot(&self, key: Key) -> Spot {
        let addresses = (key[0] as u64) << 32 | key[1] as u64;
        let mut hash = mix(addresses ^ self.keys[0]);
        hash = mix(hash ^ key[2] as u64 ^ self.keys[1]);
        let (high, low) = ((hash >> 32) as u32, hash as u32);
        Spot {
            buckets: [bucket_of(high, self.buckets), bucket_of(low, self.buckets)],
            // Low bits hardly matter to the choice of the bucket.
            tag: (low & 0xff | TAKEN) << PLACE_BITS,
        }
    }
}

#[inline(always)]
const fn bucket_of(half: u32, buckets: u32) -> u32 {
    ((half as u64 * buckets as u64) >> 32) as u32
}

#[inline(always)]
const fn mix(mut x: u64) -> u64 {
    x ^= x >> 33;
    x = x.wrapping_mul(0xff51_afd7_ed55_8ccd);
    x ^= x >> 33;
    x = x.wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    x ^ x >> 33
}

impl Spot {
    /// The word of an entry.
    #[inline(always)]
    pub const fn word(&self, place: Place) -> u32 {
        self.tag | place.0
    }

    /// Whether a word may be that of the key.
    #[inline(always)]
    pub const fn may_be(&self, word: u32) -> bool {
        (word ^ self.tag) >> PLACE_BITS == 0
    }
}

/// The place in the word of an entry.
#[inline(always)]
pub const fn place(word: u32) -> Place {
    Place(word & ((1 << PLACE_BITS) - 1))
}

/// Buckets for that many entries.
pub const fn buckets(entries: u32) -> u32 {
    // A few more, as small numbers spread less evenly.
    4 + (entries as u64 * SPARE).div_ceil(WAYS as u64) as u32
}

impl Tuple4 {
    /// The same as a key.
    #[inline(always)]
    pub const fn key(&self) -> Key {
        let [a, b] = self.source_port;
        let [c, d] = self.destination_port;
        [
            u32::from_ne_bytes(self.source),
            u32::from_ne_bytes(self.destination),
            u32::from_ne_bytes([a, b, c, d]),
        ]
    }

    /// A key as a 4-tuple.
    #[inline(always)]
    pub const fn of_key(key: Key) -> Self {
        let [a, b, c, d] = key[2].to_ne_bytes();
        Self {
            source: key[0].to_ne_bytes(),
            destination: key[1].to_ne_bytes(),
            source_port: [a, b],
            destination_port: [c, d],
        }
    }
}

#[cfg(feature = "user")]
mod pod {
    use super::{Bucket, Seed};

    // SAFETY: `repr(C)`, integers only, no padding.
    unsafe impl aya::Pod for Bucket {}
    // SAFETY: as above.
    unsafe impl aya::Pod for Seed {}
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const SEED: Seed = Seed {
        keys: [0x0123_4567_89ab_cdef, 0xfedc_ba98_7654_3210],
        buckets: 1000,
        reserved: 0,
    };

    #[test]
    fn half_of_the_room_is_spare() {
        assert_eq!(buckets(2), 5);
        assert_eq!(buckets(200_000), 50_004);
        assert_eq!(buckets(8 << 20), (2 << 20) + 4);
    }

    /// Keys that differ in a few bits, as those of one backend do, go everywhere.
    #[test]
    fn neighbours_are_spread() {
        let mut load = [[0_u32; 1000]; 2];
        for port in 0..32_000_u32 {
            let spot = SEED.spot([0x0100_000a, 0x0200_000a, port]);
            for (load, bucket) in load.iter_mut().zip(spot.buckets) {
                load[bucket as usize] += 1;
            }
        }
        for load in load {
            let (least, most) = (load.iter().min().unwrap(), load.iter().max().unwrap());
            assert!(*least > 10 && *most < 60, "{least} to {most} of 32");
        }
    }

    proptest! {
        #[test]
        fn an_entry_is_known_by_its_word(key: Key, other: u32, slot in 0_u32..4 << 20, direction in 0_u32..2) {
            let spot = SEED.spot(key);
            let entry = Place::new(slot, direction);
            let word = spot.word(entry);
            prop_assert_ne!(word, 0);
            prop_assert!(spot.may_be(word));
            prop_assert_eq!(place(word), entry);
            prop_assert!(!spot.may_be(0));
            prop_assert_eq!(spot.may_be(other), other >> 24 == spot.tag >> 24);
            prop_assert!(spot.buckets.iter().all(|bucket| *bucket < SEED.buckets));
            prop_assert_eq!(Tuple4::of_key(key).key(), key);
        }
    }
}
