//! How a spliced flow ends: what FIN, RST and their acknowledgements mean.
//!
//! Nobody keeps the connection's state any more, so a packet is believed only where
//! it fits what was seen of both sides, and only if its checksum is right: one
//! flipped bit must not end a session.

use crate::sequence::is_newer;
use crate::splice_slot::seen;
use crate::tcp::{Segment, flag};

/// What is known of the two sides before a segment. `own` is its sender, each in
/// its own numbering.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sides {
    /// Bits of [`seen`] of both.
    pub seen: Pair<u8>,
    /// [`crate::splice_slot::Lane::seq_end`] of both.
    pub seq_end: Pair<u32>,
    /// [`crate::splice_slot::Lane::fin_end`] of both.
    pub fin_end: Pair<u32>,
    /// [`crate::splice_slot::SpliceSlot::seq_delta`] of both directions.
    pub seq_delta: Pair<u32>,
    /// [`crate::splice_slot::Lane::ack`] of the other side.
    pub other_ack: u32,
}

/// A number of the segment's sender and of its receiver.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pair<T> {
    /// The segment's sender's.
    pub own: T,
    /// The other side's.
    pub other: T,
}

/// What a segment would change, if its checksum is right.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Marks {
    /// Bits of [`seen`] to set for the segment's sender.
    pub seen: u8,
    /// Its [`crate::splice_slot::Lane::fin_end`] becomes the segment's end.
    pub is_fin: bool,
    /// A RST that nobody sends in good faith.
    pub is_doubted: bool,
}

