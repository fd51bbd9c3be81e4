//! The window field of a segment that goes from one connection to the other.
//!
//! Both handshakes have agreed on scales of their own (RFC 7323, 2), and the socket
//! that is gone may have promised its peer more than the new receiver does. A window
//! that shrinks can dead-lock two senders, so the promise is kept until it is met.

use crate::sequence::is_newer;

/// Largest shift that fits a window field into 32 bits; RFC 7323 allows 14.
const SHIFTS: u8 = 15;

/// A window field and whether the promise is met by now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Promise {
    /// What to put into the segment.
    pub field: u16,
    /// The receiver of the data has itself opened its window that far.
    pub is_met: bool,
}

/// A window field said with scale `scales[0]`, said with scale `scales[1]`: rounded
/// down, and cut at what the field holds.
#[inline(always)]
pub const fn rescale(field: u16, scales: [u8; 2]) -> u16 {
    let bytes = (field as u32) << (scales[0] & SHIFTS);
    cut(bytes >> (scales[1] & SHIFTS))
}

/// `field`, or what reaches `edge`, whichever is more. All of it as the segment's
/// receiver counts: `scale`, the segment's acknowledgement `ack`, and the right
/// edge `edge` that it was promised.
#[inline(always)]
pub const fn keep(field: u16, scale: u8, ack: u32, edge: u32) -> Promise {
    let scale = scale & SHIFTS;
    let right = ack.wrapping_add((field as u32) << scale);
    if !is_newer(edge, right) {
        return Promise {
            field,
            is_met: true,
        };
    }
    // Rounded up: one unit less would take back some of what was promised.
    let missing = edge.wrapping_sub(ack);
    let part = missing & ((1 << scale) - 1);
    let whole = (missing >> scale) + (part != 0) as u32;
    Promise {
        field: cut(whole),
        is_met: false,
    }
}

#[inline(always)]
const fn cut(window: u32) -> u16 {
    if window > u16::MAX as u32 {
        u16::MAX
    } else {
        window as u16
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn windows_of_both_scales() {
        assert_eq!(rescale(1000, [7, 7]), 1000);
        assert_eq!(rescale(1000, [7, 0]), u16::MAX);
        assert_eq!(rescale(1000, [0, 7]), 7);
        assert_eq!(rescale(127, [0, 7]), 0);
        assert_eq!(rescale(0, [14, 0]), 0);
    }

    #[test]
    fn a_promise_is_kept_until_it_is_met() {
        let ack = u32::MAX - 99;
        let edge = ack.wrapping_add(1000);
        let less = Promise {
            field: 250,
            is_met: false,
        };
        assert_eq!(keep(0, 2, ack, edge), less);
        assert_eq!(keep(249, 2, ack, edge), less);
        let met = Promise {
            field: 250,
            is_met: true,
        };
        assert_eq!(keep(250, 2, ack, edge), met);
        // Rounded up: 1001 bytes need 251 units.
        assert_eq!(keep(0, 2, ack, edge.wrapping_add(1)).field, 251);
        // The receiver has acknowledged all of it.
        assert!(keep(0, 2, edge, edge).is_met);
    }

    proptest! {
        #[test]
        fn rescaling_is_a_division(field: u16, from in 0u8..=14, to in 0u8..=14) {
            let bytes = u64::from(field) * (1u64 << from);
            let wanted = (bytes / (1u64 << to)).min(65535);
            prop_assert_eq!(u64::from(rescale(field, [from, to])), wanted);
        }

        #[test]
        fn the_right_edge_never_moves_back(
            field: u16, scale in 0u8..=14, ack: u32, ahead in 0u32..0x4000_0000,
        ) {
            let edge = ack.wrapping_add(ahead);
            let kept = keep(field, scale, ack, edge);
            prop_assert!(kept.field >= field);
            let own = u64::from(field) << scale;
            let sent = u64::from(kept.field) << scale;
            prop_assert_eq!(kept.is_met, own >= u64::from(ahead));
            let most = u64::from(u16::MAX) << scale;
            prop_assert!(sent >= u64::from(ahead).min(most));
            // Not a unit more than needed.
            if !kept.is_met {
                prop_assert!(sent < u64::from(ahead) + (1 << scale));
            }
        }
    }
}
