//! The end of a flow: FIN, RST, and a SYN afterwards.

use mqtt_lb_ebpf::splice_slot::{SpliceSlot, is_over, seen};
use mqtt_lb_ebpf::splice_stat::Stat;

use crate::packet::{ACK, FIN, RST, SYN, Sum};
use crate::row::{Hit, Row, Shot, fire};

fn fin(s: &mut Shot) {
    s.segment.flags = FIN | ACK;
    s.segment.payload = vec![9; 5];
}

/// The other side has sent its FIN and nothing after it.
fn other_has_finished(s: &mut Shot) {
    let other = &mut s.slot.lanes[1 - s.d];
    other.fin_end = other.seq_end;
    s.slot.seen[1 - s.d] |= seen::FIN | seen::FIRST;
}

fn bits(slot: &SpliceSlot, d: usize) -> u8 {
    slot.seen[d] & !seen::EDGE
}

#[test]
fn a_fin_is_noted_once_it_is_verified() {
    fire(&[
        Row::forwards("the first FIN", &fin).then(&|hit| {
            let (d, end) = (hit.shot.d, hit.came().end());
            assert_eq!(bits(&hit.after, d), seen::FIN | seen::FIRST);
            assert_eq!(hit.after.lanes[d].fin_end, end);
            assert_eq!(hit.after.lanes[d].seq_end, end);
        }),
        Row::forwards("the second FIN", &|s| {
            fin(s);
            other_has_finished(s);
            // It does not acknowledge the first one yet.
            s.segment.ack = s.segment.ack.wrapping_sub(1);
        })
        .then(&|hit| assert_eq!(bits(&hit.after, hit.shot.d), seen::FIN)),
        Row::forwards("a FIN that acknowledges the other", &|s| {
            fin(s);
            other_has_finished(s);
        })
        .then(&|hit| assert_eq!(bits(&hit.after, hit.shot.d), seen::FIN | seen::PEER_FIN)),
        Row::forwards("a FIN sent again", &|s| {
            fin(s);
            let d = s.d;
            s.slot.lanes[d].seq_end = s.segment.seq.wrapping_add(s.segment.length());
            s.slot.lanes[d].fin_end = s.slot.lanes[d].seq_end;
            s.slot.seen[d] |= seen::FIN | seen::FIRST;
        })
        .then(&|hit| assert_eq!(hit.after.seen, hit.shot.slot.seen)),
        Row::forwards("a FIN with a wrong checksum", &|s| {
            fin(s);
            s.segment.sum = Sum::Wrong;
        })
        .then(&|hit| {
            assert_eq!(bits(&hit.after, hit.shot.d), 0);
            assert_eq!(hit.after.lanes[hit.shot.d].fin_end, 0);
        }),
    ]);
}

#[test]
fn a_fin_counts_when_the_peer_has_acknowledged_it() {
    let unmoved = |hit: &Hit| assert_eq!(hit.after.seen, hit.shot.slot.seen);
    fire(&[
        Row::forwards("acknowledged", &other_has_finished)
            .then(&|hit| assert_eq!(bits(&hit.after, hit.shot.d), seen::PEER_FIN)),
        Row::forwards("not yet", &|s| {
            other_has_finished(s);
            s.segment.ack = s.segment.ack.wrapping_sub(1);
        })
        .then(&unmoved),
        Row::forwards("acknowledged, but newer data was sent", &|s| {
            other_has_finished(s);
            let other = &mut s.slot.lanes[1 - s.d];
            other.seq_end = other.seq_end.wrapping_add(1);
        })
        .then(&unmoved),
        Row::forwards("acknowledged by a wrong packet", &|s| {
            other_has_finished(s);
            s.segment.sum = Sum::Wrong;
        })
        .then(&unmoved),
        Row::forwards("acknowledged, but there was no FIN", &|s| {
            let other = &mut s.slot.lanes[1 - s.d];
            other.fin_end = other.seq_end;
        })
        .then(&unmoved),
    ]);
}

fn rst(s: &mut Shot) {
    s.segment.flags = RST | ACK;
    s.segment.window = 0;
}

