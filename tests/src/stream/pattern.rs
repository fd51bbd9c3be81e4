//! The bytes of a stream: pseudo-random, and known at every offset, so that a
//! damaged stream says what went wrong with it.

use std::fmt;

use crate::rng::mix;

/// A reproducible byte stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pattern {
    /// Different seeds give different streams.
    pub seed: u64,
    /// Length in bytes.
    pub len: u64,
}

/// The first wrong byte of a stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mismatch {
    /// Offset in the stream.
    pub at: u64,
    /// Where the bytes found there belong, when they are of this stream.
    pub belongs: Option<u64>,
}

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "wrong byte at offset {}", self.at)?;
        match self.belongs {
            Some(there) if there > self.at => {
                write!(f, ": {} bytes are lost or late", there - self.at)
            }
            Some(there) => write!(f, ": the bytes of offset {there} come again"),
            None => write!(f, ": bytes that are not of this stream"),
        }
    }
}

/// Bytes that must match before a piece counts as found elsewhere.
const WINDOW: usize = 12;

impl Pattern {
    /// Writes the bytes from `offset` on into `out` (past the end too).
    pub fn fill(&self, offset: u64, out: &mut [u8]) {
        let word = |at: u64| mix(self.seed ^ mix(at / 8)).to_le_bytes();
        let begin = (offset % 8) as usize;
        let (front, rest) = out.split_at_mut(out.len().min((8 - begin) % 8));
        front.copy_from_slice(&word(offset)[begin..][..front.len()]);
        let offset = offset + front.len() as u64;
        for (at, bytes) in (offset..).step_by(8).zip(rest.chunks_mut(8)) {
            bytes.copy_from_slice(&word(at)[..bytes.len()]);
        }
    }

    /// The bytes from `offset` on, at most `len`, not past the end.
    pub fn bytes(&self, offset: u64, len: usize) -> Vec<u8> {
        let left = self.len.saturating_sub(offset).min(len as u64);
        let mut out = vec![0; left as usize];
        self.fill(offset, &mut out);
        out
    }

    /// Compares a received piece with what belongs at `offset`.
    pub fn check(&self, offset: u64, piece: &[u8]) -> Result<(), Mismatch> {
        let expected = self.bytes(offset, piece.len());
        if expected == piece {
            return Ok(());
        }
        let same = expected
            .iter()
            .zip(piece)
            .take_while(|(a, b)| a == b)
            .count();
        let window = &piece[same..piece.len().min(same + WINDOW)];
        Err(Mismatch {
            at: offset + same as u64,
            belongs: self.find(window),
        })
    }

    fn find(&self, window: &[u8]) -> Option<u64> {
        if window.len() < WINDOW {
            return None;
        }
        let whole = self.bytes(0, self.len as usize);
        whole
            .windows(WINDOW)
            .position(|w| w == window)
            .map(|at| at as u64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATTERN: Pattern = Pattern {
        seed: 7,
        len: 10_000,
    };

    #[test]
    fn any_cut_gives_the_same_bytes() {
        let whole = PATTERN.bytes(0, 10_000);
        assert_eq!(PATTERN.bytes(4_321, 77), whole[4_321..4_398]);
        assert_eq!(PATTERN.bytes(9_990, 77), whole[9_990..]);
        assert!(PATTERN.check(5_001, &whole[5_001..5_100]).is_ok());
    }

    #[test]
    fn damage_is_located_and_named() {
        let mut bytes = PATTERN.bytes(0, 200);
        bytes[100] ^= 4;
        let flipped = PATTERN.check(0, &bytes).unwrap_err();
        assert_eq!(
            flipped,
            Mismatch {
                at: 100,
                belongs: None
            }
        );
        let late = PATTERN.check(50, &PATTERN.bytes(80, 40)).unwrap_err();
        assert_eq!(
            late,
            Mismatch {
                at: 50,
                belongs: Some(80)
            }
        );
        let twice = PATTERN.check(50, &PATTERN.bytes(20, 40)).unwrap_err();
        assert_eq!(
            twice,
            Mismatch {
                at: 50,
                belongs: Some(20)
            }
        );
        let beyond = PATTERN.check(9_999, &[0, 1]).unwrap_err();
        assert!(beyond.at >= 9_999);
    }
}
