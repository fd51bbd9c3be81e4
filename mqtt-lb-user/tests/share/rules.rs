//! The rules one by one.

use std::time::{Duration, Instant};

use mqtt_lb_user::share::record::Record;
use mqtt_lb_user::share::{Names, Outcome};

use crate::node::{EXPIRE, Node, settle};
use crate::redis::Redis;

const TOGETHER: Duration = Duration::ZERO;

fn two(start: Instant, limit: usize) -> [Node; 2] {
    [1, 2].map(|n| Node::new(n, start, TOGETHER, limit))
}

/// What a node has counted since the last call.
fn outcomes(node: &mut Node) -> Vec<(Outcome, u64)> {
    let tally = node.replica.take_tally();
    tally.received().filter(|(_, count)| *count > 0).collect()
}

fn counted(node: &mut Node, outcome: Outcome) -> bool {
    outcomes(node)
        .iter()
        .any(|(counted, _)| *counted == outcome)
}

#[test]
fn a_client_is_known_to_the_other_balancer_by_its_backends_name() {
    let now = Instant::now();
    let (mut redis, mut nodes) = (Redis::default(), two(now, 10));
    settle(now, &mut redis, &mut nodes);
    nodes[0].set(now, b"c1", "b2");
    settle(now, &mut redis, &mut nodes);
    assert_eq!(nodes[1].backend(now, b"c1").as_deref(), Some("b2"));
    assert_ne!(nodes[0].id("b2"), nodes[1].id("b2"));
}

#[test]
fn a_starting_balancer_reads_what_is_there() {
    let now = Instant::now();
    let (mut redis, mut nodes) = (Redis::default(), two(now, 1000));
    for n in 0..50_u8 {
        nodes[0].set(now, &[n], "b3");
    }
    settle(now, &mut redis, &mut nodes[..1]);
    while !nodes[1].replica.is_filled() {
        assert!(nodes[1].step(now, &mut redis));
    }
    assert!((0..50).all(|n| nodes[1].backend(now, &[n]).as_deref() == Some("b3")));
}

#[test]
fn an_entry_read_later_expires_with_the_one_it_copies() {
    let start = Instant::now();
    let (mut redis, mut nodes) = (Redis::default(), two(start, 10));
    nodes[0].set(start, b"c1", "b1");
    settle(start, &mut redis, &mut nodes[..1]);
    let later = start + EXPIRE / 2;
    settle(later, &mut redis, &mut nodes);
    // Copies live a tenth longer: matches are told no more often than that.
    let end = start + EXPIRE + EXPIRE / 10;
    let before = end - Duration::from_millis(2);
    assert!(nodes[1].backend(before, b"c1").is_some());
    assert_eq!(nodes[1].backend(end, b"c1"), None);
    let mut third = [Node::new(3, end, end - start, 10)];
    settle(end, &mut redis, &mut third);
    assert_eq!(third[0].backend(end, b"c1"), None);
    assert_eq!(outcomes(&mut third[0]), [(Outcome::Expired, 1)]);
}

#[test]
fn a_removal_while_apart_reaches_the_other_side() {
    let now = Instant::now();
    let (mut redis, mut nodes) = (Redis::default(), two(now, 10));
    for key in [b"c1", b"c2", b"c3"] {
        nodes[0].set(now, key, if key == b"c2" { "b2" } else { "b1" });
    }
    settle(now, &mut redis, &mut nodes);
    nodes.iter_mut().for_each(Node::lose);
    nodes[0].table.remove(now, b"c1");
    let backend = nodes[0].id("b2");
    nodes[0].table.clear_backend(backend);
    settle(now, &mut redis, &mut nodes);
    for node in &mut nodes {
        let seen = [b"c1", b"c2", b"c3"].map(|key| node.backend(now, key).is_some());
        assert_eq!(seen, [false, false, true]);
    }
}

#[test]
fn a_client_that_came_after_the_clear_stays() {
    let now = Instant::now();
    let (mut redis, mut nodes) = (Redis::default(), two(now, 10));
    nodes[0].set(now, b"c1", "b1");
    settle(now, &mut redis, &mut nodes);
    nodes[1].lose();
    nodes[0].table.clear();
    settle(now, &mut redis, &mut nodes[..1]);
    let later = now + Duration::from_millis(1);
    nodes[1].set(later, b"c2", "b2");
    settle(later, &mut redis, &mut nodes);
    for node in &mut nodes {
        assert_eq!(node.backend(later, b"c1"), None);
        assert_eq!(node.backend(later, b"c2").as_deref(), Some("b2"));
    }
}

