//! The guard's contract: what a source prefix may spend on SYNs, and what it has spent.
//!
//! A budget is a generic cell rate (ITU-T I.371, the virtual scheduling algorithm): one
//! time per prefix, at which its next SYN would be due at the agreed rate. A SYN that
//! comes more than a burst before it is dropped. So there is nothing to refill.

/// IPv4 addresses as IPv6 ones (RFC 4291, section 2.5.5.2): these bytes before them.
const MAPPED: [u8; 12] = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff];

/// Bits in front of a mapped IPv4 address.
pub const MAPPED_BITS: u32 = 96;

/// An address of either family, network byte order.
pub type Address = [u8; 16];

/// What is granted, the same to every prefix. Userspace writes it whole.
#[repr(C)]
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Terms {
    /// Nanoseconds from one SYN to the next at the agreed rate.
    pub interval: u64,
    /// Nanoseconds that a prefix may be ahead of it: interval × burst.
    pub tolerance: u64,
    /// What of a mapped IPv4 address makes the prefix: a [`mask`].
    pub mask4: [u64; 2],
    /// What of an IPv6 address makes the prefix.
    pub mask6: [u64; 2],
}

/// What a prefix has spent.
#[repr(C)]
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Budget {
    /// When its next SYN is due: nanoseconds of CLOCK_MONOTONIC.
    pub due: u64,
    /// SYNs that passed.
    pub passed: u64,
    /// SYNs that were dropped.
    pub dropped: u64,
}

/// Index into the totals.
pub mod total {
    /// SYNs that passed within their budget.
    pub const PASSED: u32 = 0;
    /// SYNs that were dropped.
    pub const DROPPED: u32 = 1;
    /// SYNs of allowed networks.
    pub const ALLOWED: u32 = 2;
    /// SYNs that passed because no budget could be noted for their prefix.
    pub const UNTRACKED: u32 = 3;
    /// How many there are.
    pub const COUNT: u32 = 4;
}

const _: () = assert!(size_of::<Terms>() == 48);
const _: () = assert!(size_of::<Budget>() == 24);

/// The address of an IPv4 host.
#[inline(always)]
pub const fn mapped(ip: [u8; 4]) -> Address {
    let m = MAPPED;
    [
        m[0], m[1], m[2], m[3], m[4], m[5], m[6], m[7], m[8], m[9], m[10], m[11], ip[0], ip[1],
        ip[2], ip[3],
    ]
}

/// The mask of prefixes of `bits` (0 to 128), as [`prefix`] takes it.
pub const fn mask(bits: u32) -> [u64; 2] {
    let bits = if bits >= 128 {
        u128::MAX
    } else {
        !(u128::MAX >> bits)
    };
    halves(bits.to_be_bytes())
}

/// What the mask keeps of an address, zeros for the rest.
#[inline(always)]
pub const fn prefix(address: Address, mask: [u64; 2]) -> [u64; 2] {
    let [high, low] = halves(address);
    [high & mask[0], low & mask[1]]
}

/// The same bytes as two words.
#[inline(always)]
const fn halves(a: Address) -> [u64; 2] {
    [
        u64::from_ne_bytes([a[0], a[1], a[2], a[3], a[4], a[5], a[6], a[7]]),
        u64::from_ne_bytes([a[8], a[9], a[10], a[11], a[12], a[13], a[14], a[15]]),
    ]
}

/// The address of a prefix.
pub const fn address(prefix: [u64; 2]) -> Address {
    let (a, b) = (prefix[0].to_ne_bytes(), prefix[1].to_ne_bytes());
    [
        a[0], a[1], a[2], a[3], a[4], a[5], a[6], a[7], b[0], b[1], b[2], b[3], b[4], b[5], b[6],
        b[7],
    ]
}

impl Terms {
    /// Whether a SYN may pass now: when the one after it is due.
    #[inline(always)]
    pub const fn admit(&self, due: u64, now: u64) -> Option<u64> {
        let from = if due > now { due } else { now };
        if from - now > self.tolerance.saturating_sub(self.interval) {
            return None;
        }
        Some(from.saturating_add(self.interval))
    }
}

#[cfg(feature = "user")]
mod pod {
    use super::{Budget, Terms};

    // SAFETY: `repr(C)`, integers only, no padding.
    unsafe impl aya::Pod for Terms {}
    // SAFETY: as above.
    unsafe impl aya::Pod for Budget {}
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const SECOND: u64 = 1_000_000_000;

    fn terms(rate: u64, burst: u64) -> Terms {
        let interval = SECOND / rate;
        Terms {
            interval,
            tolerance: interval * burst,
            mask4: mask(128),
            mask6: mask(64),
        }
    }

    /// SYNs that pass when `count` come every `every` nanoseconds.
    fn passed(terms: &Terms, count: usize, every: u64) -> usize {
        let (mut due, mut passed) = (0, 0);
        for n in 0..count as u64 {
            let now = 1000 * SECOND + n * every;
            if let Some(next) = terms.admit(due, now) {
                due = next;
                passed += 1;
            }
        }
        passed
    }

    #[test]
    fn a_burst_passes_and_then_the_rate() {
        assert_eq!(passed(&terms(10, 5), 100, 0), 5);
        assert_eq!(passed(&terms(10, 1), 100, 0), 1);
        // 10 s of 100 a second: the burst, and 10 a second.
        let ten_seconds = passed(&terms(10, 5), 1000, SECOND / 100);
        assert!((104..=105).contains(&ten_seconds), "{ten_seconds}");
        // At the rate nothing is dropped, for ever.
        assert_eq!(passed(&terms(10, 1), 1000, SECOND / 10), 1000);
    }

    #[test]
    fn a_prefix_is_the_first_bits() {
        let ip = mapped([192, 0, 2, 77]);
        let first = |ip, bits| address(prefix(ip, mask(bits)));
        assert_eq!(first(ip, 128), ip);
        assert_eq!(first(ip, MAPPED_BITS + 24), mapped([192, 0, 2, 0]));
        assert_eq!(first(ip, MAPPED_BITS + 1), mapped([128, 0, 0, 0]));
        assert_eq!(first([0xff; 16], 0), [0; 16]);
        let sixty = first([0xff; 16], 60);
        assert_eq!(
            sixty[..9],
            [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xf0, 0]
        );
    }

    proptest! {
        #[test]
        fn never_more_than_burst_and_rate(rate in 1_u64..1000, burst in 1_u64..100, gaps in prop::collection::vec(0_u64..SECOND / 10, 1..300)) {
            let terms = terms(rate, burst);
            let (mut due, mut now, mut passed) = (0, 7 * SECOND, 0_u64);
            let begin = now;
            for gap in gaps {
                now += gap;
                if let Some(next) = terms.admit(due, now) {
                    prop_assert!(next > now);
                    due = next;
                    passed += 1;
                }
            }
            prop_assert!(passed <= burst + (now - begin) / terms.interval + 1);
        }
    }
}
