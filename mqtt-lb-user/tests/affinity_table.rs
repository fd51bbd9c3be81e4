//! What the stick table promises, one by one.

use std::time::{Duration, Instant};

use mqtt_lb_user::affinity::{BackendId, Cursor, StickTable, Sticky};
use mqtt_lb_user::config::Stick;
use proptest::prelude::*;

const MINUTE: Duration = Duration::from_secs(60);

fn stick(size: usize) -> Stick {
    Stick {
        size,
        expire: MINUTE,
        nopurge: false,
    }
}

proptest! {
    #[test]
    fn pages_show_what_stays_exactly_once_while_the_rest_changes(
        stays in 1..40_u8,
        page in 1..7_usize,
        changes in proptest::collection::vec((0..30_u8, any::<bool>()), 60),
    ) {
        let now = Instant::now();
        let mut table = StickTable::new(stick(100));
        let mut changes = changes.into_iter();
        let mut churn = |table: &mut StickTable| {
            for (n, add) in changes.by_ref().take(3) {
                if add {
                    table.set(now, &[b'c', n], BackendId(0));
                } else {
                    table.remove(now, &[b'c', n]);
                }
            }
        };
        for n in 0..stays {
            churn(&mut table);
            table.set(now, &[b's', n], BackendId(1));
        }
        let mut seen = Vec::new();
        let mut next = Some(Cursor::default());
        while let Some(cursor) = next {
            let rows;
            (rows, next) = table.page(now, cursor, page);
            prop_assert!(rows.len() <= page);
            seen.extend(rows.into_iter().map(|row| row.key).filter(|key| key[0] == b's'));
            churn(&mut table);
            // A match moves an entry in time, not in the pages.
            table.get(now, &[b's', 0]);
        }
        seen.sort();
        prop_assert_eq!(seen, (0..stays).map(|n| vec![b's', n]).collect::<Vec<_>>());
    }
}

#[test]
fn keys_are_whole_and_byte_exact() {
    let now = Instant::now();
    let mut table = StickTable::new(stick(10));
    let long = vec![b'x'; 65_535];
    table.set(now, &long[..65_534], BackendId(1));
    assert_eq!(table.set(now, &long, BackendId(2)), Sticky::New);
    assert_eq!(table.peek(now, &long), Some(BackendId(2)));
    for (at, key) in (10..).zip([&b"dev"[..], b"dev\0", b"DEV", b"de", b"\xff"]) {
        assert_eq!(table.set(now, key, BackendId(at)), Sticky::New);
    }
    assert_eq!(table.peek(now, b"dev"), Some(BackendId(10)));
    assert_eq!(
        table.set(now, &vec![b'x'; 65_536], BackendId(3)),
        Sticky::None
    );
    assert_eq!(
        table.peek(now, b"dev"),
        Some(BackendId(10)),
        "an impossible key evicts nobody"
    );
}

#[test]
fn an_entry_lives_from_its_last_match_to_the_nanosecond() {
    let start = Instant::now();
    let mut table = StickTable::new(stick(10));
    table.set(start, b"a", BackendId(1));
    let matched = start + Duration::from_secs(59);
    assert_eq!(table.get(matched, b"a"), Some(BackendId(1)));
    let last = matched + MINUTE - Duration::from_nanos(1);
    assert_eq!(table.peek(last, b"a"), Some(BackendId(1)));
    assert_eq!(table.peek(last + Duration::from_nanos(1), b"a"), None);
    assert_eq!(table.get(last + Duration::from_nanos(1), b"a"), None);
}

#[test]
fn a_client_that_moved_still_belongs_where_it_was_first() {
    let now = Instant::now();
    let mut table = StickTable::new(stick(10));
    let at = |table: &StickTable| {
        let row = table.entry(now, b"a").unwrap();
        (row.backend.0, row.home.0)
    };
    table.set(now, b"a", BackendId(1));
    assert_eq!(at(&table), (1, 1));
    assert_eq!(table.set(now, b"a", BackendId(2)), Sticky::Moved);
    assert_eq!(at(&table), (2, 1));
    assert!(table.set_home(now, b"a", BackendId(3)));
    assert_eq!(at(&table), (2, 3));
    assert!(!table.set_home(now, b"b", BackendId(3)));
    // Its home leaves the configuration.
    assert_eq!(table.retain(|backend| backend != BackendId(3)), 0);
    assert_eq!(at(&table), (2, 2));
}

#[test]
fn a_place_that_no_entry_names_is_used_again() {
    let now = Instant::now();
    let mut table = StickTable::new(stick(10));
    for id in 0..100_000 {
        assert_eq!(table.set(now, b"a", BackendId(id)), Sticky::New);
        table.remove(now, b"a");
    }
    assert_eq!(table.shares().count(), 0);
}

#[test]
fn a_clock_that_was_read_earlier_does_not_break_the_order() {
    let start = Instant::now();
    let late = start + Duration::from_secs(10);
    let mut table = StickTable::new(stick(10));
    table.set(start, b"first", BackendId(1));
    table.set(late, b"a", BackendId(1));
    table.set(start, b"b", BackendId(1));
    assert_eq!(table.expire(start + MINUTE, 10), 1, "only the first");
    assert_eq!(
        table.peek(start + MINUTE, b"b"),
        Some(BackendId(1)),
        "as old as the one before"
    );
    assert_eq!(table.expire(late + MINUTE, 10), 2);
}

#[test]
fn memory_stays_within_the_bound_and_comes_back() {
    let now = Instant::now();
    let mut table = StickTable::new(stick(1_000));
    for n in 0..3_000_u32 {
        let mut key = vec![0; 60_000];
        key[..4].copy_from_slice(&n.to_le_bytes());
        assert_eq!(table.set(now, &key, BackendId(0)), Sticky::New);
    }
    assert!(
        table.memory_bytes() < 1_000 * 320,
        "{} bytes",
        table.memory_bytes()
    );
    for n in 0..3_000_u32 {
        table.set(now, &n.to_le_bytes(), BackendId(0));
    }
    assert_eq!(table.len(), 1_000);
    let full = table.memory_bytes();
    table.reconfigure(stick(10));
    assert_eq!(table.len(), 10);
    assert!(
        table.memory_bytes() < full / 20,
        "{} of {full}",
        table.memory_bytes()
    );
    assert_eq!(
        table.peek(now, &2_999_u32.to_le_bytes()),
        Some(BackendId(0)),
        "the newest stay"
    );
}
