//! Harms packets.

use crate::flow::Flow;
use crate::layers::{ICMP, ICMP6, Layers, TCP};
use crate::rng::Rng;
use crate::sums;

/// Harms a frame; sometimes makes its checksums right afterwards, so that a program
/// gets as far as to believe it.
pub fn mutate(frame: &mut Vec<u8>, flows: &[Flow], rng: &mut Rng) {
    for _ in 0..1 + rng.below(3) {
        once(frame, flows, rng);
    }
    if rng.one_in(2) {
        repair(frame);
    }
}

fn once(frame: &mut Vec<u8>, flows: &[Flow], rng: &mut Rng) {
    let Some(layers) = Layers::of(frame).filter(|layers| layers.inner + 20 <= frame.len()) else {
        let at = rng.below(frame.len());
        frame[at] = rng.byte();
        return;
    };
    let at = layers.inner;
    match rng.below(12) {
        0 => flip(frame, 0, rng),
        1..4 => {
            // In the headers.
            let most = frame.len().min(at + 40);
            let byte = rng.below(most);
            frame[byte] ^= 1 << rng.below(8);
        }
        4 => {
            let length = 14 + rng.below(frame.len() - 13);
            frame.truncate(length);
        }
        5 => {
            // Options: anything.
            let end = frame.len().min(at + 20 + rng.below(41));
            frame[at + 20..end].iter_mut().for_each(|byte| {
                if rng.one_in(3) {
                    *byte = rng.pick(&[0, 1, 2, 3, 4, 5, 8, 10, 18, 26, 34, 255]);
                }
            });
        }
        6 => frame[at + 12] = rng.byte(),
        7 => frame[at + 13] = rng.byte(),
        8 if layers.family == 4 => {
            let byte = rng.pick(&[0, 2, 3, 6, 7, 8, 9]);
            frame[layers.ip + byte] = rng.byte();
        }
        8 => {
            let byte = rng.pick(&[0, 4, 5, 6, 7]);
            frame[layers.ip + byte] = rng.byte();
        }
        9 => {
            // Another flow's addresses.
            let other = &flows[rng.below(flows.len())];
            let width = layers.addresses.len() / 2;
            let [from, to] = [rng.below(4), rng.below(4)];
            let start = layers.addresses.start;
            frame[start..start + width].copy_from_slice(&other.addresses[from][..width]);
            frame[start + width..start + 2 * width].copy_from_slice(&other.addresses[to][..width]);
        }
        10 => frame.extend((0..rng.below(40)).map(|_| rng.byte())),
        _ => {
            // Lengths that IP states.
            let field = layers.ip + if layers.family == 4 { 2 } else { 4 };
            let length = u16::from_be_bytes([frame[field], frame[field + 1]]);
            let by = rng.below(41) as i16 - 20;
            frame[field..field + 2].copy_from_slice(&length.wrapping_add_signed(by).to_be_bytes());
        }
    }
}

fn flip(frame: &mut [u8], from: usize, rng: &mut Rng) {
    let byte = from + rng.below(frame.len() - from);
    frame[byte] ^= 1 << rng.below(8);
}

fn repair(frame: &mut [u8]) {
    let Some(layers) = Layers::of(frame).filter(|layers| layers.end <= frame.len()) else {
        return;
    };
    let field = match layers.protocol {
        TCP => 16,
        ICMP | ICMP6 => 2,
        _ => return,
    };
    if layers.inner + field + 2 > layers.end {
        return;
    }
    if layers.family == 4 {
        fix(frame, layers.ip + 10, |frame| {
            sums::header_error(frame, &layers)
        });
    }
    fix(frame, layers.inner + field, |frame| {
        sums::error(frame, &layers)
    });
}

fn fix(frame: &mut [u8], field: usize, error: impl Fn(&[u8]) -> u64) {
    frame[field..field + 2].fill(0);
    let off = 0xffff - error(frame);
    frame[field..field + 2].copy_from_slice(&sums::residue(off));
}
