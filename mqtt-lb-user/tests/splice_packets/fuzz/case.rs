//! Random flows in random states, and packets of them.

use mqtt_lb_ebpf::splice_slot::{Lane, SpliceSlot, seen, state};

use crate::bench::{Bench, Hook, LISTENER, now};
use crate::flow::Flow;
use crate::oracle::Now;
use crate::packet::option::{NOP, bare_timestamps, mss, sack, timestamps};
use crate::packet::{ACK, CWR, ECE, FIN, PSH, RST, SYN, Segment, Sum};
use crate::prog_run::Skb;
use crate::rng::Rng;

/// A packet, and the flow it has to do with.
pub struct Case {
    /// The program.
    pub hook: Hook,
    /// The flow.
    pub flow: usize,
    /// Its slot before.
    pub slot: SpliceSlot,
    /// The packet, unharmed.
    pub frame: Vec<u8>,
    /// What comes with it.
    pub skb: Skb,
    /// The time.
    pub now: Now,
}

/// The packet and the flow of a seed.
pub fn case(bench: &Bench, rng: &mut Rng) -> Case {
    let hook = if rng.one_in(2) { Hook::Xdp } else { Hook::Tcx };
    let flow = rng.below(bench.flows.len());
    let now = now();
    let d = rng.below(2);
    let slot = slot(&bench.flows[flow], d, now, rng);
    let frame = frame(&bench.flows[flow], &slot, d, rng);
    let gso_size = if rng.one_in(16) { 100 } else { 0 };
    let skb = Skb { mark: 0, gso_size };
    Case {
        hook,
        flow,
        slot,
        frame,
        skb,
        now,
    }
}

/// A number that is `near`, or any.
fn around(near: u32, rng: &mut Rng) -> u32 {
    match rng.below(8) {
        0..4 => near,
        4 => near.wrapping_add(1),
        5 => near.wrapping_sub(1),
        6 => near.wrapping_add(rng.word() & 0xffff).wrapping_sub(0x8000),
        _ => rng.word(),
    }
}

fn slot(flow: &Flow, d: usize, now: Now, rng: &mut Rng) -> SpliceSlot {
    let mut slot = flow.slot();
    slot.seq_delta = [rng.word(), rng.word()];
    slot.ts_delta = [rng.word(), rng.word()];
    for d in [0, 1] {
        slot.scales[d] = [rng.below(15) as u8, rng.below(15) as u8];
        slot.seen[d] = match rng.below(8) {
            0 => rng.byte() & 63,
            1 => 0,
            2 => seen::FIN | seen::EDGE,
            _ => seen::EDGE,
        };
        slot.lanes[d].seq_end = rng.word();
        slot.lanes[d].packets = rng.word();
        slot.lanes[d].ifindex = rng.pick(&[1, 1, 1, 1, 1, 7, 7, 0]);
    }
    for d in [0, 1] {
        let acknowledged = flow.acknowledges(&slot, d);
        let other = slot.lanes[1 - d].seq_end;
        slot.lanes[d].ack = around(acknowledged, rng);
        slot.lanes[d].edge = around(other.wrapping_add(rng.word() & 0xffff), rng);
        slot.lanes[d].fin_end = around(slot.lanes[d].seq_end, rng);
    }
    slot.state = match rng.below(32) {
        0 => state::FREE,
        1..5 => state::LEARN,
        5..7 => state::HOLD,
        _ => state::FORWARD,
    };
    match slot.state {
        state::HOLD => {
            let until = if rng.one_in(2) {
                100_000u32
            } else {
                0u32.wrapping_sub(100_000)
            };
            slot.hold_until_ms = now.ms.wrapping_add(until);
        }
        state::LEARN if rng.one_in(2) => {
            slot.lanes[d] = Lane::default();
            slot.seen[d] = 0;
        }
        _ => {}
    }
    if slot.state != state::FORWARD && slot.lanes[d].ifindex == 0 {
        slot.lanes[d] = Lane::default();
    }
    slot
}

