//! The stick table against a plain reference, under a clock that the test moves.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use mqtt_lb_user::affinity::{BackendId, Cursor, Row, StickTable};
use mqtt_lb_user::config::Stick;
use proptest::prelude::*;

mod disk;
mod reference;

use reference::Reference;

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

#[derive(Debug, Clone)]
enum Op {
    Get(Vec<u8>),
    Set(Vec<u8>, BackendId),
    SetHome(Vec<u8>, BackendId),
    Remove(Vec<u8>),
    Clear,
    ClearBackend(BackendId),
    Expire(usize),
    Wait(Duration),
    Reconfigure(Stick),
    /// The process ends, and another begins so much later.
    Restart(Duration, Stick),
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
    (0..10_usize, 1..60_u64, any::<bool>()).prop_map(|(size, secs, nopurge)| Stick {
        size,
        expire: Duration::from_secs(secs),
        nopurge,
    })
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        20 => (key(), backend()).prop_map(|(key, backend)| Op::Set(key, backend)),
        4 => (key(), backend()).prop_map(|(key, home)| Op::SetHome(key, home)),
        10 => key().prop_map(Op::Get),
        4 => key().prop_map(Op::Remove),
        8 => (0..20_000_u64).prop_map(|ms| Op::Wait(Duration::from_millis(ms))),
        2 => prop_oneof![0..4_usize, Just(usize::MAX)].prop_map(Op::Expire),
        1 => backend().prop_map(Op::ClearBackend),
        1 => Just(Op::Clear),
        1 => settings().prop_map(Op::Reconfigure),
        1 => (0..5_000_u64, settings())
            .prop_map(|(ms, stick)| Op::Restart(Duration::from_millis(ms), stick)),
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
            // Of entries matched at the same time a snapshot does not know the order.
            now += Duration::from_nanos(1);
            reference.purge(now);
            match op {
                Op::Get(key) => prop_assert_eq!(table.get(now, &key), reference.get(now, &key)),
                Op::Set(key, backend) => prop_assert_eq!(
                    table.set(now, &key, backend),
                    reference.set(now, &key, backend)
                ),
                Op::SetHome(key, home) => prop_assert_eq!(
                    table.set_home(now, &key, home),
                    reference.set_home(&key, home)
                ),
                Op::Remove(key) => {
                    let removed = reference.take(&key).map(|entry| entry.backend);
                    prop_assert_eq!(table.remove(now, &key), removed);
                }
                Op::Clear => {
                    prop_assert!(table.clear().len() >= reference.entries.len());
                    reference.entries.clear();
                    prop_assert!(table.is_empty());
                }
                Op::ClearBackend(backend) => {
                    table.expire(now, usize::MAX);
                    let removed = reference.clear_backend(backend);
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
                Op::Restart(gap, stick) => {
                    let saved = disk::save(&table, now);
                    now += gap;
                    table = disk::load(&saved, now, gap, stick);
                    reference.restart(now, stick);
                }
            }
            let shown: BTreeMap<_, _> = rows(&table, now, page)
                .into_iter()
                .map(|row| (row.key, (row.backend, row.home, row.expires_in)))
                .collect();
            let expected: BTreeMap<_, _> = reference
                .entries
                .iter()
                .map(|entry| {
                    let left = reference.stick.expire - (now - entry.touched);
                    (entry.key.clone(), (entry.backend, entry.home, left))
                })
                .collect();
            prop_assert_eq!(&shown, &expected);
            for (key, (backend, ..)) in shown {
                prop_assert_eq!(table.peek(now, &key), Some(backend));
            }
            prop_assert_eq!(table.evictions(), reference.evictions);
            prop_assert_eq!(table.capacity(), reference.stick.size);
            if table.len() == expected.len() {
                let shares = table.shares().map(|s| (s.backend, (s.entries, s.homes, s.away)));
                prop_assert_eq!(shares.collect::<BTreeMap<_, _>>(), reference.shares());
            }
            prop_assert!((expected.len()..=table.capacity()).contains(&table.len()));
        }
    }
}