/// What `segment` says about the end of the flow.
#[inline(always)]
pub const fn marks(segment: &Segment, sides: &Sides) -> Marks {
    let mut marks = Marks {
        seen: 0,
        is_fin: false,
        is_doubted: false,
    };
    if segment.has(flag::RST) {
        // A stack resets with the number it would send next, or with what the
        // segment it answers has acknowledged.
        let exact = segment.seq == sides.seq_end.own
            || segment.seq.wrapping_add(sides.seq_delta.own) == sides.other_ack;
        if !exact {
            marks.is_doubted = true;
        } else if sides.seen.own & seen::RST == 0 {
            marks.seen = seen::RST;
        }
        return marks;
    }
    if segment.has(flag::SYN) {
        return marks;
    }
    if segment.has(flag::FIN) {
        let is_first = sides.seen.own & seen::FIN == 0;
        if is_first || sides.fin_end.own != segment.end() {
            marks.is_fin = true;
            marks.seen |= seen::FIN;
        }
        if is_first && sides.seen.other & seen::FIN == 0 {
            marks.seen |= seen::FIRST;
        }
    }
    if segment.has(flag::ACK)
        && sides.seen.own & seen::PEER_FIN == 0
        && sides.seen.other & seen::FIN != 0
    {
        let ack = segment.ack.wrapping_sub(sides.seq_delta.other);
        let is_acknowledged = !is_newer(sides.fin_end.other, ack);
        let is_last = !is_newer(sides.seq_end.other, sides.fin_end.other);
        if is_acknowledged && is_last {
            marks.seen |= seen::PEER_FIN;
        }
    }
    marks
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::splice_slot::is_over;
    use proptest::prelude::*;

    /// Own side's numbers about 1000, the other's about 5000, each told to the
    /// opposite side with a difference.
    const SIDES: Sides = Sides {
        seen: Pair { own: 0, other: 0 },
        seq_end: Pair {
            own: 1000,
            other: 5000,
        },
        fin_end: Pair { own: 0, other: 0 },
        seq_delta: Pair {
            own: 70_000,
            other: 0u32.wrapping_sub(300),
        },
        other_ack: 70_990,
    };

    fn segment(flags: u8, seq: u32, ack: u32, payload: u32) -> Segment {
        Segment {
            seq,
            ack,
            header: 20,
            payload,
            window: 0,
            flags,
        }
    }

    #[test]
    fn a_reset_needs_the_exact_number() {
        for (seq, believed) in [(1000, true), (990, true), (999, false), (1001, false)] {
            let marks = marks(&segment(flag::RST, seq, 0, 0), &SIDES);
            assert_eq!(marks.seen, if believed { seen::RST } else { 0 }, "{seq}");
            assert_eq!(marks.is_doubted, !believed, "{seq}");
        }
    }

    #[test]
    fn a_second_reset_changes_nothing() {
        let mut sides = SIDES;
        sides.seen.own = seen::RST;
        let marks = marks(&segment(flag::RST, 1000, 0, 0), &sides);
        assert_eq!(marks, Marks::default());
    }

    #[test]
    fn the_first_fin_is_marked_as_such() {
        let fin = segment(flag::FIN | flag::ACK, 1000, 4700, 5);
        let first = marks(&fin, &SIDES);
        assert_eq!((first.seen, first.is_fin), (seen::FIN | seen::FIRST, true));

        let mut later = SIDES;
        later.seen.other = seen::FIN;
        later.fin_end.other = 5100;
        assert_eq!(marks(&fin, &later).seen, seen::FIN);
    }

    #[test]
    fn a_repeated_fin_changes_nothing() {
        let mut sides = SIDES;
        sides.seen.own = seen::FIN | seen::FIRST;
        sides.fin_end.own = 1006;
        let fin = segment(flag::FIN | flag::ACK, 1000, 4700, 5);
        assert_eq!(marks(&fin, &sides), Marks::default());
    }

    #[test]
    fn a_fin_counts_when_acknowledged_and_last() {
        let mut sides = SIDES;
        sides.seen.other = seen::FIN;
        sides.fin_end.other = 5000;
        // The own side hears 5000 as 4700.
        assert_eq!(
            marks(&segment(flag::ACK, 1000, 4699, 0), &sides),
            Marks::default()
        );
        assert_eq!(
            marks(&segment(flag::ACK, 1000, 4700, 0), &sides).seen,
            seen::PEER_FIN
        );
        assert_eq!(
            marks(&segment(0, 1000, 4700, 0), &sides),
            Marks::default(),
            "without ACK the field means nothing"
        );
        sides.seq_end.other = 5001;
        assert_eq!(
            marks(&segment(flag::ACK, 1000, 4700, 0), &sides),
            Marks::default(),
            "something newer was sent: that was no FIN"
        );
    }

    #[test]
    fn both_ways_closed_is_over() {
        let mut sides = SIDES;
        let fin = marks(&segment(flag::FIN | flag::ACK, 1000, 4700, 0), &sides);
        sides.seen.own |= fin.seen;
        sides.fin_end.own = 1001;
        sides.seq_end.own = 1001;
        let mut back = Sides {
            seen: Pair {
                own: sides.seen.other,
                other: sides.seen.own,
            },
            seq_end: Pair {
                own: 5000,
                other: 1001,
            },
            fin_end: Pair {
                own: 0,
                other: 1001,
            },
            seq_delta: Pair {
                own: sides.seq_delta.other,
                other: sides.seq_delta.own,
            },
            other_ack: 4700,
        };
        let answer = marks(&segment(flag::FIN | flag::ACK, 5000, 71_001, 0), &back);
        assert_eq!(answer.seen, seen::FIN | seen::PEER_FIN);
        back.seen.own |= answer.seen;
        sides.seen.other = back.seen.own;
        sides.fin_end.other = 5001;
        sides.seq_end.other = 5001;
        let last = marks(&segment(flag::ACK, 1001, 4701, 0), &sides);
        assert_eq!(last.seen, seen::PEER_FIN);
        assert!(is_over([sides.seen.own | last.seen, back.seen.own]));
    }

    proptest! {
        #[test]
        fn numbering_does_not_matter(
            shift: u32, other_shift: u32, flags: u8, seq in 950u32..1050, ack in 4650u32..4750,
            own_seen: u8, other_seen: u8, fin in 4950u32..5050,
        ) {
            let mut sides = SIDES;
            sides.seen = Pair { own: own_seen, other: other_seen };
            sides.fin_end.other = fin;
            let plain = marks(&segment(flags, seq, ack, 0), &sides);
            // Both sides number from elsewhere; the peers' views of them stay.
            sides.seq_end.own = sides.seq_end.own.wrapping_add(shift);
            sides.fin_end.own = sides.fin_end.own.wrapping_add(shift);
            sides.seq_delta.own = sides.seq_delta.own.wrapping_sub(shift);
            sides.seq_end.other = sides.seq_end.other.wrapping_add(other_shift);
            sides.fin_end.other = sides.fin_end.other.wrapping_add(other_shift);
            sides.seq_delta.other = sides.seq_delta.other.wrapping_sub(other_shift);
            let moved = segment(flags, seq.wrapping_add(shift), ack, 0);
            prop_assert_eq!(marks(&moved, &sides), plain);
        }

        #[test]
        fn only_a_reset_is_doubted(flags: u8, seq: u32) {
            let marks = marks(&segment(flags & !flag::RST, seq, 0, 0), &SIDES);
            prop_assert!(!marks.is_doubted && marks.seen & seen::RST == 0);
        }
    }
}
