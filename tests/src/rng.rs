//! A small seeded generator: every random choice of a test can be repeated.

use std::ops::Range;
use std::time::Duration;

/// SplitMix64 (Steele, Lea, Flood 2014): one state word, every seed is good.
#[derive(Debug, Clone)]
pub struct Rng(u64);

/// The SplitMix64 output function: a well mixed word for every input.
pub fn mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

impl Rng {
    /// The generator of a seed.
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next word.
    pub fn word(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        mix(self.0)
    }

    /// A number in the range; the start of it when the range is empty.
    pub fn within(&mut self, range: &Range<usize>) -> usize {
        match range.end.checked_sub(range.start) {
            None | Some(0) => range.start,
            Some(n) => range.start + (self.word() % n as u64) as usize,
        }
    }

    /// True with the given probability (0 to 1).
    pub fn chance(&mut self, probability: f64) -> bool {
        ((self.word() >> 11) as f64) < probability * (1u64 << 53) as f64
    }

    /// A duration from zero up to `most`.
    pub fn up_to(&mut self, most: Duration) -> Duration {
        Duration::from_nanos(self.word() % (most.as_nanos() as u64 + 1))
    }
}
