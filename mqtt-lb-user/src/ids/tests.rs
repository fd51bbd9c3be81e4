use super::*;

fn ids(config: config::Ids) -> (Ids, Instant) {
    let now = Instant::now();
    (Ids::new(&config, now), now)
}

fn never(_: u64) -> bool {
    unreachable!("no flow is without sockets")
}

#[test]
fn an_id_that_is_live_is_taken_over_by_whoever_is_accepted() {
    let (ids, now) = ids(config::Ids::default());
    let first = ids.connect(now, 1, b"c0", never);
    assert!(!first.live && !ids.accepted(first, never));
    let second = ids.connect(now, 1, b"c0", never);
    let elsewhere = ids.connect(now, 2, b"c0", never);
    assert!(second.live && !elsewhere.live, "ids are of a pool");
    // The broker ends the first one before it answers the second one.
    ids.ended(first.number, true);
    assert!(ids.accepted(second, never));
    assert!(!ids.accepted(elsewhere, never));
    ids.ended(second.number, true);
    assert!(!ids.connect(now, 1, b"c0", never).live);
    assert_eq!(ids.report(1).rows[0].takeovers, 1);
}

#[test]
fn two_that_come_at_once_are_a_takeover() {
    let (ids, now) = ids(config::Ids::default());
    let [first, second] = [(); 2].map(|()| ids.connect(now, 1, b"c0", never));
    assert!(!ids.accepted(first, never));
    assert!(ids.accepted(second, never));
}

#[test]
fn a_flow_without_sockets_is_taken_over_unless_it_closes() {
    let (ids, now) = ids(config::Ids::default());
    let number = ids.enter(1, b"c0");
    ids.dissolved(number, 77);
    assert!(ids.connect(now, 1, b"c0", |flow| flow != 77).live);
    let late = ids.connect(now, 1, b"c0", |flow| flow == 77);
    assert!(!late.live && !ids.accepted(late, |_| true));
    ids.ended(number, false);
    ids.ended(late.number, true);
    assert_eq!(ids.usage().live.0, 0);
}

#[test]
fn an_id_flaps_when_it_comes_back_within_the_window() {
    let (ids, now) = ids(config::Ids::default());
    let connect = |seconds| {
        let at = now + Duration::from_secs(seconds);
        ids.connect(at, 1, b"c0", never).flapping
    };
    assert!(!connect(0));
    assert!(connect(10));
    assert!(!connect(21));
    assert!(connect(22));
    let row = &ids.report(1).rows[0];
    assert_eq!((row.connects, row.flaps), (4, 2));
    ids.clear(now);
    assert_eq!(ids.report(1).total, 0);
}

#[test]
fn a_reload_changes_sizes_and_window() {
    let (ids, now) = ids(config::Ids::default());
    ids.connect(now, 1, b"c0", never);
    let config = config::Ids {
        top: 3,
        recent: 8,
        flapping: Duration::from_secs(1),
    };
    ids.apply(&config);
    let usage = ids.usage();
    assert_eq!((usage.top.0, usage.top.1, usage.recent), (1, 3, (8, 64)));
    ids.connect(now, 1, b"c0", never);
    ids.apply(&config);
    let soon = now + Duration::from_secs(1);
    assert!(ids.connect(soon, 1, b"c0", never).flapping, "still known");
    let late = now + Duration::from_secs(3);
    assert!(!ids.connect(late, 1, b"c0", never).flapping);
    let off = config::Ids {
        top: 0,
        recent: 0,
        ..config
    };
    ids.apply(&off);
    assert!(!ids.connect(late, 1, b"c0", never).flapping);
    assert!(ids.report(9).rows.is_empty());
}