fn options(slot: &SpliceSlot, rng: &mut Rng) -> Vec<u8> {
    let stamps = [rng.word(), rng.word()];
    let edges = |most: usize, rng: &mut Rng| -> Vec<u32> {
        (0..2 * (1 + rng.below(most))).map(|_| rng.word()).collect()
    };
    let pad = vec![NOP; rng.below(4)];
    match rng.below(12) {
        0..3 => Vec::new(),
        3..7 => timestamps(around(slot.lanes[0].edge, rng), stamps[1]),
        7 => [pad, bare_timestamps(stamps[0], stamps[1])].concat(),
        8 => [pad, sack(&edges(4, rng))].concat(),
        9 => [timestamps(stamps[0], stamps[1]), pad, sack(&edges(2, rng))].concat(),
        10 => [
            pad,
            sack(&edges(3, rng)),
            bare_timestamps(stamps[0], stamps[1]),
        ]
        .concat(),
        _ => [
            mss(rng.word() as u16),
            vec![4, 2],
            bare_timestamps(stamps[0], 0),
            vec![NOP, 3, 3, 7],
        ]
        .concat(),
    }
}

fn segment(flow: &Flow, slot: &SpliceSlot, d: usize, rng: &mut Rng) -> Segment {
    let mut segment = flow.segment(slot, d);
    segment.flags = rng.pick(&[
        ACK,
        ACK,
        ACK,
        ACK | PSH,
        ACK | PSH,
        ACK | FIN,
        ACK | RST,
        RST,
        SYN,
        SYN | ECE | CWR,
        SYN | ACK,
    ]);
    segment.seq = around(segment.seq, rng);
    segment.ack = around(segment.ack, rng);
    segment.window = rng.word() as u16;
    segment.options = options(slot, rng);
    let length = match rng.below(8) {
        0..4 => 0,
        4..7 => rng.below(80),
        _ => rng.below(1400),
    };
    segment.payload = (0..length).map(|i| (i * 31) as u8).collect();
    segment.trailer = if rng.one_in(8) { rng.below(8) } else { 0 };
    segment.hops = if rng.one_in(32) {
        rng.below(3) as u8
    } else {
        64
    };
    segment.sum = match rng.below(8) {
        0 => Sum::Wrong,
        1 => Sum::Partial,
        _ => Sum::Right,
    };
    if rng.one_in(4) {
        segment.macs = [[2, rng.byte(), 1, 1, 1, 1], [2, rng.byte(), 2, 2, 2, 2]];
    }
    if rng.one_in(32) {
        unusual(&mut segment, rng);
    }
    segment
}

/// A packet as IP may make it, but hardly does.
fn unusual(segment: &mut Segment, rng: &mut Rng) {
    match (rng.below(4), segment.family) {
        (0, _) => segment.vlan = Some(rng.word() as u16),
        (1, _) => segment.ports[1] = LISTENER,
        (2, 4) => segment.fragment = rng.pick(&[0x2000, 0x2001, 0x0005, 0x8000]),
        (3, 4) => segment.ip_options = vec![NOP; 4 * (1 + rng.below(10))],
        (2, _) => {
            let [a, b] = rng.pick(&[[0, 1], [0, 0], [0, 9], [1, 8]]);
            segment.extensions = vec![(44, vec![0, 0, a, b, 1, 2, 3, 4])];
        }
        _ => {
            let kind = rng.pick(&[0, 43, 60]);
            segment.extensions = vec![(kind, vec![0, 0, 1, 4, 0, 0, 0, 0]); 1 + rng.below(2)];
        }
    }
}

fn frame(flow: &Flow, slot: &SpliceSlot, d: usize, rng: &mut Rng) -> Vec<u8> {
    if !rng.one_in(10) {
        return segment(flow, slot, d, rng).frame();
    }
    let mut sent = flow.sent_to(slot, d);
    sent.options = options(slot, rng);
    sent.payload = vec![7; rng.below(100)];
    sent.hops = if rng.one_in(16) { 1 } else { 64 };
    let (kinds, header) = match flow.family {
        4 => ([3, 3, 11, 12, 8], 20),
        _ => ([1, 2, 3, 4, 128], 40),
    };
    let mut router = sent.addresses[1];
    router[2] ^= rng.byte();
    let quoted = if rng.one_in(2) {
        header + rng.below(60)
    } else {
        1000
    };
    sent.icmp_error(router, rng.pick(&kinds), rng.below(6) as u8, quoted)
}