#[test]
fn a_backend_that_is_not_here_is_skipped_and_read_once_it_is() {
    let now = Instant::now();
    let (mut redis, mut nodes) = (Redis::default(), two(now, 10));
    let all = std::mem::take(&mut nodes[1].names);
    nodes[1].names = [(all.id("b1").expect("b1"), "b1".to_owned())]
        .into_iter()
        .collect::<Names>();
    nodes[0].set(now, b"c1", "b3");
    settle(now, &mut redis, &mut nodes);
    assert_eq!(nodes[1].backend(now, b"c1"), None);
    assert!(counted(&mut nodes[1], Outcome::UnknownBackend));
    nodes[1].names = all;
    nodes[1].replica.missed();
    settle(now, &mut redis, &mut nodes);
    assert_eq!(nodes[1].backend(now, b"c1").as_deref(), Some("b3"));
}

#[test]
fn what_was_there_before_sharing_is_told_with_the_time_of_its_match() {
    let start = Instant::now();
    let mut redis = Redis::default();
    let mut nodes = [Node::alone(1), Node::new(2, start, TOGETHER, 10)];
    nodes[0].set(start, b"old", "b1");
    nodes[0].set(start, b"only", "b1");
    let later = start + Duration::from_secs(10);
    nodes[1].set(later, b"old", "b2");
    nodes[0].share(1, start, TOGETHER, 10);
    settle(later, &mut redis, &mut nodes);
    for node in &mut nodes {
        assert_eq!(node.backend(later, b"old").as_deref(), Some("b2"));
        assert_eq!(node.backend(later, b"only").as_deref(), Some("b1"));
    }
}

#[test]
fn another_programs_keys_do_no_harm() {
    let now = Instant::now();
    let (mut redis, mut nodes) = (Redis::default(), two(now, 10));
    redis.entries.insert(b"c1".to_vec(), b"hello".to_vec());
    settle(now, &mut redis, &mut nodes[..1]);
    assert_eq!(outcomes(&mut nodes[0]), [(Outcome::Malformed, 1)]);
}

#[test]
fn a_clock_that_is_hours_ahead_is_not_believed() {
    let now = Instant::now();
    let mut redis = Redis::default();
    let ahead = Duration::from_secs(7200);
    let mut nodes = [
        Node::new(1, now, TOGETHER, 10),
        Node::new(2, now, ahead, 10),
    ];
    nodes[1].set(now, b"c1", "b1");
    settle(now, &mut redis, &mut nodes);
    assert_eq!(nodes[0].backend(now, b"c1"), None);
    assert!(counted(&mut nodes[0], Outcome::Ahead));
}

#[test]
fn a_full_table_keeps_what_was_matched_later() {
    let start = Instant::now();
    let (mut redis, mut nodes) = (Redis::default(), two(start, 1000));
    nodes[0].set(start, b"old", "b1");
    let later = start + Duration::from_secs(1);
    for n in 0..100_u8 {
        nodes[1].set(later, &[n], "b2");
    }
    settle(later, &mut redis, &mut nodes);
    assert_eq!(nodes[1].backend(later, b"old"), None);
    assert_eq!(nodes[1].table.len(), 100);
    assert_eq!(
        nodes[0].backend(later, b"old"),
        None,
        "the oldest makes room"
    );
    assert_eq!(nodes[0].table.len(), 100);
}

#[test]
fn values_in_redis_are_readable_text() {
    let now = Instant::now();
    let (mut redis, mut nodes) = (Redis::default(), two(now, 10));
    nodes[0].set(now, b"c1", "b1");
    nodes[0].set(now, b"c1", "b2");
    settle(now, &mut redis, &mut nodes);
    let value = &redis.entries[&b"c1"[..]];
    let record = Record::decode(value).expect("a record");
    let expected = format!("{} b2 b1", record.version.text());
    assert_eq!(String::from_utf8_lossy(value), expected);
}