#[test]
fn an_rst_ends_the_flow_only_where_it_must() {
    let believed = |hit: &Hit| {
        assert_eq!(hit.after.seen[hit.shot.d] & seen::RST, seen::RST);
        assert!(is_over(hit.after.seen));
    };
    // Nor does it move what the next one is compared with.
    let doubted = |hit: &Hit| {
        assert_eq!(hit.after.seen, hit.shot.slot.seen);
        let [before, after] =
            [&hit.shot.slot, &hit.after].map(|slot| slot.lanes[hit.shot.d].seq_end);
        assert_eq!(before, after);
    };
    const DOUBTED: &[Stat] = &[Stat::Forwarded, Stat::RstDoubted];
    fire(&[
        Row::forwards("behind all that was sent", &rst).then(&believed),
        Row::forwards("without ACK", &|s| {
            s.segment.flags = RST;
            s.segment.ack = 0;
        })
        .then(&believed),
        Row::forwards("at what the other has acknowledged", &|s| {
            rst(s);
            s.segment.seq = s.segment.seq.wrapping_sub(16);
        })
        .then(&believed),
        Row::forwards("ahead, in the window", &|s| {
            rst(s);
            s.segment.seq = s.segment.seq.wrapping_add(1);
        })
        .counts(DOUBTED)
        .then(&doubted),
        Row::forwards("behind, in the window", &|s| {
            rst(s);
            s.segment.seq = s.segment.seq.wrapping_sub(1);
        })
        .counts(DOUBTED)
        .then(&doubted),
        Row::forwards("far away", &|s| {
            s.segment.flags = RST;
            s.segment.seq = s.segment.seq.wrapping_add(0x4000_0000);
        })
        .counts(DOUBTED)
        .then(&doubted),
        Row::forwards("at the right place with a wrong checksum", &|s| {
            rst(s);
            s.segment.sum = Sum::Wrong;
        })
        .counts(DOUBTED)
        .then(&doubted),
        Row::forwards("at the same number of the other side's numbering", &|s| {
            rst(s);
            s.segment.seq = s.segment.seq.wrapping_add(s.slot.seq_delta[s.d]);
        })
        .counts(DOUBTED),
    ]);
}

#[test]
fn a_side_that_speaks_on_was_not_reset() {
    let after_rst = |s: &mut Shot| {
        s.segment.flags = ACK;
        s.slot.seen[1 - s.d] |= seen::RST;
    };
    let other = |hit: &Hit| hit.after.seen[1 - hit.shot.d] & seen::RST;
    fire(&[
        Row::forwards("its challenge ACK", &after_rst).then(&|hit| assert_eq!(other(hit), 0)),
        Row::forwards("with a wrong checksum", &|s| {
            after_rst(s);
            s.segment.sum = Sum::Wrong;
        })
        .then(&|hit| assert_eq!(other(hit), seen::RST)),
        Row::forwards("when a new connection has begun", &|s| {
            after_rst(s);
            s.slot.seen[1 - s.d] |= seen::REBORN;
        })
        .then(&|hit| assert_eq!(other(hit), seen::RST)),
    ]);
}

#[test]
fn a_syn_passes_only_after_the_end() {
    let over = |how: u8| {
        move |s: &mut Shot| {
            s.segment.flags = SYN;
            s.segment.ack = 0;
            match how {
                0 => s.slot.seen[s.d] |= seen::RST,
                1 => s.slot.seen[1 - s.d] |= seen::RST,
                _ => s.slot.seen = [seen::FIN | seen::PEER_FIN; 2],
            }
        }
    };
    const REBORN: &[Stat] = &[Stat::Reborn];
    fire(&[
        Row::passes("after an RST of this side", REBORN, &over(0)),
        Row::passes("after an RST of the other", REBORN, &over(1)),
        Row::passes("after two FINs", REBORN, &over(2))
            .then(&|hit| assert_ne!(hit.after.seen[hit.shot.d] & seen::REBORN, 0)),
        Row::passes("with a wrong checksum", REBORN, &|s| {
            over(2)(s);
            s.segment.sum = Sum::Wrong;
        })
        .then(&|hit| assert_eq!(hit.after.seen[hit.shot.d] & seen::REBORN, 0)),
        Row::passes("what follows the SYN", REBORN, &|s| {
            over(2)(s);
            s.slot.seen[s.d] |= seen::REBORN;
            s.segment.flags = ACK;
            s.segment.payload = vec![1];
        }),
        Row::forwards("what comes late from the other side", &|s| {
            over(2)(s);
            s.slot.seen[1 - s.d] |= seen::REBORN;
            s.segment.flags = FIN | ACK;
        }),
        Row::forwards("SYN with ACK after the end", &|s| {
            over(2)(s);
            s.segment.flags = SYN | ACK;
        }),
        Row::forwards("data after the end", &|s| {
            over(0)(s);
            s.segment.flags = ACK;
            s.segment.payload = vec![1];
        }),
        Row::forwards("on a live entry", &|s| {
            s.segment.flags = SYN;
            s.segment.ack = 0;
        })
        .then(&|hit| assert_eq!(hit.came().window, hit.left().window)),
        Row::forwards("on an entry with one FIN", &|s| {
            s.segment.flags = SYN;
            s.slot.seen = [seen::FIN | seen::PEER_FIN, seen::FIN];
        }),
    ]);
}
