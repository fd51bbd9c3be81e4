//! ICMP errors that quote a packet of a flow.

use mqtt_lb_ebpf::splice_slot::{SpliceSlot, state};

use super::tcp::{address, set_error, word};
use super::{Arrival, Case, Expected, find};
use crate::bench::Verdict;
use crate::flow::{ARRIVES, Flow};
use crate::layers::{Layers, TCP};
use crate::sums;

/// What has to become of an ICMP packet.
pub fn expect(
    arrival: Arrival<'_>,
    layers: Layers,
    flows: &[Flow],
    slot: impl Fn(usize) -> SpliceSlot,
) -> Expected {
    let passes = Expected::passes(arrival.frame);
    let Some((inner, place)) = quoted(arrival.frame, &layers, flows) else {
        return passes;
    };
    let slot = slot(place.0);
    if slot.state != state::FORWARD {
        return Expected {
            place: Some(place),
            slots: vec![slot],
            ..passes
        };
    }
    let flow = &flows[place.0];
    let case = Case {
        arrival,
        layers,
        flow,
        place,
        slot,
    };
    translate(&case, &inner)
}

/// The quoted packet of an error, and the place in whose direction its answers arrive.
fn quoted(frame: &[u8], layers: &Layers, flows: &[Flow]) -> Option<(Layers, (usize, usize))> {
    let at = layers.inner;
    let kind = *frame.get(at)?;
    let is_error = match layers.family {
        4 => matches!(kind, 3 | 11),
        _ => matches!(kind, 1..=3),
    };
    let inner = match layers.family {
        4 => Layers::v4(frame, at + 8)?,
        _ => Layers::v6(frame, at + 8)?,
    };
    let [a, b, c, d] = inner.ports(frame)?;
    let is_ours = inner.protocol == TCP && inner.is_honest && !inner.later;
    if !is_error || !is_ours || layers.later {
        return None;
    }
    let (from, to) = frame[inner.addresses.clone()].split_at(inner.addresses.len() / 2);
    let place = find(flows, &[to, from].concat(), [c, d, a, b])?;
    Some((inner, place))
}

fn translate(case: &Case<'_>, inner: &Layers) -> Expected {
    let (frame, layers) = (case.arrival.frame, &case.layers);
    let mut expected = case.becomes(Verdict::Drop);
    expected.open.hints = true;
    let out = case.slot.lanes[1 - case.direction()].ifindex;
    let is_honest = layers.is_honest || layers.family == 6;
    let odd = layers.extended || layers.fragment || inner.extended || !is_honest;
    let whole = inner.inner + 8 <= layers.end && layers.end <= frame.len();
    if odd || !whole || out == 0 || case.hops() <= 1 {
        // What is cut may be taken for no error of ours.
        return expected.or_passes(!whole || odd, frame);
    }
    let right = sums::error(frame, layers) == 0;
    let output = translation(case, inner);
    let outcome = (case.forward(out), output);
    if right {
        expected.outcomes = vec![outcome];
    } else {
        expected.outcomes.push(outcome);
    }
    // The quoted acknowledgement, window, options and checksum are for nobody: TCP
    // finds its socket by the addresses and looks at the sequence number.
    let end = layers.end.min(inner.inner + 20);
    expected.blur = vec![
        inner.inner + 8..end.max(inner.inner + 8),
        layers.inner + 2..layers.inner + 4,
    ];
    expected
}

fn translation(case: &Case<'_>, inner: &Layers) -> Vec<u8> {
    let (layers, frame, d) = (&case.layers, case.arrival.frame, case.direction());
    let mut out = frame.to_vec();
    let lane = &case.slot.lanes[1 - d];
    out[..6].copy_from_slice(&lane.peer_mac);
    out[6..12].copy_from_slice(&lane.own_mac);
    address(case, &mut out);
    // The quoted packet, as that side sent it.
    let width = inner.addresses.len() / 2;
    let header = sums::header_error(frame, inner);
    let at = inner.addresses.start;
    let [from, to] = ARRIVES[1 - d];
    out[at..at + width].copy_from_slice(&case.flow.addresses[from][..width]);
    out[at + width..at + 2 * width].copy_from_slice(&case.flow.addresses[to][..width]);
    if inner.family == 4 {
        let field = inner.ip + 10;
        out[field..field + 2].fill(0);
        let off = header + 0xffff - sums::header_error(&out, inner);
        out[field..field + 2].copy_from_slice(&sums::residue(off));
    }
    let at = inner.inner;
    out[at..at + 2].copy_from_slice(&case.flow.ports[from].to_be_bytes());
    out[at + 2..at + 4].copy_from_slice(&case.flow.ports[to].to_be_bytes());
    let seq = word(frame, at + 4).wrapping_sub(case.slot.seq_delta[1 - d]);
    out[at + 4..at + 8].copy_from_slice(&seq.to_be_bytes());
    set_error(
        &mut out,
        layers,
        layers.inner + 2,
        sums::error(frame, layers),
    );
    out
}
