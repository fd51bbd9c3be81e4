//! Places and the line for them, with all workers at once.

use std::net::Ipv4Addr;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::sync::{Arc, Barrier};
use std::time::{Duration, Instant};

use super::registry::Registry;
use super::{AdminState, Backend, Lease, Place, Pool, Waiting};
use crate::affinity::{Client, Sticky};
use crate::config::{self, Queue, Stick};
use crate::metrics::Metrics;

const LONG: Duration = Duration::from_secs(60);

/// `"a=1 b=0"`: backends by name and maxconn, with a stick table.
fn settings(backends: &str, size: Option<usize>) -> config::Pool {
    let backend = |text: &str| {
        let (name, most) = text.split_once('=').unwrap();
        config::Backend {
            maxconn: Some(most.parse().unwrap()).filter(|most| *most > 0),
            ..config::Backend::new(name, ([10, 0, 0, name.as_bytes()[0]], 1883).into())
        }
    };
    config::Pool {
        stick: Some(Stick::default()),
        queue: size.map(|size| Queue {
            size,
            timeout: LONG,
        }),
        backends: backends.split_whitespace().map(backend).collect(),
        ..config::Pool::default()
    }
}

fn pool(backends: &str, size: Option<usize>) -> Pool {
    let registry = Arc::new(Registry::new(&Arc::new(Metrics::new())));
    Pool::new("p", &settings(backends, size), &registry)
}

fn client(key: &str) -> Client<'_> {
    Client {
        key: Some(key.as_bytes()),
        source: Ipv4Addr::LOCALHOST.into(),
    }
}

fn reserved(pool: &Pool, key: &str) -> Lease {
    match pool.admit(Instant::now(), client(key)).place {
        Place::Reserved(lease) => lease,
        _ => panic!("no place for {key}"),
    }
}

fn waiting(pool: &Pool, key: &str) -> Waiting {
    match pool.admit(Instant::now(), client(key)).place {
        Place::Waiting(waiting) => waiting,
        _ => panic!("{key} need not wait"),
    }
}

async fn place(waiting: Waiting) -> Option<Arc<Backend>> {
    let lease = waiting.place(Instant::now() + LONG).await?;
    Some(Arc::clone(lease.backend()))
}

fn backend(pool: &Pool, name: &str) -> Arc<Backend> {
    pool.backend(name).unwrap()
}

/// The client belongs to this backend.
fn belongs(pool: &Pool, key: &str, name: &str) {
    let id = backend(pool, name).id;
    pool.with_table(|table| table.set(Instant::now(), key.as_bytes(), id));
}

#[test]
fn no_worker_gets_a_place_beyond_the_limit() {
    let pool = pool("a=5 b=3", None);
    let (start, full) = (Barrier::new(8), AtomicU64::new(0));
    std::thread::scope(|scope| {
        for worker in 0..8 {
            let (pool, start, full) = (&pool, &start, &full);
            scope.spawn(move || {
                start.wait();
                let mut held = Vec::new();
                for n in 0..500 {
                    match pool
                        .admit(Instant::now(), client(&format!("{worker}/{n}")))
                        .place
                    {
                        Place::Reserved(lease) => held.push(lease),
                        Place::Full => {
                            full.fetch_add(1, SeqCst);
                            held.clear();
                        }
                        Place::Waiting(_) | Place::Nobody => panic!("no queue, all are up"),
                    }
                    for (name, most) in [("a", 5), ("b", 3)] {
                        assert!(backend(pool, name).connections() <= most, "{name}");
                    }
                }
            });
        }
    });
    let left: u64 = ["a", "b"]
        .map(|name| backend(&pool, name).connections())
        .iter()
        .sum();
    assert_eq!(left, 0);
    assert!(full.into_inner() > 0, "the limit has not been met");
}

#[test]
fn no_place_is_lost_between_who_leaves_it_and_who_waits() {
    let pool = Arc::new(pool("a=2 b=1", Some(10_000)));
    std::thread::scope(|scope| {
        for worker in 0..4_u32 {
            let pool = &pool;
            scope.spawn(move || {
                let runtime = tokio::runtime::Builder::new_current_thread()
                    .enable_time()
                    .build()
                    .unwrap();
                let visit = |n| visit(Arc::clone(pool), worker * 100 + n);
                runtime.block_on(async {
                    let visits: Vec<_> = (0..100).map(|n| tokio::spawn(visit(n))).collect();
                    for visit in visits {
                        visit.await.unwrap();
                    }
                });
            });
        }
    });
    for name in ["a", "b"] {
        assert_eq!(backend(&pool, name).connections(), 0, "{name}");
    }
}

/// One client that comes, stays a moment, and goes; some do not wait for their place.
async fn visit(pool: Arc<Pool>, number: u32) {
    let lease = match pool
        .admit(Instant::now(), client(&number.to_string()))
        .place
    {
        Place::Reserved(lease) => lease,
        Place::Waiting(waiting) if number.is_multiple_of(7) => {
            // It leaves, perhaps at the moment that its place comes.
            tokio::task::yield_now().await;
            return drop(waiting);
        }
        Place::Waiting(waiting) => waiting.place(Instant::now() + LONG).await.expect("a place"),
        Place::Full | Place::Nobody => panic!("there is room to wait"),
    };
    let most = if lease.backend().name == "a" { 2 } else { 1 };
    assert!(lease.backend().connections() <= most);
    tokio::task::yield_now().await;
}

