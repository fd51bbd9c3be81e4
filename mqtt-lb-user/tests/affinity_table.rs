//! The stick table against a plain reference, under a clock that the test moves.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use mqtt_lb_user::affinity::{BackendId, Cursor, Row, StickTable, Sticky};
use mqtt_lb_user::config::Stick;
use proptest::prelude::*;

fn stick(size: usize, expire: Duration, nopurge: bool) -> Stick {
    Stick {
        size,
        expire,
        nopurge,
    }
}

const MINUTE: Duration = Duration::from_secs(60);

/// All rows, `n` slots a page.
fn rows(table: &StickTable, now: Instant, n: usize) -> Vec<Row> {
    let (mut all, mut next) = table.page(now, Cursor::default(), n);
    while let Some(cursor) = next {
        let page;
        (page, next) = table.page(now, cursor, n);
        all.extend(page);
    }
    all
}

/// What the table should do, with a list from oldest to newest match.
struct Reference {
    stick: Stick,
    entries: Vec<(Vec<u8>, BackendId, Instant)>,
    evictions: u64,
}

impl Reference {
    fn purge(&mut self, now: Instant) {
        let expire = self.stick.expire;
        self.entries.retain(|(.., touched)| now - *touched < expire);
    }

    fn take(&mut self, key: &[u8]) -> Option<BackendId> {
        let at = self.entries.iter().position(|(k, ..)| k == key)?;
        Some(self.entries.remove(at).1)
    }

    fn get(&mut self, now: Instant, key: &[u8]) -> Option<BackendId> {
        let backend = self.take(key)?;
        self.entries.push((key.to_vec(), backend, now));
        Some(backend)
    }

    fn over(&self, entries: usize, bytes: usize) -> bool {
        let held: usize = self.entries.iter().map(|(key, ..)| key.len()).sum();
        self.entries.len() + entries > self.stick.size
            || held + bytes > (self.stick.size * 256).max(65_535)
    }

    fn set(&mut self, now: Instant, key: &[u8], backend: BackendId) -> Sticky {
        let answer = match self.take(key) {
            Some(before) if before == backend => Sticky::Hit,
            Some(_) => Sticky::Moved,
            None => Sticky::New,
        };
        while answer == Sticky::New && self.over(1, key.len()) {
            if self.stick.nopurge || self.entries.is_empty() {
                return Sticky::None;
            }
            self.entries.remove(0);
            self.evictions += 1;
        }
        self.entries.push((key.to_vec(), backend, now));
        answer
    }

    fn reconfigure(&mut self, now: Instant, stick: Stick) {
        self.stick = stick;
        self.purge(now);
        while self.over(0, 0) {
            self.entries.remove(0);
            self.evictions += 1;
        }
    }
}

#[derive(Debug, Clone)]
enum Op {
    Get(Vec<u8>),
    Set(Vec<u8>, BackendId),
    Remove(Vec<u8>),
    Clear,
    ClearBackend(BackendId),
    Expire(usize),
    Wait(Duration),
    Reconfigure(Stick),
}

fn key() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        8 => (0..12_u8).prop_map(|n| vec![n]),
        2 => proptest::collection::vec(any::<u8>(), 0..3),
        // Long enough that a few of them use up the bytes of a small table.
        2 => (0..4_u8).prop_map(|n| vec![n; 30_000]),
    ]
}

fn backend() -> impl Strategy<Value = BackendId> {
    (0..3_u32).prop_map(BackendId)
}

