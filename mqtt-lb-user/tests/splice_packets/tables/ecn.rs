//! SYNs to a listener lose their ECN bits: our own connect does not ask for ECN.

use mqtt_lb_ebpf::splice_slot::{seen, state};
use mqtt_lb_ebpf::splice_stat::Stat;

use crate::bench::LISTENER;
use crate::layers::Layers;
use crate::packet::option::{mss, timestamps};
use crate::packet::{ACK, AE, CWR, ECE, SYN, Sum};
use crate::row::{Hit, Row, Shot, fire};
use crate::sums;

/// A SYN of a flow that nobody knows.
fn stranger(s: &mut Shot) {
    s.segment.flags = SYN | ECE | CWR;
    s.segment.ports = [55_555, LISTENER];
    s.segment.options = [mss(1460), timestamps(1, 0)].concat();
}

fn has_lost_them(hit: &Hit) {
    assert_eq!(hit.left().flags, SYN);
    let [before, after] =
        [&hit.input, &hit.output].map(|frame| sums::error(frame, &Layers::of(frame).expect("IP")));
    assert_eq!(before, after);
    let differ = hit
        .input
        .iter()
        .zip(&hit.output)
        .filter(|(a, b)| a != b)
        .count();
    assert!(differ <= 3, "{differ} bytes changed");
}

#[test]
fn a_syn_to_a_listener_asks_for_ecn_no_longer() {
    const STRIPPED: &[Stat] = &[Stat::EcnStripped];
    let rows = [
        Row::passes("of a stranger", STRIPPED, &stranger),
        Row::passes("with data", STRIPPED, &|s| {
            stranger(s);
            s.segment.payload = vec![1; 33];
        }),
        Row::passes("with a wrong checksum", STRIPPED, &|s| {
            stranger(s);
            s.segment.sum = Sum::Wrong;
        }),
        Row::passes("in front of a filled frame", STRIPPED, &|s| {
            stranger(s);
            s.segment.options.clear();
            s.segment.trailer = 6;
        }),
    ];
    fire(&rows.map(|row| row.then(&has_lost_them)));
}

#[test]
fn accurate_ecn_is_not_asked_for_either() {
    let set = |s: &mut Shot| {
        stranger(s);
        let mut frame = s.segment.frame();
        let layers = Layers::of(&frame).expect("IP");
        let at = layers.inner;
        frame[at + 12] |= AE;
        let sum = u64::from(u16::from_be_bytes([frame[at + 16], frame[at + 17]]));
        let less = sum + 0xffff - (u64::from(AE) << 8);
        frame[at + 16..at + 18].copy_from_slice(&sums::residue(less));
        assert_eq!(sums::error(&frame, &layers), 0);
        s.frame = Some(frame);
    };
    fire(&[
        Row::passes("AccECN", &[Stat::EcnStripped], &set).then(&|hit| {
            let layers = Layers::of(&hit.output).expect("IP");
            assert_eq!(hit.output[layers.inner + 12] & AE, 0);
            assert_eq!(hit.left().flags, SYN);
            assert_eq!(sums::error(&hit.output, &layers), 0);
        }),
    ]);
}

#[test]
fn a_syn_that_the_stack_gets_from_a_known_peer_loses_them_too() {
    const AGAIN: &[Stat] = &[Stat::Learned, Stat::EcnStripped];
    const REBORN: &[Stat] = &[Stat::Reborn, Stat::EcnStripped];
    let Some(mut bench) = crate::bench::bench() else {
        return;
    };
    for hook in [crate::bench::Hook::Tcx, crate::bench::Hook::Xdp] {
        for family in [4, 6] {
            for (stats, is_over) in [(AGAIN, false), (REBORN, true)] {
                let mut shot = Shot::new(&bench, hook, family, 0);
                shot.segment.flags = SYN | ECE | CWR;
                if is_over {
                    shot.slot.seen = [seen::RST, 0];
                } else {
                    shot.slot.state = state::LEARN;
                }
                let before = bench.stats();
                let hit = shot.check(&mut bench);
                has_lost_them(&hit);
                let after = bench.stats();
                for stat in stats {
                    assert_eq!(
                        after[*stat as usize],
                        before[*stat as usize] + 1,
                        "{stat:?}"
                    );
                }
            }
        }
    }
}

#[test]
fn others_keep_them() {
    fire(&[
        Row::passes("to another port", &[], &|s| {
            stranger(s);
            s.segment.ports[1] = LISTENER + 1;
        }),
        Row::passes("to the port read in the wrong order", &[], &|s| {
            stranger(s);
            s.segment.ports[1] = LISTENER.swap_bytes();
        }),
        Row::passes("SYN-ACK", &[], &|s| {
            stranger(s);
            s.segment.flags |= ACK;
        }),
        Row::passes("without ECN", &[], &|s| {
            stranger(s);
            s.segment.flags = SYN;
        }),
        Row::passes("no SYN", &[], &|s| {
            stranger(s);
            s.segment.flags = ACK | ECE | CWR;
        }),
        Row::passes("tagged", &[], &|s| {
            stranger(s);
            s.segment.vlan = Some(3);
        }),
        Row::forwards("a packet of a flow", &|s| s.segment.flags = ACK | ECE | CWR)
            .then(&|hit| assert_eq!(hit.left().flags, ACK | ECE | CWR)),
    ]);
}
