//! What a packet of a flow that is forwarded changes in its slot.

use mqtt_lb_ebpf::splice_slot::{SpliceSlot, seen};

use super::{Case, Open, Tcp, tcp};
use crate::bench::Hook;
use crate::packet::{ACK, FIN, RST, SYN};
use crate::sums;

/// Longest segment that the classifier sums, bytes.
const SUMMED: usize = 2048;

/// Whether the packet's checksum may be believed.
pub fn is_verified(case: &Case<'_>) -> bool {
    let (frame, layers) = (case.arrival.frame, &case.layers);
    let right = sums::error(frame, layers) == 0;
    let summed = match case.arrival.hook {
        Hook::Xdp => right,
        Hook::Tcx if case.arrival.skb.gso_size > 0 => true,
        Hook::Tcx => right && layers.end - layers.inner <= SUMMED,
    };
    summed || sums::is_partial(frame, layers)
}

/// The newer of two sequence numbers.
pub fn newer(a: u32, b: u32) -> u32 {
    if (b.wrapping_sub(a) as i32) > 0 { b } else { a }
}

/// Notes where the packet came from.
pub fn note_origin(case: &Case<'_>, slot: &mut SpliceSlot) {
    let lane = &mut slot.lanes[case.direction()];
    lane.own_mac.copy_from_slice(&case.arrival.frame[..6]);
    lane.peer_mac.copy_from_slice(&case.arrival.frame[6..12]);
    lane.ifindex = crate::prog_run::LOOPBACK;
}

/// The slot after a packet.
pub fn believe(case: &Case<'_>, tcp: &Tcp) -> (SpliceSlot, Open) {
    let (d, before) = (case.direction(), &case.slot);
    let (mine, other) = (&before.lanes[d], &before.lanes[1 - d]);
    let mut slot = *before;
    let verified = is_verified(case);
    let ack = tcp.ack.wrapping_sub(before.seq_delta[1 - d]);
    let lane = &mut slot.lanes[d];
    // What follows the packet before is taken at its word, anything else has to be right.
    if verified || tcp.seq == mine.seq_end {
        lane.seq_end = newer(mine.seq_end, tcp.end());
    }
    // Nobody acknowledges what was not sent.
    if tcp.has(ACK) && newer(other.seq_end, ack) == other.seq_end {
        lane.ack = newer(mine.ack, tcp.ack);
    }
    lane.last_s = case.arrival.now.s;
    lane.packets = mine.packets.wrapping_add(1);
    lane.bytes = mine.bytes.wrapping_add(u64::from(tcp.payload));
    let mut open = Open {
        hints: tcp.is_odd() || tcp.has(RST) || tcp.has(SYN),
        ..Open::default()
    };
    if !verified {
        return (slot, open);
    }
    note_origin(case, &mut slot);
    if tcp.has(RST) && is_exact(case, tcp) {
        slot.seen[d] |= seen::RST;
    }
    let reborn = (before.seen[0] | before.seen[1]) & seen::REBORN != 0;
    if !tcp.has(RST) && !tcp.has(SYN) && !reborn {
        // Who speaks was not reset.
        slot.seen[1 - d] &= !seen::RST;
    }
    if tcp.has(FIN) {
        slot.seen[d] |= seen::FIN;
        slot.lanes[d].fin_end = tcp.end();
        // A second FIN that ends elsewhere is nobody's stack.
        open.fin_end = before.seen[d] & seen::FIN != 0;
        if before.seen[d] & seen::FIN == 0 && before.seen[1 - d] & seen::FIN == 0 {
            slot.seen[d] |= seen::FIRST;
        }
    }
    if tcp.has(ACK) && before.seen[1 - d] & seen::FIN != 0 {
        let passed = ack.wrapping_sub(other.fin_end) as i32;
        if passed >= 0 && newer(other.fin_end, other.seq_end) == other.fin_end {
            slot.seen[d] |= seen::PEER_FIN;
        }
        // What was never sent is not acknowledged by anybody's stack.
        if passed > 0 || passed == i32::MIN {
            open.seen |= seen::PEER_FIN;
        }
    }
    if !tcp.has(SYN) && tcp.has(ACK) && before.seen[d] & seen::EDGE == 0 {
        let window = tcp::window(case, tcp);
        if window.short == 0 {
            slot.seen[d] |= seen::EDGE;
        }
        let to = before.scales[d][1];
        if ack.wrapping_add(u32::from(window.plain) << to) == mine.edge {
            open.seen |= seen::EDGE;
        }
    }
    if tcp.is_odd() {
        let exact = is_exact(case, tcp);
        open.seen = if exact { u8::MAX } else { !seen::RST };
        open.fin_end = true;
    } else if tcp.has(RST) {
        open.seen |= seen::EDGE | seen::PEER_FIN;
    } else if tcp.has(SYN) {
        open.seen |= seen::PEER_FIN;
    }
    (slot, open)
}

/// Whether an RST has the sequence number its receiver waits for, as far as is known.
fn is_exact(case: &Case<'_>, tcp: &Tcp) -> bool {
    let (d, slot) = (case.direction(), &case.slot);
    let acknowledged = slot.lanes[1 - d].ack.wrapping_sub(slot.seq_delta[d]);
    tcp.seq == slot.lanes[d].seq_end || tcp.seq == acknowledged
}
