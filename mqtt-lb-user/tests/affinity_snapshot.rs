//! Snapshots of a stick table: what is damaged shows, and the clocks are not believed
//! beyond reason.

use std::time::{Duration, Instant};

use mqtt_lb_user::affinity::snapshot::{self, Damage, Passed, Snapshot, Stamp, Writer};
use mqtt_lb_user::affinity::{BackendId, Batch, Cursor, Room, StickTable};
use mqtt_lb_user::config::Stick;
use proptest::prelude::*;

const MINUTE: Duration = Duration::from_secs(60);
const STAMP: Stamp = Stamp {
    boot: [7; 16],
    uptime: 1_000_000_000,
    wall: 1_800_000_000_000_000_000,
};
const ROOM: Room = Room {
    entries: 1_000,
    key_bytes: 100_000,
};

fn table(keys: impl IntoIterator<Item = Vec<u8>>) -> StickTable {
    let mut table = StickTable::new(Stick {
        size: 1_000,
        expire: MINUTE,
        nopurge: false,
    });
    let mut now = Instant::now();
    for (key, backend) in keys.into_iter().zip((0..3).cycle()) {
        table.set(now, &key, BackendId(backend));
        now += Duration::from_nanos(1);
    }
    table
}

/// Names of the backends: the last one has none any more.
fn name(id: BackendId) -> Option<String> {
    ["a", "b"].get(id.0 as usize).map(|name| (*name).to_owned())
}

fn save(table: &StickTable) -> Vec<u8> {
    let now = Instant::now();
    let mut out = Vec::new();
    let mut writer = Writer::new(&STAMP, table.moment(now), &mut out);
    let (mut batch, mut next) = (Batch::default(), Some(Cursor::default()));
    while let Some(cursor) = next {
        next = table.copy(now, cursor, &mut batch);
        writer.page(&batch, name, &mut out);
    }
    writer.end(&mut out);
    out
}

fn read(bytes: &[u8]) -> Result<Snapshot, Damage> {
    snapshot::read(bytes, ROOM)
}

/// The keys that come out, oldest first, as numbers.
fn keys(snapshot: Snapshot) -> Vec<u8> {
    let all = |_: &str| Some(BackendId(0));
    let revived = snapshot.revive(Passed::Exactly(Duration::ZERO), MINUTE, all);
    revived.entries.iter().map(|entry| entry.key[0]).collect()
}

#[test]
fn every_changed_byte_and_every_cut_shows() {
    let whole = save(&table((0..6).map(|n| vec![n; 5])));
    assert!(read(&whole).is_ok());
    for at in 0..whole.len() {
        for bit in 0..8 {
            let mut changed = whole.clone();
            changed[at] ^= 1 << bit;
            assert!(read(&changed).is_err(), "bit {bit} of byte {at}");
        }
        let cut = read(&whole[..at]).unwrap_err();
        assert!(matches!(cut, Damage::Cut), "cut at {at}: {cut}");
    }
    let longer = [&whole[..], b"x"].concat();
    assert!(matches!(read(&longer), Err(Damage::Malformed(_))));
}

/// Each block alone is right here; only their order is not.
#[test]
fn a_block_left_out_or_doubled_shows() {
    let whole = save(&table((0..6).map(|n| vec![n; 5])));
    let head = 8 + 4 + 16 + 8 + 8 + 8 + 4;
    // Two backends with names of one byte, then the entries.
    let block = 5 + 1 + 4;
    let (first, second) = (
        &whole[head..head + block],
        &whole[head + block..head + 2 * block],
    );
    let rest = &whole[head + 2 * block..];
    for blocks in [
        [first, first, rest],
        [second, first, rest],
        [first, rest, &[]],
    ] {
        let bytes = [&[&whole[..head]], &blocks[..]].concat().concat();
        assert!(matches!(read(&bytes), Err(Damage::Sum(_))));
    }
}

#[test]
fn what_is_no_snapshot_is_named() {
    let whole = save(&table([]));
    let error = |bytes: &[u8]| read(bytes).unwrap_err().to_string();
    assert_eq!(error(&[b'x'; 100]), "is not a snapshot of a stick table");
    assert_eq!(error(b""), "is cut off");
    let mut newer = whole.clone();
    newer[8] = 2;
    assert_eq!(error(&newer), "is of version 2, this mqtt-lb knows 1");
}

#[test]
fn a_smaller_table_gets_those_matched_last() {
    let mut all = table((0..100).map(|n| vec![n]));
    // Out of the order of the slots.
    all.get(Instant::now(), &[0]);
    let bytes = save(&all);
    let small = |entries, key_bytes| {
        let snapshot = snapshot::read(&bytes[..], Room { entries, key_bytes }).unwrap();
        let dropped = snapshot.dropped;
        (keys(snapshot), dropped)
    };
    // A third of them has lost its backend before.
    assert_eq!(small(3, 100), (vec![97, 99, 0], 64));
    assert_eq!(small(100, 2), (vec![99, 0], 65));
    assert_eq!(small(0, 0), (vec![], 67));
    assert_eq!(small(100, 100).1, 0);
}

#[test]
fn entries_of_unknown_backends_are_counted() {
    let mut all = table((0..30).map(|n| vec![n]));
    let now = Instant::now();
    all.set_home(now, &[0], BackendId(1));
    all.set_home(now, &[3], BackendId(2));
    let only_a = |name: &str| (name == "a").then_some(BackendId(9));
    let revived =
        read(&save(&all))
            .unwrap()
            .revive(Passed::Exactly(Duration::ZERO), MINUTE, only_a);
    assert_eq!(revived.entries.len(), 10);
    assert!(
        revived
            .entries
            .iter()
            .all(|e| (e.backend.0, e.home.0) == (9, 9))
    );
    assert_eq!(revived.unknown, [("b".to_owned(), 10)].into());
}

