//! A TCP segment read, and translated to the other side.

use std::ops::Range;

use super::Case;
use crate::bench::Hook;
use crate::flow::LEAVES;
use crate::layers::Layers;
use crate::packet::{ACK, FIN, RST, SYN};
use crate::sums;

/// What a TCP header says.
#[derive(Debug, Clone)]
pub struct Tcp {
    /// Sequence number.
    pub seq: u32,
    /// Acknowledgement number.
    pub ack: u32,
    /// The flag byte.
    pub flags: u8,
    /// Window field.
    pub window: u16,
    /// Data bytes.
    pub payload: u32,
    /// Kind and place of every option's value.
    pub options: Vec<(u8, Range<usize>)>,
    /// Whether all options lie inside of the header.
    pub options_fit: bool,
}

impl Tcp {
    /// The segment of a frame; `None` if its lengths do not fit together.
    pub fn of(frame: &[u8], layers: &Layers) -> Option<Self> {
        let header = layers.tcp_header(frame)?;
        let at = layers.inner;
        let mut tcp = Self {
            seq: word(frame, at + 4),
            ack: word(frame, at + 8),
            flags: frame[at + 13],
            window: u16::from_be_bytes([frame[at + 14], frame[at + 15]]),
            payload: (layers.end - at - header) as u32,
            options: Vec::new(),
            options_fit: true,
        };
        tcp.read_options(frame, at + 20, at + header);
        Some(tcp)
    }

    fn read_options(&mut self, frame: &[u8], mut at: usize, end: usize) {
        while at < end && frame[at] != 0 {
            if frame[at] == 1 {
                at += 1;
                continue;
            }
            let length = if at + 1 < end {
                usize::from(frame[at + 1])
            } else {
                0
            };
            if length < 2 || at + length > end {
                self.options_fit = false;
                return;
            }
            self.options.push((frame[at], at + 2..at + length));
            at += length;
        }
    }

    /// Whether a flag is set.
    pub fn has(&self, flag: u8) -> bool {
        self.flags & flag != 0
    }

    /// Flags that no stack sends together.
    pub fn is_odd(&self) -> bool {
        let ends = [SYN, FIN, RST].map(|flag| u8::from(self.has(flag)));
        ends.iter().sum::<u8>() > 1 || self.flags & (SYN | ACK | RST) == 0
    }

    /// The first sequence number behind this segment.
    pub fn end(&self) -> u32 {
        let ends = u32::from(self.has(SYN)) + u32::from(self.has(FIN));
        self.seq.wrapping_add(self.payload).wrapping_add(ends)
    }

    /// Place of the value of an option that has this kind and length.
    pub fn option(&self, kind: u8, length: usize) -> Option<Range<usize>> {
        let mut found = self
            .options
            .iter()
            .filter(|(k, value)| *k == kind && value.len() == length);
        found.next_back().map(|(_, value)| value.clone())
    }

    /// Whether an option that counts stands there more than once.
    pub fn repeats(&self) -> bool {
        let count = |kind| self.options.iter().filter(|(k, _)| *k == kind).count();
        count(2) > 1 || count(8) > 1
    }
}

/// A big-endian word.
pub fn word(frame: &[u8], at: usize) -> u32 {
    u32::from_be_bytes(frame[at..at + 4].try_into().expect("4 bytes"))
}

fn put(frame: &mut [u8], at: usize, value: u32) {
    frame[at..at + 4].copy_from_slice(&value.to_be_bytes());
}

/// What a packet of a flow says about the window of its sender, to the other side.
pub struct Window {
    /// The field, rescaled.
    pub plain: u16,
    /// The field, with the promise kept.
    pub kept: u16,
    /// How far the right edge is behind the promised one; 0 when it has been passed.
    pub short: i32,
}

/// The window of the direction's sender as its receiver has to read it.
pub fn window(case: &Case<'_>, tcp: &Tcp) -> Window {
    let d = case.direction();
    let [from, to] = case.slot.scales[d];
    let plain = ((u64::from(tcp.window) << from) >> to).min(65535) as u16;
    let ack = tcp.ack.wrapping_sub(case.slot.seq_delta[1 - d]);
    let right = ack.wrapping_add(u32::from(plain) << to);
    let short = (case.slot.lanes[d].edge.wrapping_sub(right) as i32).max(0);
    let left = u64::from(case.slot.lanes[d].edge.wrapping_sub(ack));
    let least = left.div_ceil(1 << to).min(65535) as u16;
    let is_kept = case.slot.seen[d] & mqtt_lb_ebpf::splice_slot::seen::EDGE != 0;
    let kept = if is_kept || short == 0 {
        plain
    } else {
        plain.max(least)
    };
    Window { plain, kept, short }
}

/// What of a segment is translated though it means nothing.
#[derive(Clone, Copy)]
struct Zeal {
    /// The window of a segment without ACK keeps a promise.
    window: bool,
    /// SACK blocks of a segment without ACK.
    sack: bool,
    /// The whole blocks of a SACK option that has a part of one, too.
    parts: bool,
}

