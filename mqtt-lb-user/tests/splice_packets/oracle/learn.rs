//! What a packet changes in the slot of a flow that is not handed over yet.

use mqtt_lb_ebpf::splice_slot::{SpliceSlot, seen};

use super::believe::{is_verified, newer, note_origin};
use super::tcp::word;
use super::{Case, Open, Tcp};
use crate::packet::{ACK, RST, SYN};

/// The slot after a packet.
pub fn learn(case: &Case<'_>, tcp: &Tcp) -> (SpliceSlot, Open) {
    let (d, before) = (case.direction(), &case.slot);
    let mut slot = *before;
    let is_first = before.lanes[d].ifindex == 0;
    let lane = &mut slot.lanes[d];
    let newest = |old, new| if is_first { new } else { newer(old, new) };
    lane.seq_end = newest(lane.seq_end, tcp.end());
    if tcp.has(ACK) {
        lane.ack = newest(lane.ack, tcp.ack);
    }
    lane.last_s = case.arrival.now.s;
    let hints = tcp.is_odd() || tcp.has(RST);
    if !is_verified(case) {
        return (
            slot,
            Open {
                hints,
                ..Open::default()
            },
        );
    }
    note_origin(case, &mut slot);
    let lane = &mut slot.lanes[d];
    if let Some(value) = tcp.option(8, 8) {
        let value = word(case.arrival.frame, value.start);
        let is_known = before.seen[d] & seen::TSVAL != 0;
        lane.edge = if is_known {
            newer(lane.edge, value)
        } else {
            value
        };
        slot.seen[d] |= seen::TSVAL;
    }
    if let Some(value) = tcp.option(2, 2).filter(|_| tcp.has(SYN)) {
        let size = word(case.arrival.frame, value.start - 2) & 0xffff;
        lane.fin_end = if size == 0 { lane.fin_end } else { size };
    }
    let strange = tcp.is_odd() || tcp.repeats() || !tcp.options_fit;
    let open = Open {
        hints,
        seen: if strange { seen::TSVAL } else { 0 },
        fin_end: strange,
        edge: strange,
    };
    (slot, open)
}
