//! Table and balance together: route, settle, reload.

use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

use mqtt_lb_user::affinity::{Affinity, BackendId, Candidate, Client, RAMPED, Server, Sticky};
use mqtt_lb_user::config::{Balance, Stick};

fn client(key: Option<&[u8]>) -> Client<'_> {
    Client {
        key,
        source: Ipv4Addr::LOCALHOST.into(),
    }
}

const STICK: Stick = Stick {
    size: 100,
    expire: Duration::from_secs(60),
    nopurge: false,
};

fn servers(ids: &[u32]) -> Vec<Server> {
    let server = |&id: &u32| Server {
        id: BackendId(id),
        address: ([10, 0, 0, id as u8], 1883).into(),
        weight: 1,
    };
    ids.iter().map(server).collect()
}

fn ready(id: u32) -> Candidate {
    Candidate {
        id: BackendId(id),
        weight: 1,
        ramp: RAMPED,
        connections: 0,
        full: false,
        backup: false,
        usable: true,
        sticky_ok: true,
    }
}

fn draining(id: u32) -> Candidate {
    Candidate {
        usable: false,
        ..ready(id)
    }
}

fn down(id: u32) -> Candidate {
    Candidate {
        sticky_ok: false,
        ..draining(id)
    }
}

fn pool(stick: Option<Stick>) -> Affinity {
    Affinity::new(Balance::RoundRobin, stick, &servers(&[1, 2, 3]))
}

/// Routes a client, lets the first choice take it, and says who and how.
fn connect(
    affinity: &mut Affinity,
    now: Instant,
    key: Option<&[u8]>,
    candidates: &[Candidate],
) -> (u32, Sticky) {
    let mut out = Vec::new();
    affinity.route(now, client(key), candidates, &mut out);
    (out[0].0, affinity.settle(now, key, out[0]))
}

#[test]
fn a_client_comes_back_to_its_backend_until_the_entry_expires() {
    let start = Instant::now();
    let mut affinity = pool(Some(STICK));
    let all = [ready(1), ready(2), ready(3)];
    assert_eq!(
        connect(&mut affinity, start, Some(b"a"), &all),
        (1, Sticky::New)
    );
    assert_eq!(
        connect(&mut affinity, start, Some(b"b"), &all),
        (2, Sticky::New)
    );
    for seconds in [30, 60, 119] {
        let now = start + Duration::from_secs(seconds);
        assert_eq!(
            connect(&mut affinity, now, Some(b"a"), &all),
            (1, Sticky::Hit)
        );
    }
    let late = start + Duration::from_secs(119 + 60);
    assert_eq!(
        connect(&mut affinity, late, Some(b"a"), &all),
        (3, Sticky::New)
    );
}

#[test]
fn draining_keeps_its_clients_and_down_loses_them() {
    let now = Instant::now();
    let mut affinity = pool(Some(STICK));
    connect(&mut affinity, now, Some(b"a"), &[ready(1)]);
    let drained = [draining(1), ready(2)];
    assert_eq!(
        connect(&mut affinity, now, Some(b"a"), &drained),
        (1, Sticky::Hit)
    );
    assert_eq!(
        connect(&mut affinity, now, Some(b"new"), &drained),
        (2, Sticky::New)
    );
    assert_eq!(
        connect(&mut affinity, now, Some(b"a"), &[down(1), ready(2)]),
        (2, Sticky::Moved)
    );
    assert_eq!(
        connect(&mut affinity, now, Some(b"a"), &[ready(1), ready(2)]),
        (2, Sticky::Hit)
    );
}

#[test]
fn failover_is_the_next_one_and_moves_the_entry() {
    let now = Instant::now();
    let mut affinity = pool(Some(STICK));
    connect(&mut affinity, now, Some(b"a"), &[ready(2)]);
    let mut out = vec![BackendId(77)];
    affinity.route(
        now,
        client(Some(b"a")),
        &[ready(1), ready(2), ready(3)],
        &mut out,
    );
    assert_eq!(out[0], BackendId(2));
    let mut sorted = out.clone();
    sorted.sort();
    assert_eq!(sorted, [1, 2, 3].map(BackendId));
    assert_eq!(affinity.settle(now, Some(b"a"), out[1]), Sticky::Moved);
    assert_eq!(affinity.table().unwrap().peek(now, b"a"), Some(out[1]));
}