#[tokio::test]
async fn a_place_goes_to_who_waits_and_not_to_who_comes() {
    let pool = pool("a=1", Some(2));
    let holder = reserved(&pool, "holder");
    let (first, second) = (waiting(&pool, "first"), waiting(&pool, "second"));
    assert!(matches!(
        pool.admit(Instant::now(), client("third")).place,
        Place::Full
    ));
    drop(holder);
    let late = pool.admit(Instant::now(), client("late")).place;
    assert!(matches!(late, Place::Waiting(_)), "the place is taken");
    drop(late);
    let lease = first.place(Instant::now() + LONG).await.expect("its turn");
    assert_eq!(lease.backend().connections(), 1);
    drop(second);
    drop(lease);
    assert_eq!(backend(&pool, "a").connections(), 0);
    reserved(&pool, "anybody");
}

#[tokio::test]
async fn a_place_that_comes_with_the_timeout_is_not_lost() {
    let pool = pool("a=1", Some(2));
    let holder = reserved(&pool, "holder");
    let (first, second) = (waiting(&pool, "first"), waiting(&pool, "second"));
    drop(holder);
    // Called, but it never looks.
    drop(first);
    assert_eq!(place(second).await.unwrap().name, "a");
    let holder = reserved(&pool, "holder");
    let late = waiting(&pool, "late");
    assert!(late.place(Instant::now()).await.is_none());
    drop(holder);
    reserved(&pool, "anybody");
}

#[tokio::test]
async fn a_known_client_waits_for_its_own_backend() {
    let pool = pool("a=1 b=9", Some(9));
    belongs(&pool, "holder", "a");
    belongs(&pool, "known", "a");
    let holder = reserved(&pool, "holder");
    let known = waiting(&pool, "known");
    assert_eq!(reserved(&pool, "new").backend().name, "b");
    let after = pool.admit_now(Instant::now(), client("known"));
    assert!(
        after.displaced,
        "in vain: it goes elsewhere, and keeps its entry"
    );
    drop(after);
    drop(holder);
    assert_eq!(place(known).await.unwrap().name, "a");
}

#[tokio::test]
async fn whose_backend_leaves_is_served_by_another_one() {
    for leaves in [
        (|pool| backend(pool, "a").set_admin_state(AdminState::Maint)) as fn(&Pool),
        |pool| pool.apply(&settings("b=9", Some(9))),
    ] {
        let pool = pool("a=1 b=9", Some(9));
        belongs(&pool, "holder", "a");
        belongs(&pool, "known", "a");
        let _holder = reserved(&pool, "holder");
        let known = waiting(&pool, "known");
        leaves(&pool);
        assert_eq!(place(known).await.unwrap().name, "b");
    }
}

#[tokio::test]
async fn a_draining_backend_serves_its_own_who_wait() {
    let pool = pool("a=1", Some(9));
    belongs(&pool, "holder", "a");
    belongs(&pool, "known", "a");
    let holder = reserved(&pool, "holder");
    let new = waiting(&pool, "new");
    let known = waiting(&pool, "known");
    backend(&pool, "a").set_admin_state(AdminState::Drain);
    drop(holder);
    assert_eq!(place(known).await.unwrap().name, "a");
    assert!(new.place(Instant::now()).await.is_none());
}

#[tokio::test]
async fn whatever_brings_places_serves_who_waits() {
    let brings: [fn(&Pool); 3] = [
        |pool| pool.apply(&settings("a=2", Some(9))),
        |pool| pool.apply(&settings("a=1 b=1", Some(9))),
        |pool| pool.apply(&settings("a=0", Some(9))),
    ];
    for brings in brings {
        let pool = pool("a=1", Some(9));
        let _holder = reserved(&pool, "holder");
        let new = waiting(&pool, "new");
        brings(&pool);
        assert!(place(new).await.is_some());
    }
}

#[tokio::test]
async fn nobody_waits_in_a_queue_that_has_gone() {
    let pool = pool("a=1", Some(9));
    let _holder = reserved(&pool, "holder");
    let new = waiting(&pool, "new");
    pool.apply(&settings("a=1", None));
    assert!(place(new).await.is_none());
}

#[test]
fn without_a_queue_a_displaced_client_keeps_its_entry() {
    let pool = pool("a=1 b=9", None);
    belongs(&pool, "holder", "a");
    belongs(&pool, "known", "a");
    let holder = reserved(&pool, "holder");
    let admission = pool.admit(Instant::now(), client("known"));
    assert!(admission.displaced);
    let Place::Reserved(lease) = admission.place else {
        panic!("b has room");
    };
    assert_eq!(pool.visit(lease.backend()), Sticky::Moved);
    drop(holder);
    let admission = pool.admit(Instant::now(), client("known"));
    assert!(!admission.displaced);
    assert!(matches!(admission.place, Place::Reserved(lease) if lease.backend().name == "a"));
}

#[test]
fn who_comes_up_is_in_its_slow_start() {
    let pool = pool("a=0 b=0", None);
    let minute = Duration::from_secs(60);
    let ramp = |name| backend(&pool, name).ramp(Instant::now(), minute);
    assert_eq!(ramp("a"), 100, "up since the start");
    backend(&pool, "a").set_admin_state(AdminState::Drain);
    backend(&pool, "a").set_admin_state(AdminState::Ready);
    assert_eq!(ramp("a"), 100, "a drain is no restart");
    backend(&pool, "a").set_admin_state(AdminState::Maint);
    backend(&pool, "a").set_admin_state(AdminState::Ready);
    assert!(ramp("a") < 100);
    pool.apply(&settings("a=0 b=0 c=0", None));
    assert_eq!(ramp("b"), 100);
    assert!(ramp("c") < 100, "added by a reload");
    let health = config::Health {
        rise: 1,
        fall: 1,
        ..config::Health::default()
    };
    backend(&pool, "b").record(false, &health);
    backend(&pool, "b").record(true, &health);
    assert!(ramp("b") < 100, "its checks found it up");
}
