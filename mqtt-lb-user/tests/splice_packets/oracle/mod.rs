//! What the programs have to do with a packet, written a second time and plainly:
//! everything is parsed anew, every checksum is summed in full.
//!
//! Where the rules leave a choice ([`Expected`] says which), either is right.

mod believe;
mod icmp;
mod learn;
mod tcp;

use mqtt_lb_ebpf::splice_slot::{SpliceSlot, is_over, seen, state};

use crate::bench::{Hook, LISTENER, Verdict};
use crate::flow::Flow;
use crate::layers::{ICMP, ICMP6, Layers, TCP};
use crate::packet::{ACK, AE, CWR, ECE, RST, SYN};
use crate::prog_run::{LOOPBACK, Skb};
use crate::sums;
pub use tcp::Tcp;

/// CLOCK_MONOTONIC.
#[derive(Debug, Clone, Copy)]
pub struct Now {
    /// Seconds.
    pub s: u32,
    /// Milliseconds modulo 2^32.
    pub ms: u32,
}

/// A packet, and how it comes.
#[derive(Debug, Clone, Copy)]
pub struct Arrival<'a> {
    /// Which program sees it.
    pub hook: Hook,
    /// From the Ethernet header on.
    pub frame: &'a [u8],
    /// What else the skb says; nothing of it counts for XDP.
    pub skb: Skb,
    /// The time.
    pub now: Now,
}

/// Parts of a slot that may be anything afterwards, as the packet makes no sense or
/// the rules are silent about it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Open {
    /// Hints and counters of the direction's lane.
    pub hints: bool,
    /// Bits of `seen` of the direction.
    pub seen: u8,
    /// The lane's `fin_end`.
    pub fin_end: bool,
    /// The lane's `edge`.
    pub edge: bool,
}

/// What may become of a packet.
#[derive(Debug, Clone)]
pub struct Expected {
    /// The flow it belongs to (or is about), and the direction it arrives in.
    pub place: Option<(usize, usize)>,
    /// Verdicts, each with the packet afterwards.
    pub outcomes: Vec<(Verdict, Vec<u8>)>,
    /// The flow's slot afterwards.
    pub slots: Vec<SpliceSlot>,
    /// What of the slot is not compared.
    pub open: Open,
    /// Bytes of the packet that are not compared.
    pub blur: Vec<std::ops::Range<usize>>,
}

impl Expected {
    fn passes(frame: &[u8]) -> Self {
        Self {
            place: None,
            outcomes: vec![(Verdict::Pass, frame.to_vec())],
            slots: Vec::new(),
            open: Open::default(),
            blur: Vec::new(),
        }
    }

    fn or_passes(mut self, may: bool, frame: &[u8]) -> Self {
        if may {
            self.outcomes.push((Verdict::Pass, frame.to_vec()));
        }
        self
    }
}

/// A packet of a flow.
struct Case<'a> {
    arrival: Arrival<'a>,
    layers: Layers,
    flow: &'a Flow,
    place: (usize, usize),
    slot: SpliceSlot,
}

impl Case<'_> {
    fn direction(&self) -> usize {
        self.place.1
    }

    fn becomes(&self, verdict: Verdict) -> Expected {
        Expected {
            place: Some(self.place),
            outcomes: vec![(verdict, self.arrival.frame.to_vec())],
            slots: vec![self.slot],
            ..Expected::passes(&[])
        }
    }

    /// Whether nobody can say that the bytes at their place are this packet's ports.
    fn is_doubtful(&self) -> bool {
        let header = self.layers.inner + 20;
        let odd = self.layers.later || self.layers.is_endless || !self.layers.is_honest;
        odd || self.layers.end < header || self.arrival.frame.len() < header
    }

    /// Whether it leaves by the interface it came from, where the program's return
    /// code tells that.
    fn forward(&self, out: u32) -> Verdict {
        match (self.arrival.hook, out) {
            (Hook::Xdp, LOOPBACK) => Verdict::Back,
            _ => Verdict::Forward,
        }
    }

    /// TTL or hop limit.
    fn hops(&self) -> u8 {
        let at = if self.layers.family == 4 { 8 } else { 7 };
        self.arrival.frame[self.layers.ip + at]
    }
}

/// What has to become of a packet. `slot` gives a flow's slot before it.
pub fn expect(
    arrival: Arrival<'_>,
    flows: &[Flow],
    slot: impl Fn(usize) -> SpliceSlot,
) -> Expected {
    let frame = arrival.frame;
    let Some(layers) = Layers::of(frame) else {
        return Expected::passes(frame);
    };
    if layers.protocol == if layers.family == 4 { ICMP } else { ICMP6 } {
        return icmp::expect(arrival, layers, flows, slot);
    }
    let ports = layers.ports(frame).filter(|_| layers.protocol == TCP);
    let place = ports.and_then(|ports| find(flows, &frame[layers.addresses.clone()], ports));
    let Some(place) = place else {
        return strip(arrival, &layers, Expected::passes(frame));
    };
    let case = Case {
        arrival,
        flow: &flows[place.0],
        place,
        slot: slot(place.0),
        layers,
    };
    let left = case.slot.hold_until_ms.wrapping_sub(arrival.now.ms) as i32;
    match case.slot.state {
        state::FREE => strip(arrival, &case.layers, case.becomes(Verdict::Pass)),
        state::HOLD if left > 0 => case
            .becomes(Verdict::Drop)
            .or_passes(case.is_doubtful(), frame),
        state::LEARN | state::HOLD => learning(&case),
        state::FORWARD => forwarding(&case),
        unknown => panic!("no test writes state {unknown}"),
    }
}

