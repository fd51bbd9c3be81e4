//! What a program did against what it may do.

use mqtt_lb_ebpf::splice_slot::{Lane, SpliceSlot};

use crate::bench::{Hook, Verdict};
use crate::layers::{ICMP, ICMP6, Layers, TCP};
use crate::oracle::{Arrival, Expected, Open};
use crate::sums;

/// Says what is wrong with a packet's outcome.
pub fn check(
    arrival: Arrival<'_>,
    expected: &Expected,
    verdict: Verdict,
    output: &[u8],
    slots: Option<(&SpliceSlot, &SpliceSlot)>,
) -> Result<(), String> {
    outcome(arrival, expected, verdict, output)?;
    if matches!(verdict, Verdict::Forward | Verdict::Back) {
        checksums(arrival, output)?;
    }
    let Some((before, after)) = slots else {
        return Ok(());
    };
    let (_, d) = expected.place.expect("a slot has a place");
    let fits = |slot: &SpliceSlot| {
        opened(slot, d, expected.open, arrival) == opened(after, d, expected.open, arrival)
    };
    if expected.slots.iter().any(fits) {
        return Ok(());
    }
    Err(format!(
        "{:?}: the slot became\n{after:?}\ninstead of (but for {:?})\n{:?}\nfrom\n{before:?}\nby\n{:02x?}",
        arrival.hook, expected.open, expected.slots, arrival.frame
    ))
}

fn outcome(
    arrival: Arrival<'_>,
    expected: &Expected,
    verdict: Verdict,
    output: &[u8],
) -> Result<(), String> {
    let output = blurred(output, expected);
    let fits = |(wanted, frame): &(Verdict, Vec<u8>)| {
        // What a dropped packet looks like is nobody's business.
        *wanted == verdict && (verdict == Verdict::Drop || blurred(frame, expected) == output)
    };
    if expected.outcomes.iter().any(fits) {
        return Ok(());
    }
    let mut text = format!("{verdict:?}\n{output:02x?}\ninstead of");
    for (verdict, frame) in &expected.outcomes {
        text += &format!("\n{verdict:?}\n{:02x?}", blurred(frame, expected));
        if frame.len() == output.len() {
            let differs: Vec<_> = (0..frame.len())
                .filter(|at| frame[*at] != output[*at])
                .collect();
            text += &format!("\nat {differs:?}");
        }
    }
    Err(text + &format!("\nfrom\n{:02x?}", arrival.frame))
}

/// A packet without what is not compared, and with one zero in its checksums.
fn blurred(frame: &[u8], expected: &Expected) -> Vec<u8> {
    let mut frame = frame.to_vec();
    if let Some(layers) = Layers::of(&frame) {
        if layers.family == 4 {
            sums::same_zero(&mut frame[layers.ip + 10..layers.ip + 12]);
        }
        let field = field(&layers);
        if let Some(field) = frame.get_mut(field..field + 2) {
            sums::same_zero(field);
        }
    }
    for range in &expected.blur {
        if let Some(bytes) = frame.get_mut(range.clone()) {
            bytes.fill(0);
        }
    }
    frame
}

/// Offset of the last protocol's checksum.
fn field(layers: &Layers) -> usize {
    match layers.protocol {
        TCP => layers.inner + 16,
        ICMP | ICMP6 => layers.inner + 2,
        _ => usize::MAX / 2,
    }
}

/// Right checksums stay right and wrong ones wrong, by a full sum.
fn checksums(arrival: Arrival<'_>, output: &[u8]) -> Result<(), String> {
    let input = arrival.frame;
    if output.len() != input.len() {
        return Err(format!("{} bytes became {}", input.len(), output.len()));
    }
    let (Some(before), Some(after)) = (Layers::of(input), Layers::of(output)) else {
        return Err("what was forwarded is no IP packet".to_owned());
    };
    let header = [
        sums::header_error(input, &before),
        sums::header_error(output, &after),
    ];
    if header[0] != header[1] {
        return Err(format!("IP header checksum off by {header:?}"));
    }
    let begun = before.protocol == TCP && sums::is_partial(input, &before);
    let inner = match (arrival.hook, begun) {
        (Hook::Xdp, true) => 0,
        _ => sums::error(input, &before),
    };
    let now = sums::error(output, &after);
    if inner != now {
        return Err(format!(
            "checksum off by {now} instead of {inner}:\n{input:02x?}\n{output:02x?}"
        ));
    }
    Ok(())
}

/// A slot without what is not compared.
fn opened(slot: &SpliceSlot, d: usize, open: Open, arrival: Arrival<'_>) -> SpliceSlot {
    let mut slot = *slot;
    slot.seen[d] &= !open.seen;
    let lane = &mut slot.lanes[d];
    // The program runs soon after the clock was read, but by one that ticks coarsely.
    let late = lane.last_s.wrapping_sub(arrival.now.s) as i32;
    if late.abs() <= 1 {
        lane.last_s = arrival.now.s;
    }
    if open.hints {
        *lane = Lane {
            seq_end: 0,
            ack: 0,
            last_s: 0,
            packets: 0,
            bytes: 0,
            ..*lane
        };
    }
    if open.fin_end {
        lane.fin_end = 0;
    }
    if open.edge {
        lane.edge = 0;
    }
    slot
}
