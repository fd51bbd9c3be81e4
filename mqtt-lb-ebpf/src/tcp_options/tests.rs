extern crate std;

use std::vec::Vec;

use super::*;
use proptest::prelude::*;

/// An option as the tests say it.
#[derive(Debug, Clone)]
enum Say {
    Nop,
    Mss(u16),
    WindowScale(u8),
    SackPermitted,
    Sack(Vec<(u32, u32)>),
    Timestamps(u32, u32),
    Unknown(u8, Vec<u8>),
}

impl Say {
    fn bytes(&self) -> Vec<u8> {
        match self {
            Self::Nop => std::vec![1],
            Self::Mss(mss) => [&[2, 4][..], &mss.to_be_bytes()].concat(),
            Self::WindowScale(scale) => std::vec![3, 3, *scale],
            Self::SackPermitted => std::vec![4, 2],
            Self::Sack(blocks) => {
                let mut bytes = std::vec![5, 2 + 8 * blocks.len() as u8];
                for (left, right) in blocks {
                    bytes.extend(left.to_be_bytes());
                    bytes.extend(right.to_be_bytes());
                }
                bytes
            }
            Self::Timestamps(val, ecr) => {
                [&[8, 10][..], &val.to_be_bytes(), &ecr.to_be_bytes()].concat()
            }
            Self::Unknown(kind, data) => [&[*kind, 2 + data.len() as u8][..], data].concat(),
        }
    }

    fn shifted(&self, shift: &Shift) -> Self {
        match self {
            Self::Sack(blocks) => Self::Sack(
                blocks
                    .iter()
                    .map(|(left, right)| {
                        (
                            left.wrapping_sub(shift.sack),
                            right.wrapping_sub(shift.sack),
                        )
                    })
                    .collect(),
            ),
            Self::Timestamps(val, ecr) => {
                Self::Timestamps(val.wrapping_add(shift.tsval), ecr.wrapping_sub(shift.tsecr))
            }
            other => other.clone(),
        }
    }
}

fn say() -> impl Strategy<Value = Say> {
    prop_oneof![
        3 => Just(Say::Nop),
        1 => any::<u16>().prop_map(Say::Mss),
        1 => (0u8..15).prop_map(Say::WindowScale),
        1 => Just(Say::SackPermitted),
        2 => prop::collection::vec(any::<(u32, u32)>(), 1..4).prop_map(Say::Sack),
        2 => any::<(u32, u32)>().prop_map(|(val, ecr)| Say::Timestamps(val, ecr)),
        1 => (20u8..250, prop::collection::vec(any::<u8>(), 0..6))
            .prop_map(|(kind, data)| Say::Unknown(kind, data)),
    ]
}

/// As many of them as fit a header.
fn header(says: &[Say]) -> Vec<Say> {
    let mut room = MAX as usize;
    says.iter()
        .take_while(|say| {
            let fits = say.bytes().len() <= room;
            room = room.saturating_sub(say.bytes().len());
            fits
        })
        .cloned()
        .collect()
}

fn area(bytes: &[u8]) -> [u8; AREA] {
    let mut area = [0; AREA];
    area[..bytes.len()].copy_from_slice(bytes);
    area
}

fn walk(area: &mut [u8; AREA], end: u32, shift: &Shift) -> Found {
    let mut found = Found::default();
    let mut at = 0;
    for _ in 0..MAX {
        at = translate(area, at, end, shift, &mut found);
        if at >= end {
            break;
        }
    }
    found
}

#[test]
fn a_syn_says_what_it_has() {
    let bytes = [
        2, 4, 0x05, 0xb4, 4, 2, 8, 10, 0, 0, 1, 2, 0, 0, 0, 0, 1, 3, 3, 7,
    ];
    let found = walk(&mut area(&bytes), 20, &Shift::default());
    let wanted = Found {
        tsval: 0x102,
        mss: 1460,
        has_timestamps: true,
    };
    assert_eq!(found, wanted);
}

#[test]
fn nothing_behind_the_end_of_options_counts() {
    let bytes = [0, 8, 10, 0, 0, 0, 1, 0, 0, 0, 1, 0];
    let found = walk(&mut area(&bytes), 12, &Shift::default());
    assert!(!found.has_timestamps);
}

