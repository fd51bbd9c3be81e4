//! Packets without anything special: numbers, addresses, MACs, counters.

use mqtt_lb_ebpf::splice_slot::state;
use mqtt_lb_ebpf::splice_stat::Stat;

use crate::bench::{Hook, Verdict};
use crate::flow::LEAVES;
use crate::layers::Layers;
use crate::packet::{ACK, PSH, Sum, URG};
use crate::row::{Hit, Row, Shot, fire};

/// The packet that left is the one that came, renumbered and readdressed.
fn is_translated(hit: &Hit) {
    let (d, slot) = (hit.shot.d, &hit.shot.slot);
    let (came, left) = (hit.came(), hit.left());
    assert_eq!(left.seq, came.seq.wrapping_add(slot.seq_delta[d]));
    assert_eq!(left.ack, came.ack.wrapping_sub(slot.seq_delta[1 - d]));
    assert_eq!(left.flags, came.flags);
    assert_eq!(hit.output[..6], slot.lanes[1 - d].peer_mac);
    assert_eq!(hit.output[6..12], slot.lanes[1 - d].own_mac);
    let layers = Layers::of(&hit.output).expect("IP");
    let [from, to] = LEAVES[d];
    let ports = [from, to].map(|at| hit.shot.flow.ports[at].to_be_bytes());
    assert_eq!(layers.ports(&hit.output).expect("ports"), *ports.concat());
    let hops = if layers.family == 4 { 22 } else { 21 };
    assert_eq!(hit.output[hops], hit.input[hops] - 1);
}

#[test]
fn packets_of_a_flow_are_translated() {
    fire(&[
        Row::forwards("bare ACK", &|_| {}).then(&is_translated),
        Row::forwards("data", &|s| {
            s.segment.flags |= PSH;
            s.segment.payload = b"\x30\x05\0\x01ab!".to_vec();
        })
        .then(&|hit| {
            is_translated(hit);
            let lane = &hit.after.lanes[hit.shot.d];
            let before = &hit.shot.slot.lanes[hit.shot.d];
            assert_eq!(lane.packets, before.packets + 1);
            assert_eq!(lane.bytes, before.bytes + 7);
            assert_eq!(lane.seq_end, before.seq_end.wrapping_add(7));
        }),
        Row::forwards("a full segment", &|s| s.segment.payload = vec![0xfe; 1448])
            .then(&is_translated),
        Row::forwards("an old retransmission", &|s| {
            s.segment.seq = s.segment.seq.wrapping_sub(1_000_000);
            s.segment.ack = s.segment.ack.wrapping_sub(1_000_000);
            s.segment.payload = vec![7; 100];
        })
        .then(&|hit| {
            let [before, after] = [&hit.shot.slot, &hit.after].map(|slot| slot.lanes[hit.shot.d]);
            assert_eq!((before.seq_end, before.ack), (after.seq_end, after.ack));
        }),
        Row::forwards("urgent data", &|s| {
            s.segment.flags |= URG;
            s.segment.payload = vec![1; 33];
        })
        .then(&is_translated),
        Row::forwards("a keepalive probe", &|s| {
            s.segment.seq = s.segment.seq.wrapping_sub(1)
        }),
        Row::forwards("bytes behind the packet", &|s| s.segment.trailer = 6).then(&is_translated),
        Row::forwards("last hop but one", &|s| s.segment.hops = 2),
        Row::forwards("an odd payload", &|s| s.segment.payload = vec![0xff; 1]),
    ]);
}

#[test]
fn the_interface_of_the_other_side_is_used() {
    fire(&[
        Row::forwards("the same", &|s| s.slot.lanes[1 - s.d].ifindex = 1),
        Row::forwards("another", &|s| s.slot.lanes[1 - s.d].ifindex = 7),
        Row::drops("none", &[Stat::NoRoute], &|s| {
            s.slot.lanes[1 - s.d].ifindex = 0
        }),
    ]);
}