/// The packets that this one may be translated to. More than one where a field means
/// nothing.
pub fn translate(case: &Case<'_>, tcp: &Tcp) -> Vec<Vec<u8>> {
    let is_odd = |(kind, value): &(u8, Range<usize>)| *kind == 5 && value.len() % 8 != 0;
    if tcp.has(ACK) && !tcp.options.iter().any(is_odd) {
        let all = Zeal {
            window: true,
            sack: true,
            parts: true,
        };
        return vec![translation(case, tcp, all)];
    }
    let choices = (0..8).map(|bits| Zeal {
        window: tcp.has(ACK) || bits & 1 != 0,
        sack: tcp.has(ACK) || bits & 2 != 0,
        parts: bits & 4 != 0,
    });
    choices.map(|zeal| translation(case, tcp, zeal)).collect()
}

/// The sequence number as the receiver counts. What is not a byte of the stream must
/// not be beyond the window of a receiver that takes less than was promised, nor
/// behind it because windows are told its sender in larger units than the receiver's;
/// but a probe is.
fn sequence(case: &Case<'_>, tcp: &Tcp) -> u32 {
    let (d, slot) = (case.direction(), &case.slot);
    let seq = tcp.seq.wrapping_add(slot.seq_delta[d]);
    let waits_for = slot.lanes[1 - d].ack;
    let is_bare = tcp.payload == 0 && ![SYN, FIN, RST].iter().any(|flag| tcp.has(*flag));
    let takes_all = slot.seen[1 - d] & mqtt_lb_ebpf::splice_slot::seen::EDGE != 0;
    let is_beyond = seq.wrapping_sub(waits_for) as i32 > 0;
    let behind = i64::from(waits_for.wrapping_sub(seq) as i32);
    let [told, heard] = slot.scales[1 - d].map(|scale| scale % 16);
    let is_rounded = heard > told && (2..1_i64 << heard).contains(&behind);
    if is_bare && (is_rounded || !takes_all && is_beyond) {
        waits_for
    } else {
        seq
    }
}

fn translation(case: &Case<'_>, tcp: &Tcp, zeal: Zeal) -> Vec<u8> {
    let (d, slot, layers) = (case.direction(), &case.slot, &case.layers);
    let mut out = case.arrival.frame.to_vec();
    out[..6].copy_from_slice(&slot.lanes[1 - d].peer_mac);
    out[6..12].copy_from_slice(&slot.lanes[1 - d].own_mac);
    address(case, &mut out);
    let at = layers.inner;
    let [from, to] = LEAVES[d];
    out[at..at + 2].copy_from_slice(&case.flow.ports[from].to_be_bytes());
    out[at + 2..at + 4].copy_from_slice(&case.flow.ports[to].to_be_bytes());
    put(&mut out, at + 4, sequence(case, tcp));
    let theirs = |number: u32| number.wrapping_sub(slot.seq_delta[1 - d]);
    if tcp.has(ACK) {
        put(&mut out, at + 8, theirs(tcp.ack));
    }
    if !tcp.has(SYN) {
        let window = window(case, tcp);
        let field = if zeal.window {
            window.kept
        } else {
            window.plain
        };
        out[at + 14..at + 16].copy_from_slice(&field.to_be_bytes());
    }
    for (kind, value) in &tcp.options {
        match (kind, value.len()) {
            (8, 8) => {
                let (val, ecr) = (value.start, value.start + 4);
                let new = word(&out, val).wrapping_add(slot.ts_delta[d]);
                put(&mut out, val, new);
                if tcp.has(ACK) {
                    let new = word(&out, ecr).wrapping_sub(slot.ts_delta[1 - d]);
                    put(&mut out, ecr, new);
                }
            }
            (5, length) if zeal.sack && (zeal.parts || length % 8 == 0) => {
                let whole = value.start..value.start + length / 8 * 8;
                for edge in whole.step_by(4) {
                    let new = theirs(word(&out, edge));
                    put(&mut out, edge, new);
                }
            }
            _ => {}
        }
    }
    let begun = case.arrival.hook == Hook::Xdp && sums::is_partial(case.arrival.frame, layers);
    let error = if begun {
        0
    } else {
        sums::error(case.arrival.frame, layers)
    };
    set_error(&mut out, layers, at + 16, error);
    out
}

/// Writes the addresses of the other side and takes a hop off, with the header's
/// checksum as right or wrong as it was.
pub fn address(case: &Case<'_>, out: &mut [u8]) {
    let (layers, width) = (&case.layers, case.layers.addresses.len() / 2);
    let error = sums::header_error(out, layers);
    let [from, to] = LEAVES[case.direction()];
    let at = layers.addresses.start;
    out[at..at + width].copy_from_slice(&case.flow.addresses[from][..width]);
    out[at + width..at + 2 * width].copy_from_slice(&case.flow.addresses[to][..width]);
    if layers.family == 6 {
        out[layers.ip + 7] -= 1;
        return;
    }
    out[layers.ip + 8] -= 1;
    let field = layers.ip + 10;
    out[field..field + 2].fill(0);
    let off = error + 0xffff - sums::header_error(out, layers);
    out[field..field + 2].copy_from_slice(&sums::residue(off));
}

/// Writes the last protocol's checksum so that it is wrong by `error`.
pub fn set_error(out: &mut [u8], layers: &Layers, field: usize, error: u64) {
    out[field..field + 2].fill(0);
    let off = error + 0xffff - sums::error(out, layers);
    out[field..field + 2].copy_from_slice(&sums::residue(off));
}