#[test]
fn an_option_too_long_for_the_header_is_left_alone() {
    let bytes = [1, 1, 8, 10, 0, 0, 0, 1];
    let shift = Shift {
        tsval: 5,
        tsecr: 5,
        sack: 5,
    };
    let mut options = area(&bytes);
    assert!(!walk(&mut options, 8, &shift).has_timestamps);
    assert_eq!(options, area(&bytes));
}

#[test]
fn what_the_client_lacks_becomes_nops() {
    let syn = [
        2, 4, 0x05, 0xb4, 4, 2, 8, 10, 0, 0, 1, 2, 0, 0, 0, 0, 1, 3, 3, 7,
    ];
    let erased = |timestamps, sack| {
        let mut options = area(&syn);
        let unwanted = Unwanted { timestamps, sack };
        let mut has_changed = false;
        let mut at = 0;
        while at < 20 {
            at = erase(&mut options, at, 20, unwanted, &mut has_changed);
        }
        assert_eq!(has_changed, timestamps || sack);
        options
    };
    let mut wanted = syn;
    wanted[6..16].fill(1);
    assert_eq!(erased(true, false), area(&wanted));
    wanted[4..6].fill(1);
    assert_eq!(erased(true, true), area(&wanted));
    wanted[6..16].copy_from_slice(&syn[6..16]);
    assert_eq!(erased(false, true), area(&wanted));
    assert_eq!(erased(false, false), area(&syn));
}

proptest! {
    #[test]
    fn every_option_is_translated_at_any_alignment(
        says in prop::collection::vec(say(), 0..8), tsval: u32, tsecr: u32, sack: u32,
    ) {
        let says = header(&says);
        let shift = Shift { tsval, tsecr, sack };
        let bytes: Vec<u8> = says.iter().flat_map(Say::bytes).collect();
        let wanted: Vec<u8> = says.iter().flat_map(|say| say.shifted(&shift).bytes()).collect();
        let mut options = area(&bytes);
        let found = walk(&mut options, bytes.len() as u32, &shift);
        prop_assert_eq!(&options[..bytes.len()], &wanted[..]);
        prop_assert!(options[bytes.len()..].iter().all(|byte| *byte == 0));
        let last = says.iter().rev().find_map(|say| match say {
            Say::Timestamps(val, _) => Some(*val),
            _ => None,
        });
        prop_assert_eq!(found.has_timestamps.then_some(found.tsval), last);
    }

    #[test]
    fn garbage_ends_the_walk_and_nothing_behind_it_changes(
        bytes: [u8; 40], end in 0u32..=40, tsval: u32,
    ) {
        let mut options = area(&bytes);
        let mut found = Found::default();
        let shift = Shift { tsval, tsecr: tsval, sack: tsval };
        let mut at = 0;
        let mut steps = 0;
        while at < end {
            let next = translate(&mut options, at, end, &shift, &mut found);
            prop_assert!(next > at && next <= end);
            at = next;
            steps += 1;
        }
        prop_assert!(steps <= MAX);
        prop_assert_eq!(&options[end as usize..40], &bytes[end as usize..]);
    }

    #[test]
    fn erasing_keeps_the_other_options(says in prop::collection::vec(say(), 0..8)) {
        let says = header(&says);
        let bytes: Vec<u8> = says.iter().flat_map(Say::bytes).collect();
        let wanted: Vec<u8> = says
            .iter()
            .flat_map(|say| match say {
                Say::Timestamps(..) => std::vec![1; 10],
                Say::SackPermitted => std::vec![1; 2],
                other => other.bytes(),
            })
            .collect();
        let mut options = area(&bytes);
        let end = bytes.len() as u32;
        let mut at = 0;
        let unwanted = Unwanted { timestamps: true, sack: true };
        let mut has_changed = false;
        while at < end {
            at = erase(&mut options, at, end, unwanted, &mut has_changed);
        }
        prop_assert_eq!(has_changed, bytes != wanted);
        prop_assert_eq!(&options[..bytes.len()], &wanted[..]);
    }
}