#[test]
fn a_batch_is_small_whatever_the_keys() {
    let mut big = StickTable::new(Stick {
        size: 10_000,
        expire: MINUTE,
        nopurge: false,
    });
    let now = Instant::now();
    for n in 0..2_000_u32 {
        let length = if n < 1_000 { 4 } else { 1_000 };
        let mut key = vec![0; length];
        key[..4].copy_from_slice(&n.to_le_bytes());
        big.set(now, &key, BackendId(0));
    }
    let (mut batch, mut next, mut seen) = (Batch::default(), Some(Cursor::default()), 0);
    while let Some(cursor) = next {
        next = big.copy(now, cursor, &mut batch);
        let bytes: usize = batch.entries().map(|entry| entry.key.len()).sum();
        assert!(batch.entries().count() <= 256 && bytes <= 128 << 10);
        seen += batch.entries().count();
    }
    assert_eq!(seen, 2_000);
}

#[test]
fn a_table_that_has_entries_takes_no_others() {
    let bytes = save(&table([vec![1]]));
    let mut other = table([vec![2]]);
    let all = |_: &str| Some(BackendId(5));
    let revived = read(&bytes)
        .unwrap()
        .revive(Passed::Exactly(MINUTE / 2), MINUTE, all);
    assert_eq!(other.restore(Instant::now(), revived.entries), 0);
    assert_eq!(other.len(), 1);
}

#[test]
fn an_epoch_ends_when_slots_change_their_meaning() {
    let now = Instant::now();
    let mut all = table((0..30).map(|n| vec![n]));
    let mut last = all.epoch();
    let mut changed = |table: &StickTable| std::mem::replace(&mut last, table.epoch()) != last;
    all.set(now, b"new", BackendId(0));
    all.remove(now, &[1]);
    assert!(!changed(&all));
    all.clear_backend(BackendId(7));
    assert!(!changed(&all), "it has no entries");
    all.clear_backend(BackendId(0));
    assert!(changed(&all));
    let stick = |size| Stick {
        size,
        expire: MINUTE,
        nopurge: false,
    };
    all.reconfigure(stick(1_000));
    assert!(!changed(&all));
    all.reconfigure(stick(100));
    assert!(changed(&all));
    drop(all.clear());
    assert!(changed(&all));
}

fn after(uptime: u64, wall: i64) -> Stamp {
    Stamp {
        uptime: STAMP.uptime + uptime * 1_000_000_000,
        wall: STAMP.wall.checked_add_signed(wall * 1_000_000_000).unwrap(),
        ..STAMP
    }
}

#[test]
fn within_a_boot_the_wall_clock_does_not_matter() {
    for wall in [-1_000_000_000, 0, 1_000_000_000] {
        let passed = Passed::between(&STAMP, &after(10, wall));
        assert_eq!(passed, Passed::Exactly(Duration::from_secs(10)));
    }
    let age = |age| Passed::Exactly(10 * MINUTE / 60).age(Duration::from_secs(age), MINUTE);
    assert_eq!(age(0), Some(Duration::from_secs(10)));
    assert_eq!(age(49), Some(Duration::from_secs(59)));
    assert_eq!(age(50), None);
    assert_eq!(age(70), None);
}

#[test]
fn across_boots_a_jump_does_not_throw_the_table_away() {
    let other = |stamp: Stamp| Stamp {
        boot: [8; 16],
        ..stamp
    };
    let (forward, back) = (
        other(after(1, 1_000_000_000)),
        other(after(1, -1_000_000_000)),
    );
    let age = |now: &Stamp, age| {
        let passed = Passed::between(&STAMP, now);
        assert!(matches!(passed, Passed::Perhaps(_)));
        passed
            .age(Duration::from_secs(age), MINUTE)
            .map(|age| age.as_secs())
    };
    assert_eq!(age(&other(after(1, 10)), 0), Some(10));
    assert_eq!(age(&forward, 0), Some(45));
    assert_eq!(age(&forward, 40), Some(55));
    assert_eq!(age(&back, 40), Some(40));
    assert_eq!(age(&forward, 60), None, "it had expired before");
    // An uptime that runs backwards is another boot, and so is an unknown one.
    let earlier = Stamp { uptime: 0, ..STAMP };
    assert_eq!(
        Passed::between(&STAMP, &earlier),
        Passed::Perhaps(Duration::ZERO)
    );
    let unknown = Stamp {
        boot: [0; 16],
        ..STAMP
    };
    assert_eq!(
        Passed::between(&unknown, &unknown),
        Passed::Perhaps(Duration::ZERO)
    );
}

proptest! {
    #[test]
    fn who_was_older_stays_older(
        ages in [0..120_u64, 0..120_u64],
        passed in 0..1_000_u64,
        known in any::<bool>(),
    ) {
        let passed = Duration::from_secs(passed);
        let passed = if known { Passed::Exactly(passed) } else { Passed::Perhaps(passed) };
        let [a, b] = ages.map(|age| passed.age(Duration::from_secs(age), MINUTE));
        let older = |age: Option<Duration>| age.unwrap_or(MINUTE);
        prop_assert!(ages[0] > ages[1] || older(a) <= older(b));
    }

    #[test]
    fn nonsense_never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let mut bytes = bytes;
        let _ = read(&bytes);
        let head = save(&table([]));
        bytes.splice(0..0, head[..56].iter().copied());
        prop_assert!(read(&bytes).is_err());
    }
}
