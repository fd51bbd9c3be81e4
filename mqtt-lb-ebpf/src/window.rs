//! The window field of a segment that goes from one connection to the other.
//!
//! Both handshakes have agreed on scales of their own (RFC 7323, 2), and the socket
//! that is gone may have promised its peer more than the new receiver does. A window
//! that shrinks can dead-lock two senders, so the promise is kept until it is met.

use crate::sequence::{is_newer, oldest};

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

/// What a segment that only acknowledges needs of its sequence number: to be taken by
/// its receiver, or nobody hears of the acknowledgement. Linux stamps it with the window's
/// end when it has sent more than that (`tcp_acceptable_seq`).
#[derive(Debug, Clone, Copy)]
pub struct Bare {
    /// The receiver takes less than was promised, so its peer may have sent more.
    pub is_promised: bool,
    /// Scales of the windows that the segment's sender is told, see [`rescale`].
    pub scales: [u8; 2],
}

impl Bare {
    /// The number for `seq`, where the receiver waits for `next`.
    ///
    /// Beyond the window is what was sent on the promise. And a window that is rounded down
    /// takes back up to a unit of what was told before: a sender that has used it stamps a
    /// number that the receiver has passed. One before `next` is not touched: that
    /// is how probes ask for an answer (RFC 9293, 3.8.4).
    #[inline(always)]
    pub const fn seq(self, seq: u32, next: u32) -> u32 {
        let behind = next.wrapping_sub(seq);
        let is_rounded = self.scales[1] & SHIFTS > self.scales[0] & SHIFTS;
        if is_rounded && behind > 1 && behind < 1 << (self.scales[1] & SHIFTS) {
            return next;
        }
        if self.is_promised {
            return oldest(seq, next);
        }
        seq
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

    #[test]
    fn what_only_acknowledges_is_taken() {
        let next = 3_u32;
        let seq = |is_promised, scales, ahead: i32| {
            let rules = Bare {
                is_promised,
                scales,
            };
            let seq = next.wrapping_add_signed(ahead);
            rules.seq(seq, next).wrapping_sub(next) as i32
        };
        // What was sent on a promise.
        assert_eq!(seq(true, [7, 7], 9000), 0);
        assert_eq!(seq(false, [7, 7], 9000), 9000);
        assert_eq!(seq(true, [7, 7], -9000), -9000);
        // Less than a unit of a rounded window.
        assert_eq!(seq(false, [0, 10], -1023), 0);
        assert_eq!(seq(true, [0, 10], -2), 0);
        assert_eq!(seq(false, [0, 10], -1024), -1024);
        assert_eq!(seq(false, [10, 10], -1023), -1023);
        assert_eq!(seq(false, [10, 0], -2), -2);
        // A probe asks for an answer.
        assert_eq!(seq(false, [0, 10], -1), -1);
        assert_eq!(seq(false, [0, 10], 0), 0);
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
