//! Windows: rescaled, and never below what our dissolved socket has promised.

use mqtt_lb_ebpf::splice_slot::seen;

use crate::packet::{ACK, FIN, SYN, Sum};
use crate::row::{Hit, Row, Shot, fire};

#[test]
fn windows_are_rescaled() {
    for (scales, came, left) in [
        ([0, 0], 12345, 12345),
        ([7, 7], 501, 501),
        ([7, 0], 501, 64128),
        ([7, 0], 512, 65535),
        ([14, 0], 65535, 65535),
        ([0, 7], 64240, 501),
        ([0, 14], 16383, 0),
        ([0, 14], 65535, 3),
        ([14, 14], 65535, 65535),
        ([9, 8], 40000, 65535),
        ([5, 3], 0, 0),
    ] {
        let name = format!("{scales:?}: {came}");
        let set = |s: &mut Shot| {
            s.slot.scales[s.d] = scales;
            s.segment.window = came;
        };
        fire(&[Row::forwards(&name, &set).then(&|hit| assert_eq!(hit.left().window, left))]);
    }
    let set = |s: &mut Shot| {
        s.segment.flags = SYN | ACK;
        s.segment.window = 777;
    };
    fire(&[Row::forwards("never scaled in a SYN", &set)
        .then(&|hit| assert_eq!(hit.left().window, 777))]);
}

/// A promise that ends `promised` bytes behind what the packet acknowledges.
fn promise(s: &mut Shot, promised: u32, window: u16) {
    s.slot.scales[s.d] = [4, 3];
    s.slot.seen[s.d] = 0;
    s.segment.window = window;
    let ack = s.segment.ack.wrapping_sub(s.slot.seq_delta[1 - s.d]);
    s.slot.lanes[s.d].edge = ack.wrapping_add(promised);
}

#[test]
fn a_promised_edge_holds_until_it_has_been_passed() {
    let is = |window: u16, passed: bool| {
        move |hit: &Hit| {
            assert_eq!(hit.left().window, window);
            assert_eq!(hit.after.seen[hit.shot.d] & seen::EDGE != 0, passed);
            assert_eq!(
                hit.after.lanes[hit.shot.d].edge,
                hit.shot.slot.lanes[hit.shot.d].edge
            );
        }
    };
    fire(&[
        Row::forwards("a smaller window", &|s| promise(s, 8000, 10)).then(&is(1000, false)),
        Row::forwards("no window", &|s| promise(s, 8000, 0)).then(&is(1000, false)),
        Row::forwards("a promise between two steps", &|s| promise(s, 8001, 0))
            .then(&is(1001, false)),
        Row::forwards("a promise of one byte", &|s| promise(s, 1, 0)).then(&is(1, false)),
        Row::forwards("a greater window", &|s| promise(s, 8000, 501)).then(&is(1002, true)),
        Row::forwards("an edge that is passed", &|s| {
            promise(s, 0u32.wrapping_sub(40), 0)
        })
        .then(&is(0, true)),
        Row::forwards("a promise beyond the field", &|s| promise(s, 1_000_000, 5))
            .then(&is(65535, false)),
        Row::forwards("the edge was passed before", &|s| {
            promise(s, 8000, 10);
            s.slot.seen[s.d] = seen::EDGE;
        })
        .then(&is(20, true)),
        Row::forwards("a greater window in a wrong packet", &|s| {
            promise(s, 8000, 501);
            s.segment.sum = Sum::Wrong;
        })
        .then(&is(1002, false)),
        Row::forwards("a smaller window in a wrong packet", &|s| {
            promise(s, 8000, 10);
            s.segment.sum = Sum::Wrong;
        })
        .then(&is(1000, false)),
        Row::forwards("a SYN does not pass it", &|s| {
            promise(s, 8000, 60000);
            s.segment.flags = SYN | ACK;
        })
        .then(&is(60000, false)),
    ]);
}

/// A peer that has sent all that it was promised, to one that takes less: what only
/// acknowledges must be within that.
#[test]
fn what_only_acknowledges_is_not_beyond_the_window() {
    let ahead = |s: &mut Shot, by: u32| {
        s.slot.seen[1 - s.d] = 0;
        s.slot.scales[1 - s.d] = [7, 7];
        let seq = s.segment.seq.wrapping_add(s.slot.seq_delta[s.d]);
        s.slot.lanes[1 - s.d].ack = seq.wrapping_sub(by);
    };
    let moved = |by: u32| {
        move |hit: &Hit| {
            let seq = hit
                .shot
                .segment
                .seq
                .wrapping_add(hit.shot.slot.seq_delta[hit.shot.d]);
            assert_eq!(hit.left().seq, seq.wrapping_sub(by));
        }
    };
    fire(&[
        Row::forwards("sent beyond", &|s| ahead(s, 9000)).then(&moved(9000)),
        Row::forwards("nothing beyond", &|s| ahead(s, 0)).then(&moved(0)),
        Row::forwards("an old one", &|s| ahead(s, 0u32.wrapping_sub(7))).then(&moved(0)),
        Row::forwards("bytes of the stream", &|s| {
            ahead(s, 9000);
            s.segment.payload = vec![1];
        })
        .then(&moved(0)),
        Row::forwards("the end of the stream", &|s| {
            ahead(s, 9000);
            s.segment.flags = FIN | ACK;
        })
        .then(&moved(0)),
        Row::forwards("to one that takes all", &|s| {
            ahead(s, 9000);
            s.slot.seen[1 - s.d] = seen::EDGE;
        })
        .then(&moved(0)),
    ]);
}

/// Windows rounded down take back less than a unit of what was told before.
#[test]
fn what_only_acknowledges_is_not_behind_a_rounded_window() {
    let behind = |by: u32, scales: [u8; 2]| {
        move |s: &mut Shot| {
            s.slot.seen = [seen::EDGE; 2];
            s.slot.scales[1 - s.d] = scales;
            let seq = s.segment.seq.wrapping_add(s.slot.seq_delta[s.d]);
            s.slot.lanes[1 - s.d].ack = seq.wrapping_add(by);
        }
    };
    let raised = |by: u32| {
        move |hit: &Hit| {
            let shot = &hit.shot;
            let seq = shot.segment.seq.wrapping_add(shot.slot.seq_delta[shot.d]);
            assert_eq!(hit.left().seq, seq.wrapping_add(by));
        }
    };
    fire(&[
        Row::forwards("a unit less one", &behind(1023, [0, 10])).then(&raised(1023)),
        Row::forwards("a unit", &behind(1024, [0, 10])).then(&raised(0)),
        Row::forwards("a probe", &behind(1, [0, 10])).then(&raised(0)),
        Row::forwards("not rounded", &behind(1023, [10, 10])).then(&raised(0)),
        Row::forwards("bytes of the stream", &|s| {
            behind(1023, [0, 10])(s);
            s.segment.payload = vec![1];
        })
        .then(&raised(0)),
    ]);
}

#[test]
fn the_promise_of_one_direction_is_not_the_other_s() {
    let set = |s: &mut Shot| {
        promise(s, 8000, 10);
        s.slot.seen[s.d] = seen::EDGE;
        s.slot.seen[1 - s.d] = 0;
        s.slot.lanes[1 - s.d].edge = s.slot.lanes[s.d].edge;
    };
    fire(&[Row::forwards("the other's", &set).then(&|hit| {
        assert_eq!(hit.left().window, 20);
        assert_eq!(hit.after.seen[1 - hit.shot.d], 0);
    })]);
}
