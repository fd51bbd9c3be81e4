//! The SYN editor: our SYNs lose what the client lacks, told by the socket's mark.

use mqtt_lb_ebpf::splice_slot::{MARK, MARK_NO_SACK, MARK_NO_TIMESTAMPS};

use crate::bench::{Bench, bench};
use crate::layers::Layers;
use crate::packet::option::{NOP, mss, sack, timestamps};
use crate::packet::{ACK, SYN, Segment, Sum};
use crate::sums;

const BOTH: u32 = MARK | MARK_NO_TIMESTAMPS | MARK_NO_SACK;

/// A SYN as Linux sends it: MSS, SACK permitted, timestamps, NOP, window scale.
fn syn(bench: &Bench, family: u8) -> Segment {
    let flow = bench.flow(family);
    let mut segment = flow.segment(&flow.slot(), 0);
    segment.flags = SYN;
    segment.ack = 0;
    segment.options = [mss(1460), vec![4, 2], stamps(), vec![NOP, 3, 3, 7]].concat();
    segment
}

fn stamps() -> Vec<u8> {
    timestamps(77, 0)[2..].to_vec()
}

/// What the editor makes of a frame.
fn edit(bench: &mut Bench, frame: &[u8], mark: u32) -> Vec<u8> {
    let (code, output) = bench.run_editor(frame, mark);
    assert_eq!(code, -1, "every packet goes on");
    output.to_vec()
}

/// The same segment with other options, its checksum as wrong as `like`'s.
fn with_options(segment: &Segment, options: Vec<u8>) -> Vec<u8> {
    Segment {
        options,
        ..segment.clone()
    }
    .frame()
}

#[test]
fn options_that_the_client_lacks_become_nops() {
    let Some(mut bench) = bench() else {
        return;
    };
    for family in [4, 6] {
        let segment = syn(&bench, family);
        let frame = segment.frame();
        let scale = vec![NOP, 3, 3, 7];
        for (mark, options) in [
            (MARK, segment.options.clone()),
            (BOTH, [mss(1460), vec![NOP; 12], scale.clone()].concat()),
            (
                MARK | MARK_NO_TIMESTAMPS,
                [mss(1460), vec![4, 2], vec![NOP; 10], scale.clone()].concat(),
            ),
            (
                MARK | MARK_NO_SACK,
                [mss(1460), vec![NOP; 2], stamps(), scale].concat(),
            ),
        ] {
            let output = edit(&mut bench, &frame, mark);
            assert_eq!(
                output,
                with_options(&segment, options),
                "IPv{family}, {mark:x}"
            );
            let layers = Layers::of(&output).expect("IP");
            assert_eq!(sums::error(&output, &layers), 0);
        }
    }
}

#[test]
fn options_are_found_at_any_place() {
    let Some(mut bench) = bench() else {
        return;
    };
    for pad in 0..6 {
        let mut segment = syn(&bench, 4);
        segment.options = [vec![NOP; pad], stamps(), vec![4, 2], vec![253, 3, 9]].concat();
        let wanted = [vec![NOP; pad + 12], vec![253, 3, 9]].concat();
        let output = edit(&mut bench, &segment.frame(), BOTH);
        assert_eq!(output, with_options(&segment, wanted), "behind {pad} NOPs");
    }
}

#[test]
fn the_checksum_of_an_edited_syn_stays_as_wrong_as_it_was() {
    let Some(mut bench) = bench() else {
        return;
    };
    let mut segment = syn(&bench, 4);
    segment.sum = Sum::Wrong;
    let frame = segment.frame();
    let output = edit(&mut bench, &frame, BOTH);
    let [before, after] =
        [&frame, &output].map(|frame| sums::error(frame, &Layers::of(frame).expect("IP")));
    assert_ne!(before, 0);
    assert_eq!(before, after);
}

#[test]
fn other_packets_are_left_alone() {
    let Some(mut bench) = bench() else {
        return;
    };
    for family in [4, 6] {
        let segment = syn(&bench, family);
        let frame = segment.frame();
        for mark in [0, BOTH ^ 0x10, BOTH ^ 0x8000_0000, 3] {
            assert_eq!(edit(&mut bench, &frame, mark), frame, "mark {mark:x}");
        }
        let changed: [&dyn Fn(&mut Segment); 5] = [
            &|s| s.flags = SYN | ACK,
            &|s| s.flags = ACK,
            &|s| s.options = mss(1400),
            &|s| s.options = Vec::new(),
            &|s| s.options = [vec![0], sack(&[1, 2])].concat(),
        ];
        for change in changed {
            let mut segment = segment.clone();
            change(&mut segment);
            let frame = segment.frame();
            assert_eq!(edit(&mut bench, &frame, BOTH), frame, "{segment:?}");
        }
        for length in 14..frame.len() {
            if let Ok((code, output)) = bench.try_run_editor(&frame[..length], BOTH) {
                assert_eq!(code, -1);
                assert_eq!(output.len(), length);
            }
        }
    }
}
