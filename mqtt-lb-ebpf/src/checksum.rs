//! Internet checksum arithmetic (RFC 1071, RFC 1624), on 16-bit words in memory order.
//!
//! One's complement sums do not care for byte order as long as every word is read
//! alike: words are read natively, and stored as they were read.

/// Folds a sum of words to one word (RFC 1071, 1).
#[inline(always)]
pub const fn fold(sum: u32) -> u16 {
    let sum = (sum & 0xffff) + (sum >> 16);
    let sum = (sum & 0xffff) + (sum >> 16);
    sum as u16
}

/// Sum of the words of `bytes`, folded; an odd last byte is followed by a zero.
/// At most 128 KiB.
#[inline(always)]
pub const fn sum(bytes: &[u8]) -> u16 {
    let mut sum = 0u32;
    let mut at = 0;
    while at + 1 < bytes.len() {
        sum += u16::from_ne_bytes([bytes[at], bytes[at + 1]]) as u32;
        at += 2;
    }
    if at < bytes.len() {
        sum += u16::from_ne_bytes([bytes[at], 0]) as u32;
    }
    fold(sum)
}

/// What [`update`] needs to know of a field that has changed from `old` to `new`:
/// new - old in one's complement. Both begin at an even offset of the packet.
#[inline(always)]
pub const fn difference(old: &[u8], new: &[u8]) -> u16 {
    fold(sum(new) as u32 + !sum(old) as u32)
}

/// The difference of changing back.
#[inline(always)]
pub const fn reverse(difference: u16) -> u16 {
    !difference
}

/// The checksum field of a packet in which something has changed by `difference`
/// (RFC 1624, equation 3).
#[inline(always)]
pub const fn update(check: u16, difference: u16) -> u16 {
    !fold(!check as u32 + difference as u32)
}

/// Differences of several fields of a packet, added up. All of them begin at even
/// offsets and are read natively.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Difference(u64);

impl Difference {
    /// Nothing has changed.
    #[inline(always)]
    pub const fn none() -> Self {
        Self(0)
    }

    /// Adds a difference that is known already.
    #[inline(always)]
    pub const fn plus(self, difference: u16) -> Self {
        Self(self.0 + difference as u64)
    }

    /// Adds that of a field of two bytes.
    #[inline(always)]
    pub const fn word(self, old: u16, new: u16) -> Self {
        Self(self.0 + new as u64 + !old as u64)
    }

    /// Adds that of a field of four bytes.
    #[inline(always)]
    pub const fn long(self, old: u32, new: u32) -> Self {
        Self(self.0 + new as u64 + !old as u64)
    }

    /// What [`update`] wants.
    #[inline(always)]
    pub const fn fold(self) -> u16 {
        fold_long(self.0)
    }
}

/// Folds a sum of longer words, as [`fold`] does.
#[inline(always)]
pub const fn fold_long(sum: u64) -> u16 {
    let sum = (sum & 0xffff_ffff) + (sum >> 32);
    let sum = (sum & 0xffff_ffff) + (sum >> 32);
    let sum = (sum & 0xffff) + (sum >> 16);
    fold(sum as u32)
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: [u8; 8] = [0x45, 0x00, 0x00, 0x73, 0x00, 0x00, 0x40, 0x00];
    const B: [u8; 8] = [0x45, 0x00, 0x12, 0x34, 0xff, 0xff, 0x40, 0x01];

    #[test]
    fn an_update_is_a_new_sum() {
        let diff = difference(&A, &B);
        assert_eq!(update(!sum(&A), diff), !sum(&B));
        assert_eq!(update(!sum(&B), reverse(diff)), !sum(&A));
    }

    #[test]
    fn differences_of_fields_add_up() {
        let long = |bytes: &[u8]| u32::from_ne_bytes(bytes.try_into().expect("four bytes"));
        let word = |bytes: &[u8]| u16::from_ne_bytes(bytes.try_into().expect("two bytes"));
        let added = Difference::none()
            .long(long(&A[..4]), long(&B[..4]))
            .word(word(&A[4..6]), word(&B[4..6]))
            .plus(difference(&A[6..], &B[6..]));
        assert_eq!(update(!sum(&A), added.fold()), !sum(&B));
    }

    #[test]
    fn folding_carries_all_the_way() {
        assert_eq!(fold_long(u64::MAX), 0xffff);
        assert_eq!(fold_long(0x1_0000_0000), 1);
        assert_eq!(fold_long(0x1_ffff_ffff), 1);
    }

    #[test]
    fn the_sum_of_rfc_1071() {
        let bytes = [0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7];
        assert_eq!(sum(&bytes).to_ne_bytes(), [0xdd, 0xf2]);
        assert_eq!(
            sum(&bytes[..7]),
            sum(&[0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0x00])
        );
    }
}
