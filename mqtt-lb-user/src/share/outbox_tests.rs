use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use super::*;
use crate::share::Anchor;

const EXPIRE: Duration = Duration::from_secs(600);

fn outbox(start: Instant, limit: usize) -> Outbox {
    let anchor = Anchor {
        at: start,
        unix_millis: 1_700_000_000_000,
    };
    Outbox::new(Clock::new(anchor, 1), limit, Box::new(|| ()))
}

fn keys(taken: &[(Arc<[u8]>, What)]) -> Vec<&[u8]> {
    taken.iter().map(|(key, _)| &key[..]).collect()
}

#[test]
fn a_storm_of_one_client_is_one_message() {
    let start = Instant::now();
    let mut outbox = outbox(start, 10);
    let mut version = outbox.matched(start, b"a", Version::NONE, true, EXPIRE);
    for second in 0..600 {
        let now = start + Duration::from_secs(second);
        version = outbox.matched(now, b"a", version, false, EXPIRE);
    }
    assert_eq!(outbox.len(), 1);
    assert_eq!(keys(&outbox.take(10)), [b"a"]);
}

#[test]
fn a_match_is_told_once_in_a_tenth_of_the_expire_time() {
    let start = Instant::now();
    let mut outbox = outbox(start, 10);
    let mut version = outbox.matched(start, b"a", Version::NONE, false, EXPIRE);
    let mut told = outbox.take(10).len();
    for second in 0..600 {
        let now = start + Duration::from_secs(second);
        version = outbox.matched(now, b"a", version, false, EXPIRE);
        told += outbox.take(10).len();
    }
    assert_eq!(told, 10);
    let moved = outbox.matched(start, b"a", version, true, EXPIRE);
    assert!(moved > version, "a move does not wait");
    assert_eq!(outbox.len(), 1);
}

#[test]
fn a_full_queue_drops_changes_counts_them_and_still_takes_removals() {
    let start = Instant::now();
    let mut outbox = outbox(start, 2);
    for key in [b"a", b"b", b"c"] {
        let _ = outbox.matched(start, key, Version::NONE, true, EXPIRE);
    }
    assert_eq!(outbox.len(), 2);
    assert_eq!(outbox.take_dropped(), 1);
    assert!(outbox.take_overflowed());
    for key in [b"c", b"d"] {
        outbox.removed(start, key);
    }
    assert_eq!(outbox.take_dropped(), 0);
    outbox.removed(start, b"e");
    assert_eq!(outbox.take_dropped(), 1);
    assert!(!outbox.take_overflowed());
    assert_eq!(keys(&outbox.take(3)), [b"a", b"b", b"c"]);
    assert_eq!(outbox.len(), 1);
}

#[test]
fn bytes_of_keys_are_bounded_too() {
    let start = Instant::now();
    let mut outbox = outbox(start, 1000);
    for n in 0..1000_u32 {
        let mut key = vec![0; 60_000];
        key[..4].copy_from_slice(&n.to_ne_bytes());
        let _ = outbox.matched(start, &key, Version::NONE, true, EXPIRE);
    }
    assert_eq!(outbox.len(), 1000 * KEY_BYTES / 60_000);
}

#[test]
fn the_last_word_on_a_key_is_said() {
    let start = Instant::now();
    let mut outbox = outbox(start, 10);
    let _ = outbox.matched(start, b"a", Version::NONE, true, EXPIRE);
    outbox.removed(start, b"a");
    let removal = outbox.removal(b"a", BackendId(1));
    assert!(removal > Version::NONE);
    assert_eq!(outbox.take(1)[0].1, What::Removal(removal));
    outbox.removed(start, b"b");
    let _ = outbox.matched(start, b"b", Version::NONE, true, EXPIRE);
    assert_eq!(outbox.take(1)[0].1, What::Entry);
}

#[test]
fn what_did_not_arrive_comes_back_unless_something_newer_waits() {
    let start = Instant::now();
    let mut outbox = outbox(start, 10);
    for key in [b"a", b"b"] {
        outbox.removed(start, key);
    }
    outbox.cleared(start, None);
    let taken = outbox.take(10);
    let clears = outbox.take_clears();
    assert!(outbox.is_empty());
    let _ = outbox.matched(start, b"b", Version::NONE, true, EXPIRE);
    let removals = taken.into_iter().filter_map(|(key, what)| match what {
        What::Removal(version) => Some((key, version)),
        What::Entry => None,
    });
    outbox.give_back(removals, clears);
    assert_eq!(outbox.len(), 3);
    let again: Vec<_> = outbox.take(10).into_iter().map(|(_, what)| what).collect();
    assert!(
        matches!(again[..], [What::Entry, What::Removal(_)]),
        "{again:?}"
    );
    assert_eq!(outbox.take_clears().len(), 1);
}

#[test]
fn it_wakes_who_empties_it() {
    let woken = Arc::new(AtomicUsize::new(0));
    let start = Instant::now();
    let mut outbox = outbox(start, 10);
    let count = woken.clone();
    outbox.wake = Box::new(move || {
        count.fetch_add(1, Relaxed);
    });
    outbox.removed(start, b"a");
    outbox.cleared(start, Some(BackendId(1)));
    assert_eq!(woken.load(Relaxed), 2);
}
