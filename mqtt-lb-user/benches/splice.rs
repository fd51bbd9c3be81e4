//! What the programs of the splice path need for a packet, by `BPF_PROG_TEST_RUN`.
//!
//! The kernel repeats a program on one packet, which it does not put back as it was.
//! So there are two flows that lead into each other: what one has translated is a
//! packet of the other, which translates it back.

#[allow(dead_code, reason = "the tests need more of it")]
#[path = "../tests/splice_packets/flow.rs"]
mod flow;
#[allow(dead_code, reason = "the tests need more of it")]
#[path = "../tests/splice_packets/layers.rs"]
mod layers;
#[allow(dead_code, reason = "the tests need more of it")]
#[path = "../tests/splice_packets/load.rs"]
mod load;
#[allow(dead_code, reason = "the tests need more of it")]
#[path = "../tests/splice_packets/packet.rs"]
mod packet;
#[allow(dead_code, reason = "the tests need more of it")]
#[path = "../tests/splice_packets/prog_run.rs"]
mod prog_run;
#[allow(dead_code, reason = "the tests need more of it")]
#[path = "../tests/splice_packets/sums.rs"]
mod sums;

use std::os::fd::BorrowedFd;
use std::time::Duration;

use criterion::{Criterion, criterion_group, criterion_main};
use mqtt_lb_ebpf::splice_slot::end;
use mqtt_lb_ebpf::splice_stat::Stat;

use crate::flow::Flow;
use crate::load::Loaded;
use crate::prog_run::Skb;

/// Times that a packet is translated before its hops are used up.
const REPEAT: u32 = 200;

/// The flow that undoes `flow`, in slot 1.
fn back(flow: &Flow) -> Flow {
    let ends = [end::SOURCE, end::BACKEND, end::CLIENT, end::FRONT];
    Flow {
        index: 1,
        family: flow.family,
        addresses: ends.map(|at| flow.addresses[at]),
        ports: ends.map(|at| flow.ports[at]),
    }
}

/// Enters both flows; the first.
fn enter(loaded: &mut Loaded) -> Flow {
    let flow = Flow::new(0, 4);
    let back = back(&flow);
    let mut slot = flow.slot();
    slot.scales = [[7, 7]; 2];
    loaded.set_slot(0, slot);
    let mut undo = back.slot();
    undo.scales = slot.scales;
    undo.seq_delta = slot.seq_delta.map(u32::wrapping_neg);
    undo.ts_delta = slot.ts_delta.map(u32::wrapping_neg);
    undo.lanes = slot.lanes;
    loaded.set_slot(1, undo);
    for (key, place) in flow.keys4().into_iter().chain(back.keys4()) {
        loaded.insert4(key, place);
    }
    flow
}

/// Mean time of [`REPEAT`] runs on a packet.
fn mean(program: BorrowedFd<'_>, frame: &[u8], skb: Option<Skb>) -> Duration {
    let run = prog_run::call(program, frame, skb, 0, REPEAT, &mut Vec::new());
    let nanoseconds = run.expect("BPF_PROG_TEST_RUN").duration;
    Duration::from_nanos(nanoseconds.into())
}

/// Time for `iterations` packets.
fn time(program: BorrowedFd<'_>, frame: &[u8], skb: Option<Skb>, iterations: u64) -> Duration {
    let runs = iterations.div_ceil(u64::from(REPEAT));
    let sum: Duration = (0..runs).map(|_| mean(program, frame, skb)).sum();
    sum.mul_f64(iterations as f64 / runs as f64)
}

fn programs(criterion: &mut Criterion) {
    if let Some(reason) = Loaded::missing() {
        println!("left out: the programs of the splice path: {reason}");
        return;
    }
    let mut loaded = Loaded::load().expect("the programs load");
    let flow = enter(&mut loaded);
    let slot = loaded.slot(0);
    let mut acknowledgement = flow.segment(&slot, 0);
    acknowledgement.hops = 255;
    acknowledgement.options = packet::option::timestamps(1000, 2000);
    let mut data = acknowledgement.clone();
    data.flags |= packet::PSH;
    data.payload = vec![b'x'; 128];
    let mut stranger = data.clone();
    stranger.ports[0] ^= 1;
    let packets = [
        ("data 128 B", data.frame(), true),
        ("ACK", acknowledgement.frame(), true),
        ("no match", stranger.frame(), false),
    ];
    for (hook, skb) in [("tcx", Some(Skb::default())), ("xdp", None)] {
        let mut group = criterion.benchmark_group(format!("BPF {hook}"));
        let program = match hook {
            "tcx" => loaded.classifier("mqtt_lb_tcx"),
            _ => loaded.xdp(),
        };
        for (name, frame, matches) in &packets {
            let forwarded = || loaded.stats()[Stat::Forwarded as usize];
            let before = forwarded();
            mean(program, frame, skb);
            let wanted = if *matches { u64::from(REPEAT) } else { 0 };
            assert_eq!(forwarded() - before, wanted, "{hook}: {name}");
            group.bench_function(*name, |bencher| {
                bencher.iter_custom(|iterations| time(program, frame, skb, iterations));
            });
        }
        group.finish();
    }
}

criterion_group!(benches, programs);
criterion_main!(benches);