/// The flow and direction of a key.
fn find(flows: &[Flow], addresses: &[u8], ports: [u8; 4]) -> Option<(usize, usize)> {
    let places = flows.iter().enumerate();
    places
        .filter_map(|(at, flow)| Some((at, flow.direction_of(addresses, ports)?)))
        .next()
}

/// What passes loses the ECN bits of a SYN to a listener.
fn strip(arrival: Arrival<'_>, layers: &Layers, mut expected: Expected) -> Expected {
    let frame = arrival.frame;
    let at = layers.inner;
    let Some(tcp) = frame.get(at..at + 20).filter(|_| layers.protocol == TCP) else {
        return expected;
    };
    let asks = tcp[13] & (SYN | ACK) == SYN && tcp[13] & (ECE | CWR) != 0;
    if layers.later || !asks || tcp[2..4] != LISTENER.to_be_bytes() {
        return expected;
    }
    let mut stripped = frame.to_vec();
    // AccECN asks with a third bit, in the byte before (RFC 9768).
    stripped[at + 12] &= !AE;
    stripped[at + 13] &= !(ECE | CWR);
    let begun = stripped.clone();
    // What the word loses, the checksum gains.
    let lost = u64::from(tcp[12] & AE) << 8 | u64::from(tcp[13] & (ECE | CWR));
    let sum = u64::from(u16::from_be_bytes([tcp[16], tcp[17]])) + lost;
    stripped[at + 16..at + 18].copy_from_slice(&sums::residue(sum));
    // Of a SYN that is not whole, or asks by halves, nobody is asked to take anything.
    let usual = layers.is_honest && !layers.fragment && !layers.extended;
    let whole = usual && layers.tcp_header(frame).is_some();
    if whole && tcp[13] & (ECE | CWR) == ECE | CWR {
        expected.outcomes.clear();
    }
    expected.outcomes.push((Verdict::Pass, stripped));
    // The stack knows that a checksum is only begun: it stays as it is.
    if arrival.hook == Hook::Xdp && sums::is_partial(frame, layers) {
        expected.outcomes.push((Verdict::Pass, begun));
    }
    expected
}

fn learning(case: &Case<'_>) -> Expected {
    let mut expected = case.becomes(Verdict::Pass);
    expected.open.hints = true;
    if let Some(tcp) = Tcp::of(case.arrival.frame, &case.layers) {
        let (learned, open) = learn::learn(case, &tcp);
        expected.open = open;
        // Nothing has to be learned from what is not usual, nor from the end of it all.
        let odd = case.layers.fragment || case.layers.extended || !case.layers.is_honest;
        if odd || tcp.has(RST) {
            expected.open.hints = true;
            expected.slots.push(learned);
        } else {
            expected.slots = vec![learned];
        }
    }
    strip(case.arrival, &case.layers, expected)
}

fn forwarding(case: &Case<'_>) -> Expected {
    let frame = case.arrival.frame;
    let mut drop = case.becomes(Verdict::Drop);
    drop.open.hints = true;
    let flags = frame.get(case.layers.inner + 13).copied().unwrap_or(0);
    let is_syn = flags & (SYN | ACK) == SYN;
    let follows = case.slot.seen[case.direction()] & seen::REBORN != 0;
    let is_reborn = is_over(case.slot.seen) && (is_syn || follows);
    let Some(tcp) = Tcp::of(frame, &case.layers) else {
        // Of a new connection the stack may see what is wrong with it.
        let drop = drop.or_passes(case.is_doubtful() || is_reborn, frame);
        return strip(case.arrival, &case.layers, drop);
    };
    if case.layers.later || case.layers.is_endless {
        return drop.or_passes(true, frame);
    }
    if case.layers.family == 4 && !case.layers.is_honest {
        return drop.or_passes(true, frame);
    }
    if is_reborn && !case.layers.extended && !case.layers.fragment {
        let mut pass = case.becomes(Verdict::Pass);
        if is_syn && believe::is_verified(case) {
            pass.slots[0].seen[case.direction()] |= seen::REBORN;
        }
        return strip(case.arrival, &case.layers, pass);
    }
    // Nothing hangs on what a packet that is dropped has told: it may be believed or not.
    let (believed, open) = believe::believe(case, &tcp);
    let out = case.slot.lanes[1 - case.direction()].ifindex;
    let odd = case.layers.fragment || case.layers.extended;
    if odd || case.hops() <= 1 || out == 0 {
        drop.slots.push(believed);
        drop.open = Open {
            hints: true,
            ..open
        };
        return drop;
    }
    let outputs = tcp::translate(case, &tcp);
    let verdict = case.forward(out);
    let mut expected = Expected {
        outcomes: outputs.into_iter().map(|frame| (verdict, frame)).collect(),
        slots: vec![believed],
        open,
        ..drop
    };
    if !tcp.options_fit {
        // Options that do not fit into each other are the receiver's to judge.
        expected.outcomes.push((Verdict::Drop, frame.to_vec()));
        expected.slots.push(case.slot);
        expected.open.hints = true;
    }
    expected
}
