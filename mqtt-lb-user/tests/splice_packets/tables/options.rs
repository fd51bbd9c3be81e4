//! TCP options.

use crate::packet::option::{NOP, bare_timestamps, mss, sack, timestamps};
use crate::packet::{ACK, SYN};
use crate::row::{Hit, Row, Shot, fire};

const VALUE: u32 = 0xffff_fff0;
const ECHO: u32 = 0x0000_0105;

fn word(bytes: &[u8]) -> u32 {
    u32::from_be_bytes(bytes.try_into().expect("4 bytes"))
}

/// Every timestamp option is translated, its echo only with ACK.
fn stamps_are_translated(hit: &Hit) {
    let (d, slot, left) = (hit.shot.d, &hit.shot.slot, hit.left());
    let value = left.option(8, 8).expect("timestamps");
    assert_eq!(
        word(&hit.output[value.start..][..4]),
        VALUE.wrapping_add(slot.ts_delta[d])
    );
    let echo = match left.flags & ACK {
        0 => ECHO,
        _ => ECHO.wrapping_sub(slot.ts_delta[1 - d]),
    };
    assert_eq!(word(&hit.output[value.start + 4..][..4]), echo);
}

#[test]
fn timestamps_at_any_place() {
    let rows = [
        Row::forwards("aligned", &|s| s.segment.options = timestamps(VALUE, ECHO)),
        Row::forwards("aligned, with data", &|s| {
            s.segment.options = timestamps(VALUE, ECHO);
            s.segment.payload = vec![1; 99];
        }),
        Row::forwards("at the beginning", &|s| {
            s.segment.options = bare_timestamps(VALUE, ECHO)
        }),
        Row::forwards("at an odd place", &|s| {
            s.segment.options = [vec![NOP], bare_timestamps(VALUE, ECHO)].concat();
        }),
        Row::forwards("behind three NOPs", &|s| {
            s.segment.options = [vec![NOP; 3], bare_timestamps(VALUE, ECHO)].concat();
        }),
        Row::forwards("behind an unknown option of odd length", &|s| {
            s.segment.options = [vec![253, 5, 1, 2, 3], bare_timestamps(VALUE, ECHO)].concat();
        }),
        Row::forwards("in a SYN without ACK", &|s| {
            s.segment.flags = SYN;
            s.segment.options = [mss(1460), timestamps(VALUE, ECHO)].concat();
        }),
        Row::forwards("at the end of the longest header", &|s| {
            s.segment.options = [vec![NOP; 30], bare_timestamps(VALUE, ECHO)].concat();
        }),
        Row::forwards("in front of an end of options", &|s| {
            s.segment.options = [bare_timestamps(VALUE, ECHO), vec![0, 8, 10, 1]].concat();
        }),
    ];
    fire(&rows.map(|row| row.then(&stamps_are_translated)));
}

/// A SACK option of `blocks` blocks after `before`.
fn with_blocks(s: &mut Shot, before: Vec<u8>, blocks: u32) {
    let edges: Vec<_> = (0..2 * blocks)
        .map(|i| s.segment.ack.wrapping_add(1000 + 777 * i))
        .collect();
    s.segment.options = [before, sack(&edges)].concat();
}

#[test]
fn selective_acknowledgements_at_any_place() {
    let translated = |hit: &Hit| {
        let delta = hit.shot.slot.seq_delta[1 - hit.shot.d];
        let (came, left) = (hit.came(), hit.left());
        let blocks = came.options.iter().filter(|(kind, _)| *kind == 5);
        for (_, value) in blocks {
            assert!(left.options.contains(&(5, value.clone())));
            for at in value.clone().step_by(4) {
                let [old, new] = [&hit.input, &hit.output].map(|frame| word(&frame[at..at + 4]));
                assert_eq!(new, old.wrapping_sub(delta));
            }
        }
    };
    for blocks in 1..=4 {
        for pad in 0..=4 {
            let name = format!("{blocks} blocks behind {pad} NOPs");
            let set = |s: &mut Shot| with_blocks(s, vec![NOP; pad], blocks);
            fire(&[Row::forwards(&name, &set).then(&translated)]);
        }
    }
    for blocks in 1..=3 {
        for pad in 0..=2 {
            let name = format!("{blocks} blocks, timestamps and {pad} NOPs");
            let set = |s: &mut Shot| {
                let before = [vec![NOP; pad], bare_timestamps(VALUE, ECHO)].concat();
                with_blocks(s, before, blocks);
            };
            let both = |hit: &Hit| {
                stamps_are_translated(hit);
                translated(hit);
            };
            fire(&[Row::forwards(&name, &set).then(&both)]);
        }
    }
}

#[test]
fn other_options_stay_as_they_are() {
    let same = |hit: &Hit| {
        let left = hit.left();
        assert_eq!(hit.came().options, left.options);
        for (_, value) in left.options {
            assert_eq!(hit.input[value.clone()], hit.output[value]);
        }
    };
    let rows = [
        Row::forwards("unknown", &|s| {
            s.segment.options = vec![254, 6, 1, 2, 3, 4, NOP, NOP]
        }),
        Row::forwards("window scale and MSS", &|s| {
            s.segment.options = [mss(536), vec![3, 3, 7, NOP]].concat();
        }),
        Row::forwards("timestamps of a wrong length", &|s| {
            s.segment.options = vec![8, 6, 1, 2, 3, 4, NOP, NOP];
        }),
        Row::forwards("SACK of a wrong length", &|s| {
            s.segment.options = vec![5, 6, 1, 2, 3, 4, NOP, NOP];
        }),
        Row::forwards("SACK permitted", &|s| {
            s.segment.options = vec![4, 2, NOP, NOP]
        }),
        Row::forwards("forty NOPs", &|s| s.segment.options = vec![NOP; 40]),
        Row::forwards("timestamps behind the end", &|s| {
            s.segment.options = [vec![0, 0], bare_timestamps(VALUE, ECHO)].concat();
        })
        .then(&|hit| {
            let options = hit.output.len() - 12;
            assert_eq!(hit.output[options..], hit.input[options..]);
        }),
        Row::forwards("another option inside of an unknown one", &|s| {
            s.segment.options = vec![253, 12, 8, 10, 0, 0, 0, 1, 0, 0, 0, 2];
        }),
    ];
    fire(&rows.map(|row| {
        let is_end = row.name.contains("behind the end");
        if is_end { row } else { row.then(&same) }
    }));
}