#[test]
fn nobody_to_route_to() {
    let now = Instant::now();
    for balance in [Balance::RoundRobin, Balance::LeastConn, Balance::Hash] {
        let mut affinity = Affinity::new(balance, Some(STICK), &servers(&[1]));
        let mut out = vec![BackendId(1)];
        affinity.route(now, client(Some(b"a")), &[down(1)], &mut out);
        assert!(out.is_empty());
        affinity.reconfigure(balance, Some(STICK), &[]);
        affinity.route(now, client(Some(b"a")), &[], &mut out);
        assert!(out.is_empty());
    }
}

#[test]
fn empty_client_ids_are_balanced_each_time_and_never_stored() {
    let now = Instant::now();
    let all = [ready(1), ready(2), ready(3)];
    for balance in [Balance::RoundRobin, Balance::Hash] {
        let mut affinity = Affinity::new(balance, Some(STICK), &servers(&[1, 2, 3]));
        for key in [None, Some(&b""[..])] {
            for backend in [1, 2, 3] {
                assert_eq!(
                    connect(&mut affinity, now, key, &all),
                    (backend, Sticky::None)
                );
            }
        }
        assert!(affinity.table().unwrap().is_empty());
    }
}

#[test]
fn a_full_table_that_refuses_still_serves_those_it_knows() {
    let now = Instant::now();
    let all = [ready(1), ready(2), ready(3)];
    let mut affinity = pool(Some(Stick {
        size: 1,
        nopurge: true,
        ..STICK
    }));
    assert_eq!(
        connect(&mut affinity, now, Some(b"a"), &all),
        (1, Sticky::New)
    );
    assert_eq!(
        connect(&mut affinity, now, Some(b"b"), &all),
        (2, Sticky::None)
    );
    assert_eq!(
        connect(&mut affinity, now, Some(b"b"), &all),
        (3, Sticky::None)
    );
    assert_eq!(
        connect(&mut affinity, now, Some(b"a"), &all),
        (1, Sticky::Hit)
    );
}

#[test]
fn a_reload_keeps_the_entries_and_turns_of_those_that_stay() {
    let now = Instant::now();
    let all = [ready(1), ready(2), ready(3)];
    let mut affinity = pool(Some(STICK));
    for (key, backend) in [(b"a", 1), (b"b", 2)] {
        assert_eq!(
            connect(&mut affinity, now, Some(key), &all),
            (backend, Sticky::New)
        );
    }
    affinity.reconfigure(Balance::RoundRobin, Some(STICK), &servers(&[2, 3]));
    let left = [ready(2), ready(3)];
    assert_eq!(affinity.table().unwrap().len(), 1);
    assert_eq!(
        connect(&mut affinity, now, Some(b"b"), &left),
        (2, Sticky::Hit)
    );
    assert_eq!(
        connect(&mut affinity, now, Some(b"a"), &left),
        (3, Sticky::New)
    );

    affinity.reconfigure(Balance::Hash, Some(STICK), &servers(&[2, 3]));
    assert_eq!(
        connect(&mut affinity, now, Some(b"a"), &left),
        (3, Sticky::Hit)
    );
    affinity.reconfigure(Balance::Hash, None, &servers(&[2, 3]));
    assert!(affinity.table_mut().is_none());
    assert_eq!(
        connect(&mut affinity, now, Some(b"a"), &left).1,
        Sticky::None
    );
    affinity.reconfigure(Balance::Hash, Some(STICK), &servers(&[2, 3]));
    assert_eq!(
        connect(&mut affinity, now, Some(b"a"), &left).1,
        Sticky::New
    );
}

#[test]
fn a_preview_says_what_the_next_client_gets_and_changes_nothing() {
    let start = Instant::now();
    let all = [ready(1), ready(2), ready(3)];
    for balance in [
        Balance::RoundRobin,
        Balance::LeastConn,
        Balance::Random,
        Balance::Source,
        Balance::Hash,
    ] {
        let mut affinity = Affinity::new(balance, Some(STICK), &servers(&[1, 2, 3]));
        connect(&mut affinity, start, Some(b"known"), &all);
        for seconds in 0..59 {
            let now = start + Duration::from_secs(seconds);
            let key = seconds.to_string();
            for key in [None, Some(&b"known"[..]), Some(key.as_bytes())] {
                let seen = affinity.preview(now, client(key), &all);
                assert_eq!(affinity.preview(now, client(key), &all), seen);
                if key != Some(b"known") {
                    let mut out = Vec::new();
                    affinity.route(now, client(key), &all, &mut out);
                    assert_eq!(out, seen, "{balance:?}");
                }
            }
        }
        let late = start + Duration::from_secs(60);
        let table = affinity.table().unwrap();
        assert_eq!(table.peek(late, b"known"), None, "no look refreshed it");
    }
}