fn settings() -> impl Strategy<Value = Stick> {
    (0..10_usize, 1..60_u64, any::<bool>())
        .prop_map(|(size, secs, nopurge)| stick(size, Duration::from_secs(secs), nopurge))
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        20 => (key(), backend()).prop_map(|(key, backend)| Op::Set(key, backend)),
        10 => key().prop_map(Op::Get),
        4 => key().prop_map(Op::Remove),
        8 => (0..20_000_u64).prop_map(|ms| Op::Wait(Duration::from_millis(ms))),
        2 => prop_oneof![0..4_usize, Just(usize::MAX)].prop_map(Op::Expire),
        1 => backend().prop_map(Op::ClearBackend),
        1 => Just(Op::Clear),
        1 => settings().prop_map(Op::Reconfigure),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn does_what_the_reference_does(
        start in settings(),
        ops in proptest::collection::vec(op(), 1..120),
        page in 1..5_usize,
    ) {
        let mut now = Instant::now();
        let mut table = StickTable::new(start);
        let mut reference = Reference { stick: start, entries: Vec::new(), evictions: 0 };
        // Tells the table the time, so that a reload knows what has expired.
        table.expire(now, 0);
        for op in ops {
            reference.purge(now);
            match op {
                Op::Get(key) => prop_assert_eq!(table.get(now, &key), reference.get(now, &key)),
                Op::Set(key, backend) => prop_assert_eq!(
                    table.set(now, &key, backend),
                    reference.set(now, &key, backend)
                ),
                Op::Remove(key) => {
                    prop_assert_eq!(table.remove(now, &key), reference.take(&key));
                }
                Op::Clear => {
                    prop_assert!(table.clear() >= reference.entries.len());
                    reference.entries.clear();
                    prop_assert!(table.is_empty());
                }
                Op::ClearBackend(backend) => {
                    table.expire(now, usize::MAX);
                    let before = reference.entries.len();
                    reference.entries.retain(|(_, b, _)| *b != backend);
                    let removed = before - reference.entries.len();
                    prop_assert_eq!(table.clear_backend(backend), removed);
                }
                Op::Expire(budget) => {
                    let freed = table.expire(now, budget);
                    prop_assert!(freed <= budget);
                    if freed < budget {
                        prop_assert_eq!(table.len(), reference.entries.len());
                    }
                }
                Op::Wait(time) => {
                    now += time;
                    reference.purge(now);
                    table.expire(now, 0);
                }
                Op::Reconfigure(stick) => {
                    table.reconfigure(stick);
                    reference.reconfigure(now, stick);
                }
            }
            let shown: BTreeMap<_, _> = rows(&table, now, page)
                .into_iter()
                .map(|row| (row.key, (row.backend, row.expires_in)))
                .collect();
            let expected: BTreeMap<_, _> = reference
                .entries
                .iter()
                .map(|(key, backend, touched)| {
                    (key.clone(), (*backend, reference.stick.expire - (now - *touched)))
                })
                .collect();
            prop_assert_eq!(&shown, &expected);
            for (key, (backend, _)) in shown {
                prop_assert_eq!(table.peek(now, &key), Some(backend));
            }
            prop_assert_eq!(table.evictions(), reference.evictions);
            prop_assert_eq!(table.capacity(), reference.stick.size);
            prop_assert!((expected.len()..=table.capacity()).contains(&table.len()));
        }
    }

    #[test]
    fn pages_show_what_stays_exactly_once_while_the_rest_changes(
        stays in 1..40_u8,
        page in 1..7_usize,
        changes in proptest::collection::vec((0..30_u8, any::<bool>()), 60),
    ) {
        let now = Instant::now();
        let mut table = StickTable::new(stick(100, MINUTE, false));
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
    let mut table = StickTable::new(stick(10, MINUTE, false));
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
    let mut table = StickTable::new(stick(10, MINUTE, false));
    table.set(start, b"a", BackendId(1));
    let matched = start + Duration::from_secs(59);
    assert_eq!(table.get(matched, b"a"), Some(BackendId(1)));
    let last = matched + MINUTE - Duration::from_nanos(1);
    assert_eq!(table.peek(last, b"a"), Some(BackendId(1)));
    assert_eq!(table.peek(last + Duration::from_nanos(1), b"a"), None);
    assert_eq!(table.get(last + Duration::from_nanos(1), b"a"), None);
}

#[test]
fn a_clock_that_was_read_earlier_does_not_break_the_order() {
    let start = Instant::now();
    let late = start + Duration::from_secs(10);
    let mut table = StickTable::new(stick(10, MINUTE, false));
    table.set(start, b"first", BackendId(1));
    table.set(late, b"a", BackendId(1));
    table.set(start, b"b", BackendId(1));
    assert_eq!(table.expire(start + MINUTE, 10), 1, "only the first");
    assert_eq!(table.expire(late + MINUTE, 10), 2);
}

#[test]
fn memory_stays_within_the_bound_and_comes_back() {
    let now = Instant::now();
    let mut table = StickTable::new(stick(1_000, MINUTE, false));
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
    table.reconfigure(stick(10, MINUTE, false));
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
