//! Random and harmed SYNs through the SYN editor.

use mqtt_lb_ebpf::splice_slot::{MARK, MARK_NO_SACK, MARK_NO_TIMESTAMPS};

use crate::bench::{Bench, bench};
use crate::fuzz::{case, mutate};
use crate::layers::Layers;
use crate::packet::option::NOP;
use crate::rng::Rng;
use crate::sums;

/// Packets of a run.
const PACKETS: u64 = 50_000;

#[test]
fn the_syn_editor_writes_nothing_but_nops_and_the_checksum() {
    let Some(mut bench) = bench() else {
        return;
    };
    let mut edited = 0;
    for seed in 0..PACKETS {
        match one(&mut bench, seed) {
            Ok(changed) => edited += u64::from(changed),
            Err(wrong) => panic!("{wrong}\nwith seed {seed}"),
        }
    }
    assert!(edited > PACKETS / 50, "only {edited} packets were edited");
}

/// Runs the packet of a seed; whether it was edited.
fn one(bench: &mut Bench, seed: u64) -> Result<bool, String> {
    let mut rng = Rng::new(seed);
    let mut frame = case::case(bench, &mut rng).frame;
    if rng.one_in(2) {
        mutate::mutate(&mut frame, &bench.flows, &mut rng);
    }
    let mark = MARK | rng.word() & (MARK_NO_TIMESTAMPS | MARK_NO_SACK);
    let Ok((code, output)) = bench.try_run_editor(&frame, mark) else {
        return Ok(false);
    };
    if code != -1 || output.len() != frame.len() {
        return Err(format!("{code}: {frame:02x?}\nbecame\n{output:02x?}"));
    }
    if output == frame {
        return Ok(false);
    }
    let wrong = || format!("{frame:02x?}\nbecame\n{output:02x?}");
    let layers = Layers::of(&frame).ok_or_else(wrong)?;
    let options = layers.inner + 20..layers.inner + 60;
    let field = layers.inner + 16..layers.inner + 18;
    let is_edit = |at: usize| field.contains(&at) || options.contains(&at) && output[at] == NOP;
    let is_summed = layers.tcp_header(&frame).is_some();
    let changed = (0..frame.len()).filter(|at| frame[*at] != output[*at]);
    let has_kept_the_sum =
        !is_summed || sums::error(&frame, &layers) == sums::error(output, &layers);
    match changed.into_iter().all(is_edit) && has_kept_the_sum {
        true => Ok(true),
        false => Err(wrong()),
    }
}
