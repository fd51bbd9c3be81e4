//! What IP may do to a packet: fragments, options, extension headers, hops.

use mqtt_lb_ebpf::splice_slot::state;
use mqtt_lb_ebpf::splice_stat::Stat;

use crate::row::{Row, Shot, fire};

/// "More fragments", offset 0.
const FIRST: u16 = 0x2000;

/// An IPv6 fragment header.
fn fragment_header(offset_and_more: u16) -> (u8, Vec<u8>) {
    let [a, b] = offset_and_more.to_be_bytes();
    (44, vec![0, 0, a, b, 1, 2, 3, 4])
}

fn hop_by_hop() -> (u8, Vec<u8>) {
    (0, vec![0, 0, 1, 4, 0, 0, 0, 0])
}

fn destination_options() -> (u8, Vec<u8>) {
    (60, vec![0, 1, 1, 12, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0])
}

fn first_fragment(s: &mut Shot) {
    s.segment.payload = vec![1; 64];
    match s.flow.family {
        4 => s.segment.fragment = FIRST,
        _ => s.segment.extensions = vec![fragment_header(1)],
    }
}

fn later_fragment(s: &mut Shot) {
    s.segment.payload = vec![1; 64];
    match s.flow.family {
        4 => s.segment.fragment = 9,
        _ => s.segment.extensions = vec![fragment_header(9 << 3)],
    }
}

fn options(s: &mut Shot) {
    s.segment.payload = vec![1; 64];
    match s.flow.family {
        4 => s.segment.ip_options = vec![148, 4, 0, 0],
        _ => s.segment.extensions = vec![destination_options()],
    }
}

#[test]
fn fragments_and_options_of_a_flow_never_reach_the_stack() {
    const FRAGMENT: &[Stat] = &[Stat::Fragment];
    const OPTIONS: &[Stat] = &[Stat::IpOptions];
    fire(&[
        Row::drops("the first fragment", FRAGMENT, &first_fragment),
        Row::drops("options", OPTIONS, &options),
        Row::drops("the longest options", OPTIONS, &|s| {
            s.segment.ip_options = vec![1; 40]
        })
        .family(4),
        Row::drops("hop-by-hop options", OPTIONS, &|s| {
            s.segment.extensions = vec![hop_by_hop()]
        })
        .family(6),
        Row::drops("routing header", OPTIONS, &|s| {
            s.segment.extensions = vec![(43, vec![0; 8])];
        })
        .family(6),
        Row::drops("authentication header", OPTIONS, &|s| {
            s.segment.extensions = vec![(51, [[0, 4].to_vec(), vec![7; 22]].concat())];
        })
        .family(6),
        Row::drops("two headers", OPTIONS, &|s| {
            s.segment.extensions = vec![hop_by_hop(), destination_options()];
        })
        .family(6),
        Row::drops("an atomic fragment", FRAGMENT, &|s| {
            s.segment.extensions = vec![fragment_header(0)];
        })
        .family(6),
        Row::drops("don't fragment is no fragment", &[Stat::Expired], &|s| {
            s.segment.fragment = 0x4000;
            s.segment.hops = 1;
        }),
    ]);
}

#[test]
fn later_fragments_are_never_forwarded() {
    let Some(mut bench) = crate::bench::bench() else {
        return;
    };
    for family in [4, 6] {
        let flow = bench.flow(family);
        for d in [0, 1] {
            for hook in [crate::bench::Hook::Tcx, crate::bench::Hook::Xdp] {
                let mut shot = Shot::new(&bench, hook, family, d);
                later_fragment(&mut shot);
                bench.set_slot(flow.index, shot.slot);
                let frame = shot.segment.frame();
                let (verdict, output) = bench.run(hook, &frame, shot.skb);
                assert!(
                    verdict <= crate::bench::Verdict::Drop,
                    "{hook:?} {family} {d}"
                );
                assert_eq!(output, frame);
            }
        }
    }
}

#[test]
fn the_gate_holds_fragments_and_options_as_well() {
    let shut = |s: &mut Shot| {
        s.slot.state = state::HOLD;
        s.slot.hold_until_ms = s.now.ms.wrapping_add(60_000);
    };
    let set: [&dyn Fn(&mut Shot); 2] = [
        &|s| {
            shut(s);
            first_fragment(s);
        },
        &|s| {
            shut(s);
            options(s);
        },
    ];
    fire(&[
        Row::drops("a fragment", &[Stat::Fragment], set[0]),
        Row::drops("options", &[Stat::IpOptions], set[1]),
    ]);
}

#[test]
fn fragments_and_options_pass_before_the_hand_over() {
    fire(&[
        Row::passes("the first fragment", &[], &|s| {
            s.slot.state = state::LEARN;
            first_fragment(s);
        }),
        Row::passes("options", &[], &|s| {
            s.slot.state = state::LEARN;
            options(s);
        }),
    ]);
}

#[test]
fn the_last_hop_is_here() {
    const EXPIRED: &[Stat] = &[Stat::Expired];
    fire(&[
        Row::drops("one hop left", EXPIRED, &|s| s.segment.hops = 1),
        Row::drops("none left", EXPIRED, &|s| s.segment.hops = 0),
        Row::forwards("two left", &|s| s.segment.hops = 2),
        Row::forwards("all of them", &|s| s.segment.hops = 255),
    ]);
}
