//! A pool through reloads, and the states of its backends.

use std::collections::HashSet;
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use prometheus_client::registry::Registry as Samples;

use super::registry::Registry;
use super::{AdminState, Backend, Lease, Place, Pool};
use crate::affinity::{Client, Sticky};
use crate::config::{self, Balance, CheckKind, Health, Stick};
use crate::metrics::Metrics;

const HEALTH: Health = Health {
    kind: CheckKind::Tcp,
    interval: Duration::from_secs(1),
    timeout: Duration::from_secs(1),
    rise: 1,
    fall: 1,
};

/// `"a=1 b=2"`: backends by name and weight, at addresses made of both names.
fn config(backends: &str) -> config::Pool {
    let backend = |text: &str| {
        let (name, weight) = text.split_once('=').unwrap();
        config::Backend {
            weight: weight.parse().unwrap(),
            ..config::Backend::new(name, ([10, 0, 0, name.as_bytes()[0]], 1883).into())
        }
    };
    config::Pool {
        stick: Some(Stick {
            size: 100,
            expire: Duration::from_secs(60),
            nopurge: false,
        }),
        failover_codes: Vec::new(),
        health: Some(HEALTH),
        backends: backends.split_whitespace().map(backend).collect(),
        ..config::Pool::default()
    }
}

struct Fixture {
    metrics: Arc<Metrics>,
    registry: Arc<Registry>,
    pool: Pool,
    now: Instant,
}

fn fixture(backends: &str) -> Fixture {
    let metrics = Arc::new(Metrics::new());
    let registry = Arc::new(Registry::new(&metrics));
    Fixture {
        pool: Pool::new("p", &config(backends), &registry),
        metrics,
        registry,
        now: Instant::now(),
    }
}

fn client(key: &str) -> Client<'_> {
    Client {
        key: Some(key.as_bytes()),
        source: Ipv4Addr::LOCALHOST.into(),
    }
}

impl Fixture {
    fn backend(&self, name: &str) -> Arc<Backend> {
        self.pool.backend(name).expect("a backend of the pool")
    }

    fn route(&self, key: &str) -> Vec<String> {
        let admission = self.pool.admit(self.now, client(key));
        let first = match &admission.place {
            Place::Reserved(lease) => Some(lease.backend()),
            _ => None,
        };
        let order = first.into_iter().chain(&admission.others);
        order.map(|b| b.name.clone()).collect()
    }

    /// Routes a client to the first choice, as a flow does.
    fn client(&self, key: &str) -> (Lease, Sticky) {
        let client = client(key);
        let Place::Reserved(lease) = self.pool.admit(self.now, client).place else {
            panic!("no place for {key}");
        };
        let sticky = self.pool.settle(self.now, client.key, lease.backend());
        (lease, sticky)
    }

    fn metric(&self, series: &str) -> Option<i64> {
        let text = self.metrics.encode(&Samples::default()).unwrap();
        let line = text.lines().find_map(|l| l.strip_prefix(series))?;
        Some(line.trim().parse().unwrap())
    }

    fn up(&self, name: &str) -> Option<i64> {
        self.metric(&format!(
            "mqttlb_backend_up{{pool=\"p\",backend=\"{name}\"}}"
        ))
    }

    fn open(&self, name: &str) -> Option<i64> {
        let labels = format!("{{pool=\"p\",backend=\"{name}\"}}");
        self.metric(&format!("mqttlb_backend_connections{labels}"))
    }
}

#[test]
fn a_route_offers_every_usable_backend_once() {
    let f = fixture("a=1 b=1 c=0 d=1");
    for n in 0..6 {
        let route = f.route(&n.to_string());
        let names: HashSet<_> = route.iter().map(String::as_str).collect();
        assert_eq!(names, HashSet::from(["a", "b", "d"]));
        assert_eq!(route.len(), 3);
    }
}

#[test]
fn drain_takes_known_clients_only_and_maint_nobody() {
    let f = fixture("a=1 b=1");
    let (home, sticky) = f.client("k");
    assert_eq!(sticky, Sticky::New);
    let home = Arc::clone(home.backend());

    home.set_admin_state(AdminState::Drain);
    assert_eq!(f.route("k")[0], home.name);
    assert!(!f.route("new").contains(&home.name));
    assert_eq!(f.up(&home.name), Some(0));

    home.set_admin_state(AdminState::Maint);
    assert!(!f.route("k").contains(&home.name));
    let (_, sticky) = f.client("k");
    assert_eq!(sticky, Sticky::Moved);

    home.set_admin_state(AdminState::Ready);
    assert_eq!(f.up(&home.name), Some(1));
    assert_eq!(f.client("k").1, Sticky::Hit);
}

#[test]
fn down_takes_nobody_whatever_the_operator_wants() {
    let f = fixture("a=1 b=1");
    let (lease, _) = f.client("k");
    let home = Arc::clone(lease.backend());
    assert!(home.is_up());
    home.record(false, &HEALTH);
    assert!(!home.is_up());
    assert_eq!(f.up(&home.name), Some(0));
    assert!(!f.route("k").contains(&home.name));
    home.set_admin_state(AdminState::Drain);
    assert!(!f.route("k").contains(&home.name));
    home.set_admin_state(AdminState::Ready);
    home.record(true, &HEALTH);
    assert_eq!(f.route("k")[0], home.name);
}