#[test]
fn the_sender_s_next_hop_is_kept_up_to_date() {
    let moved = |sum| {
        move |s: &mut Shot| {
            s.segment.macs = [[2, 9, 9, 9, 9, 8], [2, 9, 9, 9, 9, 9]];
            s.slot.lanes[s.d].ifindex = 9;
            s.segment.sum = sum;
        }
    };
    fire(&[
        Row::forwards("from another MAC and interface", &moved(Sum::Right)).then(&|hit| {
            let lane = &hit.after.lanes[hit.shot.d];
            assert_eq!(lane.peer_mac, [2, 9, 9, 9, 9, 9]);
            assert_eq!(lane.own_mac, [2, 9, 9, 9, 9, 8]);
            assert_eq!(lane.ifindex, 1);
        }),
        Row::forwards("the same, with a wrong checksum", &moved(Sum::Wrong)).then(&|hit| {
            let [before, after] = [&hit.shot.slot, &hit.after].map(|slot| slot.lanes[hit.shot.d]);
            assert_eq!(
                (before.peer_mac, before.own_mac),
                (after.peer_mac, after.own_mac)
            );
            assert_eq!(after.ifindex, 9);
        }),
    ]);
}

#[test]
fn a_leap_in_a_stream_is_believed_only_if_verified() {
    let leap = |sum| {
        move |s: &mut Shot| {
            s.segment.seq = s.segment.seq.wrapping_add(5000);
            s.segment.payload = vec![1; 10];
            s.segment.sum = sum;
        }
    };
    let kept = |hit: &Hit| {
        let [before, after] = [&hit.shot.slot, &hit.after].map(|slot| slot.lanes[hit.shot.d]);
        assert_eq!(before.seq_end, after.seq_end);
    };
    let moved = |hit: &Hit| {
        let lane = hit.after.lanes[hit.shot.d];
        assert_eq!(lane.seq_end, hit.came().end());
    };
    fire(&[
        Row::forwards("a right packet", &leap(Sum::Right)).then(&moved),
        Row::forwards("a wrong packet", &leap(Sum::Wrong)).then(&kept),
        Row::forwards("a wrong packet that follows", &|s| {
            leap(Sum::Wrong)(s);
            s.segment.seq = s.slot.lanes[s.d].seq_end;
        })
        .then(&moved),
        Row::forwards("an acknowledgement of all", &|_| {})
            .then(&|hit| assert_eq!(hit.after.lanes[hit.shot.d].ack, hit.shot.segment.ack)),
        Row::forwards("an acknowledgement of what was not sent", &|s| {
            s.segment.ack = s.segment.ack.wrapping_add(1);
        })
        .then(&|hit| {
            let [before, after] = [&hit.shot.slot, &hit.after].map(|slot| slot.lanes[hit.shot.d]);
            assert_eq!(before.ack, after.ack);
        }),
    ]);
}

#[test]
fn what_belongs_to_no_flow_passes_untouched() {
    let rows = [
        Row::passes("another source port", &[], &|s| s.segment.ports[0] ^= 1),
        Row::passes("another destination port", &[], &|s| {
            s.segment.ports[1] ^= 0x100
        }),
        Row::passes("another source", &[], &|s| s.segment.addresses[0][3] ^= 1),
        Row::passes("another destination", &[], &|s| {
            s.segment.addresses[1][3] ^= 1
        }),
        Row::passes("a free slot", &[], &|s| s.slot.state = state::FREE),
        Row::passes("a tagged frame", &[], &|s| s.segment.vlan = Some(7)),
        Row::passes("UDP", &[], &|s| {
            let mut frame = s.segment.frame();
            frame[if s.flow.family == 4 { 23 } else { 20 }] = 17;
            s.frame = Some(frame);
        }),
        Row::passes("ARP", &[], &|s| {
            let mut frame = s.segment.frame();
            frame[12..14].copy_from_slice(&[8, 6]);
            s.frame = Some(frame);
        }),
        Row::passes("what we sent, coming back", &[], &|s| {
            s.segment = s.flow.sent_to(&s.slot, s.d)
        }),
    ];
    fire(&rows);
}

#[test]
fn packets_that_are_not_for_forwarding_keep_their_error() {
    fire(&[Row::forwards("a wrong checksum", &|s| {
        s.segment.sum = Sum::Wrong;
        s.segment.flags = ACK | PSH;
        s.segment.payload = vec![3; 41];
    })]);
    let Some(mut bench) = crate::bench::bench() else {
        return;
    };
    // A wrong IP header checksum stays wrong, too.
    let flow = bench.flow(4);
    bench.set_slot(flow.index, flow.slot());
    let mut frame = flow.segment(&flow.slot(), 0).frame();
    frame[24] ^= 1;
    for hook in [Hook::Tcx, Hook::Xdp] {
        let (verdict, output) = bench.run(hook, &frame, Default::default());
        assert_ne!(verdict, Verdict::Pass);
        if verdict != Verdict::Drop {
            let layers = Layers::of(output).expect("IP");
            assert_ne!(crate::sums::header_error(output, &layers), 0);
        }
    }
}
