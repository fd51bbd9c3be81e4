//! Flows that are not handed over yet: what is learned, and the gate.

use mqtt_lb_ebpf::splice_slot::{Lane, seen, state};
use mqtt_lb_ebpf::splice_stat::Stat;

use crate::packet::option::{NOP, mss, timestamps};
use crate::packet::{ACK, FIN, RST, SYN, Sum};
use crate::row::{Hit, Row, Shot, fire};

const LEARNED: &[Stat] = &[Stat::Learned];
const TSVAL: u32 = 0x8000_0001;

/// A flow of which no packet has been seen.
fn fresh(s: &mut Shot) {
    s.slot.state = state::LEARN;
    s.slot.seen = [0; 2];
    s.slot.lanes[s.d] = Lane::default();
}

fn lane(hit: &Hit) -> Lane {
    hit.after.lanes[hit.shot.d]
}

#[test]
fn the_first_packet_teaches_everything() {
    let syn = |s: &mut Shot| {
        fresh(s);
        s.segment.flags = SYN;
        s.segment.ack = 0;
        s.segment.options = [mss(1234), vec![4, 2], timestamps(TSVAL, 0)].concat();
    };
    fire(&[
        Row::passes("a SYN", LEARNED, &syn).then(&|hit| {
            let segment = &hit.shot.segment;
            let wanted = Lane {
                own_mac: segment.macs[0],
                peer_mac: segment.macs[1],
                ifindex: 1,
                seq_end: segment.seq.wrapping_add(1),
                edge: TSVAL,
                fin_end: 1234,
                last_s: lane(hit).last_s,
                ..Lane::default()
            };
            assert_eq!(lane(hit), wanted);
            assert_eq!(hit.after.seen[hit.shot.d], seen::TSVAL);
        }),
        Row::passes("a SYN-ACK", LEARNED, &|s| {
            syn(s);
            s.segment.flags = SYN | ACK;
            s.segment.ack = 77;
        })
        .then(&|hit| assert_eq!((lane(hit).ack, lane(hit).fin_end), (77, 1234))),
        Row::passes("a SYN with a wrong checksum", LEARNED, &|s| {
            syn(s);
            s.segment.sum = Sum::Wrong;
        })
        .then(&|hit| {
            let learned = Lane {
                seq_end: 0,
                ack: 0,
                last_s: 0,
                ..lane(hit)
            };
            assert_eq!(learned, Lane::default());
            assert_eq!(hit.after.seen[hit.shot.d], 0);
        }),
        Row::passes("data with an MSS option", LEARNED, &|s| {
            fresh(s);
            s.segment.options = mss(999);
            s.segment.payload = vec![1; 10];
        })
        .then(&|hit| {
            assert_eq!(lane(hit).fin_end, 0);
            assert_eq!(lane(hit).seq_end, hit.shot.segment.seq.wrapping_add(10));
        }),
    ]);
}

#[test]
fn the_newest_timestamp_is_kept() {
    let stamped = |known: u32, came: u32, sum: Sum| {
        move |s: &mut Shot| {
            s.slot.state = state::LEARN;
            s.slot.seen = [seen::TSVAL; 2];
            s.slot.lanes[s.d].edge = known;
            s.segment.options = timestamps(came, 5);
            s.segment.sum = sum;
        }
    };
    let is = |value: u32| move |hit: &Hit| assert_eq!(lane(hit).edge, value);
    fire(&[
        Row::passes("newer", LEARNED, &stamped(5, 6, Sum::Right)).then(&is(6)),
        Row::passes(
            "newer, over the wrap",
            LEARNED,
            &stamped(u32::MAX, 1, Sum::Right),
        )
        .then(&is(1)),
        Row::passes("older", LEARNED, &stamped(6, 5, Sum::Right)).then(&is(6)),
        Row::passes(
            "older, over the wrap",
            LEARNED,
            &stamped(1, u32::MAX, Sum::Right),
        )
        .then(&is(1)),
        Row::passes(
            "newer, with a wrong checksum",
            LEARNED,
            &stamped(5, 6, Sum::Wrong),
        )
        .then(&is(5)),
        Row::passes("none yet", LEARNED, &|s| {
            stamped(TSVAL, 3, Sum::Right)(s);
            s.slot.seen = [0; 2];
        })
        .then(&is(3)),
        Row::passes("at an odd place", LEARNED, &|s| {
            stamped(5, 6, Sum::Right)(s);
            s.segment.options.insert(0, NOP);
        })
        .then(&is(6)),
    ]);
}

#[test]
fn nothing_ends_while_it_is_learned() {
    let kept = |hit: &Hit| {
        assert_eq!(hit.after.seen, [0; 2]);
        assert_eq!(lane(hit).packets, hit.shot.slot.lanes[hit.shot.d].packets);
    };
    let learning = |flags: u8| {
        move |s: &mut Shot| {
            s.slot.state = state::LEARN;
            s.slot.seen = [0; 2];
            s.segment.flags = flags;
        }
    };
    fire(&[
        Row::passes("FIN", LEARNED, &learning(FIN | ACK)).then(&kept),
        Row::passes("RST", LEARNED, &learning(RST)).then(&kept),
        Row::passes("last hop", LEARNED, &|s| {
            learning(ACK)(s);
            s.segment.hops = 1;
        }),
        Row::passes("the other side is not known", LEARNED, &|s| {
            learning(ACK)(s);
            s.slot.lanes[1 - s.d] = Lane::default();
        }),
    ]);
}

/// A gate that opens in `ms` milliseconds.
fn gate(s: &mut Shot, ms: i32) {
    s.slot.state = state::HOLD;
    s.slot.hold_until_ms = s.now.ms.wrapping_add(ms as u32);
    s.segment.options = timestamps(TSVAL, 0);
    s.segment.macs = [[2; 6], [4; 6]];
    s.segment.payload = vec![5; 5];
}

#[test]
fn the_gate_is_shut_until_its_deadline() {
    let untouched = |hit: &Hit| assert_eq!(hit.after, hit.shot.slot);
    let learned = |hit: &Hit| assert_eq!(lane(hit).peer_mac, [4; 6]);
    const HELD: &[Stat] = &[Stat::Held];
    fire(&[
        Row::drops("shut", HELD, &|s| gate(s, 60_000)).then(&untouched),
        Row::drops("shut for long", HELD, &|s| gate(s, 0x7000_0000)).then(&untouched),
        Row::passes("past its deadline", LEARNED, &|s| gate(s, -5)).then(&learned),
        Row::passes("long past its deadline", LEARNED, &|s| {
            gate(s, -0x7000_0000)
        })
        .then(&learned),
        Row::drops("a SYN at a shut gate", HELD, &|s| {
            gate(s, 60_000);
            s.segment.flags = SYN;
            s.slot.seen = [seen::RST; 2];
        })
        .then(&untouched),
        Row::drops("an RST at a shut gate", HELD, &|s| {
            gate(s, 60_000);
            s.segment.flags = RST;
        })
        .then(&untouched),
    ]);
}