#[test]
fn nobody_usable_is_an_empty_route() {
    let f = fixture("a=1");
    f.backend("a").record(false, &HEALTH);
    assert!(f.route("k").is_empty());
}

#[test]
fn leases_count_until_they_are_dropped() {
    let f = fixture("a=1");
    let a = f.backend("a");
    let leases: Vec<_> = (0..3).map(|_| a.open()).collect();
    assert_eq!((a.connections(), f.open("a")), (3, Some(3)));
    drop(leases);
    assert_eq!((a.connections(), f.open("a")), (0, Some(0)));
}

#[test]
fn settle_counts_sessions_and_answers() {
    let f = fixture("a=1");
    for _ in 0..3 {
        f.client("k");
    }
    f.pool.settle(f.now, None, &f.backend("a"));
    let sessions = f.metric("mqttlb_sessions_total{pool=\"p\",backend=\"a\"}");
    assert_eq!(sessions, Some(4));
    for (answer, count) in [("new", 1), ("hit", 2), ("none", 1), ("moved", 0)] {
        let series = format!("mqttlb_sticky_total{{pool=\"p\",result=\"{answer}\"}}");
        assert_eq!(f.metric(&series), Some(count), "{answer}");
    }
}

#[test]
fn a_reload_keeps_ids_connections_states_and_entries() {
    let f = fixture("a=1 b=1");
    let (lease, _) = f.client("k");
    let home = Arc::clone(lease.backend());
    home.set_admin_state(AdminState::Drain);
    home.record(false, &HEALTH);

    f.pool.apply(&config("b=7 x=1 a=7"));
    let after = f.backend(&home.name);
    assert!(Arc::ptr_eq(&home, &after));
    assert_eq!((after.weight(), after.connections()), (7, 1));
    assert_eq!(after.admin_state(), AdminState::Drain);
    assert!(!after.is_up());
    after.record(true, &HEALTH);
    assert_eq!(f.route("k")[0], home.name);
    assert_eq!(f.pool.settings().backends.len(), 3);
}

#[test]
fn a_removed_backend_counts_until_its_last_lease_and_gets_nobody() {
    let f = fixture("a=1 b=1");
    let a = f.backend("a");
    let (first, second) = (a.open(), a.open());
    let key = Some(&b"k"[..]);
    f.pool.settle(f.now, key, &a);
    f.pool.apply(&config("b=1"));

    assert_eq!(f.route("k"), ["b"]);
    assert_eq!((a.connections(), f.open("a")), (2, Some(2)));
    assert_eq!(f.up("a"), None);
    a.record(false, &HEALTH);
    a.set_admin_state(AdminState::Maint);
    assert_eq!(
        f.up("a"),
        None,
        "a late check must not bring the series back"
    );
    assert_eq!(f.pool.settle(f.now, key, &a), Sticky::None);
    drop(first);
    assert_eq!((a.connections(), f.open("a")), (1, Some(1)));

    drop((second, a));
    f.pool.apply(&config("b=1"));
    assert_eq!(f.open("a"), None);
}

#[test]
fn a_backend_that_comes_back_while_it_has_connections_is_the_same() {
    let f = fixture("a=1 b=1");
    let lease = f.backend("a").open();
    f.pool.apply(&config("b=1"));
    f.pool.apply(&config("a=1 b=1"));
    assert!(Arc::ptr_eq(lease.backend(), &f.backend("a")));
    assert_eq!((f.up("a"), f.open("a")), (Some(1), Some(1)));
}

#[test]
fn ids_are_never_used_twice() {
    let f = fixture("a=1");
    let mut seen = HashSet::from([f.backend("a").id]);
    for name in ["b", "c", "a"] {
        f.pool.apply(&config(&format!("{name}=1")));
        assert!(seen.insert(f.backend(name).id), "{name}");
    }
    let other = Pool::new("q", &config("a=1"), &f.registry);
    assert!(seen.insert(other.backend("a").unwrap().id));
}

#[test]
fn a_new_address_is_a_new_machine() {
    let f = fixture("a=1");
    f.backend("a").record(false, &HEALTH);
    f.pool.apply(&config("a=2"));
    assert!(!f.backend("a").is_up(), "the same address stays down");
    let mut moved = config("a=2");
    moved.backends[0].address = "10.9.9.9:1883".parse().unwrap();
    f.pool.apply(&moved);
    assert!(f.backend("a").is_up());
    assert_eq!(f.backend("a").address(), moved.backends[0].address);
}

#[test]
fn routes_and_reloads_at_once_fit_together() {
    let f = fixture("a=1 b=1");
    // The hash ring knows only the servers of its own configuration.
    let [even, odd] = ["a=1 b=1", "c=1 d=1"].map(|backends| config::Pool {
        balance: Balance::Hash,
        ..config(backends)
    });
    f.pool.apply(&even);
    std::thread::scope(|scope| {
        let reloads = scope.spawn(|| {
            for n in 0..200 {
                f.pool.apply(if n % 2 == 0 { &odd } else { &even });
            }
        });
        let mut routes = 0;
        while !reloads.is_finished() || routes < 100 {
            let mut route = f.route("k");
            route.sort_unstable();
            assert!(route == ["a", "b"] || route == ["c", "d"], "{route:?}");
            routes += 1;
        }
    });
}
