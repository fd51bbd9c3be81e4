//! Checksums that a device computes, and packets larger than any link.

use mqtt_lb_ebpf::splice_slot::seen;
use mqtt_lb_ebpf::splice_stat::Stat;

use crate::bench::{Hook, LISTENER, bench};
use crate::layers::Layers;
use crate::packet::option::{NOP, bare_timestamps, sack, timestamps};
use crate::packet::{ACK, CWR, ECE, FIN, RST, SYN, Sum};
use crate::row::{Row, Shot, fire};
use crate::sums;

#[test]
fn a_checksum_that_was_only_begun_is_completed_by_xdp() {
    const COMPLETED: &[Stat] = &[Stat::Forwarded, Stat::ChecksumCompleted];
    let partial = |length: usize| {
        move |s: &mut Shot| {
            s.segment.sum = Sum::Partial;
            s.segment.options = timestamps(3, 4);
            s.segment.payload = (0..length).map(|i| (i * 7) as u8).collect();
        }
    };
    let sets = [0, 1, 2, 3, 63, 64, 65, 1447, 1448, 3000].map(partial);
    let rows = sets.each_ref().map(|set| {
        Row::forwards("a frame of a local sender", set)
            .hook(Hook::Xdp)
            .counts(COMPLETED)
            .then(&|hit| {
                let layers = Layers::of(&hit.output).expect("IP");
                assert_eq!(sums::error(&hit.output, &layers), 0);
            })
    });
    fire(&rows);
    fire(&[Row::forwards("with bytes behind it", &|s| {
        partial(5)(s);
        s.segment.trailer = 3;
    })
    .hook(Hook::Xdp)
    .counts(COMPLETED)]);
}

#[test]
fn a_checksum_that_was_only_begun_is_believed() {
    let set = |flags: u8| {
        move |s: &mut Shot| {
            s.segment.sum = Sum::Partial;
            s.segment.flags = flags;
            s.segment.macs = [[2; 6], [4; 6]];
        }
    };
    fire(&[
        Row::forwards("FIN", &set(FIN | ACK))
            .hook(Hook::Tcx)
            .then(&|hit| assert_ne!(hit.after.seen[hit.shot.d] & seen::FIN, 0)),
        Row::forwards("RST", &set(RST))
            .hook(Hook::Tcx)
            .then(&|hit| assert_ne!(hit.after.seen[hit.shot.d] & seen::RST, 0)),
    ]);
}

#[test]
fn a_packet_larger_than_the_link_is_believed_and_forwarded_whole() {
    let large = |s: &mut Shot| {
        s.segment.payload = vec![0x5a; 3000];
        s.segment.options = timestamps(1, 2);
        s.segment.sum = Sum::Wrong;
        s.segment.flags = FIN | ACK;
        s.skb.gso_size = 1448;
    };
    fire(&[
        Row::forwards("GSO", &large).hook(Hook::Tcx).then(&|hit| {
            assert_ne!(hit.after.seen[hit.shot.d] & seen::FIN, 0);
            let [before, after] = [&hit.shot.slot, &hit.after].map(|slot| slot.lanes[hit.shot.d]);
            assert_eq!(after.packets, before.packets + 1);
            assert_eq!(after.bytes, before.bytes + 3000);
            assert_eq!(hit.input.len(), hit.output.len());
        }),
        Row::forwards(
            "as large, and not GSO: nobody has looked at its checksum",
            &|s| {
                large(s);
                s.segment.sum = Sum::Right;
                s.skb.gso_size = 0;
            },
        )
        .hook(Hook::Tcx)
        .then(&|hit| assert_eq!(hit.after.seen[hit.shot.d] & seen::FIN, 0)),
    ]);
}

#[test]
fn the_sum_of_a_device_stays_the_sum_of_the_packet() {
    let Some(mut bench) = bench() else {
        return;
    };
    let options = [
        vec![],
        timestamps(8, 9),
        [vec![NOP], bare_timestamps(8, 9), sack(&[1, 0x0203_0405])].concat(),
    ];
    for family in [4, 6] {
        for d in [0, 1] {
            for options in &options {
                let mut shot = Shot::new(&bench, Hook::Tcx, family, d);
                shot.segment.options.clone_from(options);
                shot.segment.payload = vec![0xd7; 31];
                bench.set_slot(shot.flow.index, shot.slot);
                let frame = shot.segment.frame();
                let code = bench.run_summed(&frame);
                assert_eq!(
                    code.expect("CHECKSUM_COMPLETE"),
                    7,
                    "IPv{family}, {options:?}"
                );
            }
        }
    }
}

#[test]
fn the_sum_of_a_device_stays_that_of_an_icmp_error_and_of_a_syn() {
    let Some(mut bench) = bench() else {
        return;
    };
    for family in [4, 6] {
        let shot = Shot::new(&bench, Hook::Tcx, family, 1);
        bench.set_slot(shot.flow.index, shot.slot);
        let sent = shot.flow.sent_to(&shot.slot, 1);
        let too_big = if family == 4 { (3, 4) } else { (2, 0) };
        let error = sent.icmp_error(sent.addresses[1], too_big.0, too_big.1, 75);
        let code = bench.run_summed(&error);
        assert_eq!(code.expect("CHECKSUM_COMPLETE"), 7, "ICMP, IPv{family}");

        let mut syn = shot.segment.clone();
        syn.ports = [55_555, LISTENER];
        syn.flags = SYN | ECE | CWR;
        let code = bench.run_summed(&syn.frame());
        assert_eq!(code.expect("CHECKSUM_COMPLETE"), -1, "SYN, IPv{family}");
    }
}
