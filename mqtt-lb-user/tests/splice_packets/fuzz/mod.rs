//! Random and harmed packets of live flows through both programs: nothing but what
//! the rules allow may become of any of them.
//!
//! Every packet has a seed of its own. `MQTT_LB_FUZZ_SEED` sets the first one and
//! `MQTT_LB_FUZZ_PACKETS` how many follow; a failure prints what to set to see it again.

mod case;
mod editor;
mod mutate;

use std::collections::BTreeMap;
use std::io;
use std::time::Instant;

use mqtt_lb_ebpf::splice_slot::{Lane, SpliceSlot};
use mqtt_lb_ebpf::splice_stat::Stat;

use crate::bench::{Bench, Hook, Verdict, bench, say};
use crate::compare;
use crate::layers::{Layers, TCP};
use crate::oracle::{Arrival, expect};
use crate::rng::Rng;
use crate::sums;

/// Packets of a run that nobody has asked to be longer.
const PACKETS: u64 = 200_000;

fn number(variable: &str, default: u64) -> u64 {
    std::env::var(variable).map_or(default, |text| {
        text.parse()
            .unwrap_or_else(|_| panic!("{variable} is not a number: {text}"))
    })
}

#[test]
fn no_packet_gets_more_than_its_due() {
    let Some(mut bench) = bench() else {
        return;
    };
    let packets = number("MQTT_LB_FUZZ_PACKETS", PACKETS);
    let first = number("MQTT_LB_FUZZ_SEED", 1);
    let idle = SpliceSlot::default();
    for index in 0..bench.flows.len() {
        bench.set_slot(index as u32, idle);
    }
    let keys = bench.keys();
    let stats = bench.stats();
    let mut counts = BTreeMap::new();
    let begin = Instant::now();
    for seed in first..first + packets {
        match one(&mut bench, seed) {
            Ok(what) => *counts.entry(what).or_insert(0u64) += 1,
            Err(wrong) => {
                panic!("{wrong}\nagain with MQTT_LB_FUZZ_SEED={seed} MQTT_LB_FUZZ_PACKETS=1")
            }
        }
    }
    let seconds = begin.elapsed().as_secs_f64();
    let rate = packets as f64 / seconds;
    say(&format!(
        "fuzz: seeds from {first}: {packets} packets in {seconds:.1} s, {rate:.0} a second"
    ));
    for ((hook, verdict), count) in counts {
        say(&format!("fuzz: {hook:5} {verdict:8} {count}"));
    }
    for (stat, (now, before)) in Stat::ALL
        .into_iter()
        .zip(bench.stats().into_iter().zip(stats))
    {
        say(&format!(
            "fuzz: counted {:20} {}",
            stat.name(),
            now - before
        ));
    }
    assert_eq!(keys, bench.keys(), "the index has changed");
}

/// Runs the packet of a seed; what became of it.
fn one(bench: &mut Bench, seed: u64) -> Result<(&'static str, &'static str), String> {
    let mut rng = Rng::new(seed);
    let mut case = case::case(bench, &mut rng);
    if !rng.one_in(3) {
        mutate::mutate(&mut case.frame, &bench.flows, &mut rng);
    }
    if Layers::of(&case.frame).is_some_and(|layers| layers.end <= layers.ip + layers.header) {
        // No length, and GSO: longer than the field can say. A test run has no such room.
        case.skb.gso_size = 0;
    }
    let index = case.flow as u32;
    bench.set_slot(index, case.slot);
    let arrival = Arrival {
        hook: case.hook,
        frame: &case.frame,
        skb: case.skb,
        now: case.now,
    };
    let expected = expect(arrival, &bench.flows, |at| bench.slot(at as u32));
    let hook = if case.hook == Hook::Tcx { "tcx" } else { "xdp" };
    let (verdict, output) = match bench.try_run(case.hook, &case.frame, case.skb) {
        Ok((verdict, output)) => (verdict, output.to_vec()),
        // The kernel itself makes no skb that has less than an IP header.
        Err(error) if is_refused(&case.frame, &error) => return Ok((hook, "refused")),
        Err(error) => return Err(format!("{error}: {:02x?}", case.frame)),
    };
    let after = bench.slot(index);
    let place = expected.place.filter(|(flow, _)| *flow == case.flow);
    let slots = place.map(|_| (&case.slot, &after));
    compare::check(arrival, &expected, verdict, &output, slots)?;
    if place.is_none() && after != case.slot {
        return Err(format!("the slot of another flow became {after:?}"));
    }
    properties(arrival, verdict, &output, &case.slot, &after)?;
    bench.set_slot(index, SpliceSlot::default());
    let verdict = match verdict {
        Verdict::Pass => "pass",
        Verdict::Drop => "drop",
        Verdict::Back => "back",
        Verdict::Forward => "forward",
    };
    Ok((hook, verdict))
}

/// Whether an skb of this frame cannot be made.
fn is_refused(frame: &[u8], error: &io::Error) -> bool {
    let header = match frame[12..14] {
        [0x08, 0x00] => 20,
        [0x86, 0xdd] => 40,
        _ => 1,
    };
    error.raw_os_error() == Some(libc::EINVAL) && frame.len() < 14 + header
}

/// What holds for every packet, whatever else the rules say.
fn properties(
    arrival: Arrival<'_>,
    verdict: Verdict,
    output: &[u8],
    before: &SpliceSlot,
    after: &SpliceSlot,
) -> Result<(), String> {
    if output.len() != arrival.frame.len() {
        return Err(format!(
            "{} bytes became {}",
            arrival.frame.len(),
            output.len()
        ));
    }
    let Some(layers) = Layers::of(arrival.frame) else {
        return match verdict {
            Verdict::Pass => Ok(()),
            _ => Err("no IP, and did not pass".to_owned()),
        };
    };
    let is_tcp = layers.protocol == TCP && layers.tcp_header(arrival.frame).is_some();
    let trusted = arrival.hook == Hook::Tcx && arrival.skb.gso_size != 0;
    let wrong = !is_tcp
        || sums::error(arrival.frame, &layers) != 0 && !sums::is_partial(arrival.frame, &layers);
    if wrong && !trusted && believed(before) != believed(after) {
        return Err(format!("a wrong packet turned\n{before:?} into\n{after:?}"));
    }
    Ok(())
}

/// What of a slot only a verified packet may change.
fn believed(slot: &SpliceSlot) -> SpliceSlot {
    let lanes = slot.lanes.map(|lane| Lane {
        seq_end: 0,
        ack: 0,
        last_s: 0,
        packets: 0,
        bytes: 0,
        ..lane
    });
    SpliceSlot { lanes, ..*slot }
}
