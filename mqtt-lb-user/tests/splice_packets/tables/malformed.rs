//! Packets whose lengths do not fit together.

use mqtt_lb_ebpf::splice_stat::Stat;

use crate::bench::{Hook, Verdict, bench};
use crate::packet::option::timestamps;
use crate::row::{Row, Shot, fire};

const MALFORMED: &[Stat] = &[Stat::Malformed];

/// Offset of the TCP header of a packet without options.
fn tcp(s: &Shot) -> usize {
    if s.flow.family == 4 { 34 } else { 54 }
}

/// Adds to the length that IP states.
fn lengthen(s: &Shot, frame: &mut [u8], by: i16) {
    let at = if s.flow.family == 4 { 16 } else { 18 };
    let length = u16::from_be_bytes([frame[at], frame[at + 1]]);
    frame[at..at + 2].copy_from_slice(&length.wrapping_add_signed(by).to_be_bytes());
}

#[test]
fn what_does_not_fit_together_is_dropped() {
    let header = |words: u8| {
        move |s: &mut Shot| {
            s.segment.options = timestamps(1, 2);
            let mut frame = s.segment.frame();
            let at = tcp(s) + 12;
            frame[at] = words << 4;
            s.frame = Some(frame);
        }
    };
    fire(&[
        Row::drops("a TCP header of 0 bytes", MALFORMED, &header(0)),
        Row::drops("a TCP header of 16 bytes", MALFORMED, &header(4)),
        Row::drops("a TCP header longer than the packet", MALFORMED, &header(9)),
        Row::drops(
            "the longest TCP header, longer than the packet",
            MALFORMED,
            &header(15),
        ),
        Row::drops("a packet longer than its frame", MALFORMED, &|s| {
            let mut frame = s.segment.frame();
            lengthen(s, &mut frame, 1);
            s.frame = Some(frame);
        }),
        Row::drops("a packet much longer than its frame", MALFORMED, &|s| {
            let mut frame = s.segment.frame();
            lengthen(s, &mut frame, 20_000);
            s.frame = Some(frame);
        }),
        Row::drops("a frame that was cut in its data", MALFORMED, &|s| {
            s.segment.payload = vec![1; 200];
            let mut frame = s.segment.frame();
            frame.truncate(frame.len() - 50);
            s.frame = Some(frame);
        }),
        Row::drops("a packet that ends in its options", MALFORMED, &|s| {
            s.segment.options = timestamps(1, 2);
            let mut frame = s.segment.frame();
            lengthen(s, &mut frame, -4);
            s.frame = Some(frame);
        }),
    ]);
}

#[test]
fn no_cut_of_a_packet_is_forwarded() {
    let Some(mut bench) = bench() else {
        return;
    };
    for hook in [Hook::Tcx, Hook::Xdp] {
        for family in [4, 6] {
            let mut shot = Shot::new(&bench, hook, family, 0);
            shot.segment.options = timestamps(1, 2);
            shot.segment.payload = vec![1; 20];
            bench.set_slot(shot.flow.index, shot.slot);
            let frame = shot.segment.frame();
            for length in 14..frame.len() {
                // Behind the fixed TCP header the flow is known, and nothing of it passes.
                let whole = length >= tcp(&shot) + 20;
                let cut = &frame[..length];
                let Ok((verdict, output)) = bench.try_run(hook, cut, shot.skb) else {
                    assert!(!whole, "the kernel takes no frame of {length} bytes");
                    continue;
                };
                assert!(
                    verdict <= Verdict::Drop,
                    "{hook:?}: {length} bytes were forwarded"
                );
                assert!(
                    !whole || verdict == Verdict::Drop,
                    "{hook:?}: {length} bytes passed"
                );
                assert_eq!(output, cut);
            }
        }
    }
}

#[test]
fn options_that_do_not_fit_do_no_harm() {
    let garbage: [&[u8]; 7] = [
        &[8, 0, 1, 1],
        &[8, 1, 1, 1],
        &[8, 11, 0, 0, 0, 1, 0, 0, 0, 2, 9, 9],
        &[8, 10, 0, 0, 0, 1, 0, 0],
        &[5, 34, 0, 0, 0, 1, 0, 0, 0, 2, 9, 9],
        &[1, 1, 1, 8],
        &[253, 255, 8, 10],
    ];
    let Some(mut bench) = bench() else {
        return;
    };
    for options in garbage {
        for hook in [Hook::Tcx, Hook::Xdp] {
            for family in [4, 6] {
                let mut shot = Shot::new(&bench, hook, family, 1);
                shot.segment.options = options.to_vec();
                shot.check(&mut bench);
            }
        }
    }
}
