//! Outages, additions and flapping of whole pools, with a clock that the test moves.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::{Account, Closing};
use crate::affinity::{Affinity, BackendId, Candidate, Client, RAMPED, Server, Sticky};
use crate::config::{Balance, Rebalance, Stick};

/// A backend that takes new clients.
pub(super) fn up(id: u32) -> Candidate {
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

/// A backend that takes nobody.
pub(super) fn down(id: u32) -> Candidate {
    Candidate {
        usable: false,
        sticky_ok: false,
        ..up(id)
    }
}

const SETTINGS: Rebalance = Rebalance {
    rate: 10,
    max_moved: 0.5,
    skew: 1.1,
    settle: Duration::from_secs(10),
    close_idle: true,
    idle: Duration::from_secs(10),
};

/// A pool, its backends as they are now, and the time.
struct World {
    affinity: Affinity,
    backends: Vec<Candidate>,
    now: Instant,
}

impl World {
    fn new(settings: Option<Rebalance>, backends: &[u32]) -> Self {
        let server = |id: &u32| Server {
            id: BackendId(*id),
            address: ([10, 0, 0, *id as u8], 1883).into(),
            weight: 1,
        };
        let servers: Vec<_> = backends.iter().map(server).collect();
        let stick = Stick {
            size: 10_000,
            expire: Duration::from_secs(86_400),
            nopurge: false,
        };
        let mut affinity = Affinity::new(Balance::RoundRobin, Some(stick), &servers);
        affinity.rebalance(settings);
        Self {
            affinity,
            backends: backends.iter().map(|id| up(*id)).collect(),
            now: Instant::now(),
        }
    }

    fn set(&mut self, candidate: Candidate) {
        self.backends.retain(|c| c.id != candidate.id);
        self.backends.push(candidate);
        self.backends.sort_by_key(|c| c.id);
        self.affinity.observe(self.now, &self.backends);
    }

    fn wait(&mut self, time: Duration) {
        self.now += time;
        self.affinity.observe(self.now, &self.backends);
    }

    /// A client connects and its first choice takes it.
    fn connect(&mut self, id: usize) -> (u32, Sticky) {
        let key = name(id);
        let mut order = Vec::new();
        let client = Client {
            key: Some(&key),
            source: [10, 1, 0, 1].into(),
        };
        let foretold = self.affinity.preview(self.now, client, &self.backends);
        self.affinity
            .route(self.now, client, &self.backends, &mut order);
        assert_eq!(order, foretold);
        let sticky = self.affinity.settle(self.now, Some(&key), order[0]);
        (order[0].0, sticky)
    }

    /// All connect, one every `pause`; how many were returned.
    fn connect_all(&mut self, ids: usize, pause: Duration) -> usize {
        let mut returned = 0;
        for id in 0..ids {
            returned += usize::from(self.connect(id).1 == Sticky::Returned);
            self.wait(pause);
        }
        returned
    }

    /// Ids by backend.
    fn places(&self) -> BTreeMap<u32, u32> {
        let table = self.affinity.table().unwrap();
        let used = table.shares().filter(|share| share.entries > 0);
        used.map(|share| (share.backend.0, share.entries)).collect()
    }

    fn account(&self) -> Account {
        self.moves().0
    }

    fn moves(&self) -> (Account, f64) {
        self.affinity.moves(self.now, &self.backends).unwrap()
    }

    fn closes(&mut self, id: usize) -> Closing {
        self.affinity.closes(self.now, &name(id), &self.backends)
    }
}

fn name(id: usize) -> Vec<u8> {
    format!("client-{id}").into_bytes()
}

const SECOND: Duration = Duration::from_secs(1);
const SLOWLY: Duration = Duration::from_millis(200);

/// 90 ids on three backends, of which the third has been away while all reconnected.
fn after_an_outage(settings: Option<Rebalance>) -> World {
    let mut world = World::new(settings, &[1, 2, 3]);
    world.connect_all(90, Duration::ZERO);
    world.set(down(3));
    world.connect_all(90, SLOWLY);
    assert_eq!(world.places(), [(1, 45), (2, 45)].into());
    world.set(up(3));
    world
}

#[test]
fn who_had_to_leave_comes_home_once_the_home_has_settled() {
    let mut world = after_an_outage(Some(SETTINGS));
    assert_eq!(world.connect_all(90, Duration::ZERO), 0, "not settled");
    world.wait(SETTINGS.settle);
    assert_eq!(world.connect_all(90, SLOWLY), 30);
    assert_eq!(world.places(), [(1, 30), (2, 30), (3, 30)].into());
    assert_eq!(world.connect_all(90, SLOWLY), 0);
    let account = world.account();
    assert_eq!((account.home, account.over), (30, 0));
}

#[test]
fn without_settings_nobody_returns() {
    let mut world = after_an_outage(None);
    world.wait(SETTINGS.settle);
    assert_eq!(world.connect_all(90, SLOWLY), 0);
    assert_eq!(world.places(), [(1, 45), (2, 45)].into());
}

#[test]
fn a_storm_of_reconnects_is_moved_at_the_rate() {
    let mut world = after_an_outage(Some(SETTINGS));
    world.wait(SETTINGS.settle);
    let mut moved = 0;
    for second in 1..=4 {
        // All of them ten times a second.
        for _ in 0..10 {
            moved += world.connect_all(90, Duration::ZERO);
            world.wait(SECOND / 10);
        }
        let due = second * SETTINGS.rate as usize;
        assert!((due..=due + 2).contains(&moved) || moved == 30, "{moved}");
    }
    assert_eq!(moved, 30);
}

#[test]
fn a_home_that_drains_calls_nobody_back() {
    let mut world = after_an_outage(Some(SETTINGS));
    world.set(Candidate {
        usable: false,
        ..up(3)
    });
    world.wait(2 * SETTINGS.settle);
    assert_eq!(world.connect_all(90, SLOWLY), 0);
    world.set(Candidate {
        full: true,
        ..up(3)
    });
    world.wait(2 * SETTINGS.settle);
    assert_eq!(world.connect_all(90, SLOWLY), 0, "nor one that is full");
    world.set(up(3));
    assert_eq!(world.connect_all(90, SLOWLY), 30);
}

#[test]
fn a_flapping_home_moves_nobody() {
    let mut world = after_an_outage(Some(SETTINGS));
    for round in 0..40 {
        assert_eq!(world.connect_all(90, Duration::ZERO), 0);
        world.wait(SETTINGS.settle / 2);
        world.set(if round % 2 == 0 { down(3) } else { up(3) });
    }
    assert_eq!(world.places(), [(1, 45), (2, 45)].into());
}

#[test]
fn a_home_that_refuses_costs_tokens_and_keeps_its_ids() {
    let mut world = after_an_outage(Some(SETTINGS));
    world.wait(SETTINGS.settle);
    let displaced = (0..90)
        .find(|id| {
            let table = world.affinity.table().unwrap();
            let key = name(*id);
            table.home(world.now, &key) == Some(BackendId(3))
        })
        .unwrap();
    let key = name(displaced);
    let client = Client {
        key: Some(&key),
        source: [10, 1, 0, 1].into(),
    };
    let mut order = Vec::new();
    world
        .affinity
        .route(world.now, client, &world.backends, &mut order);
    assert_eq!(order[0], BackendId(3));
    assert_eq!(order.len(), 3, "its backend comes next, then the rest");
    let sticky = world.affinity.settle(world.now, Some(&key), order[1]);
    assert_eq!(sticky, Sticky::Hit);
    assert_eq!(world.account().home, 0);
    assert_eq!(world.connect(displaced), (3, Sticky::Returned));
}

#[test]
fn an_added_backend_gets_its_share_and_no_more_than_the_event_may_move() {
    for (max_moved, moved) in [(0.5, 30), (0.1, 12)] {
        let settings = Rebalance {
            max_moved,
            ..SETTINGS
        };
        let mut world = World::new(Some(settings), &[1, 2, 3]);
        world.connect_all(120, Duration::ZERO);
        world.set(up(4));
        assert_eq!(world.connect_all(120, Duration::ZERO), 0, "not settled");
        world.wait(SETTINGS.settle);
        assert!(world.moves().1 > 1.2);
        for _ in 0..5 {
            world.connect_all(120, SLOWLY);
        }
        let account = world.account();
        assert!(
            (moved - 3..=moved).contains(&(account.over as usize)),
            "{account:?}"
        );
        let places = world.places();
        assert_eq!(u64::from(places[&4]), account.over);
        if moved == 30 {
            assert!(world.moves().1 <= SETTINGS.skew);
            let even = (28..=31).contains(&places[&1]) && (28..=31).contains(&places[&2]);
            assert!(even, "{places:?}");
        } else {
            assert_eq!(account.budget, 0);
            // A reload is another event.
            world.affinity.rebalance(Some(settings));
            world.connect_all(120, SLOWLY);
            assert!(world.account().over > 12);
        }
    }
}

#[test]
fn who_was_moved_over_belongs_there() {
    let mut world = World::new(Some(SETTINGS), &[1, 2, 3]);
    world.connect_all(120, Duration::ZERO);
    world.set(up(4));
    world.wait(SETTINGS.settle);
    world.connect_all(120, SLOWLY);
    let before = world.places();
    world.set(down(4));
    world.connect_all(120, SLOWLY);
    world.set(up(4));
    world.wait(SETTINGS.settle);
    world.connect_all(120, SLOWLY);
    assert_eq!(world.places(), before);
}

#[test]
fn weights_count() {
    let mut world = World::new(Some(SETTINGS), &[1, 2]);
    world.connect_all(100, Duration::ZERO);
    world.set(Candidate { weight: 3, ..up(2) });
    for _ in 0..3 {
        world.connect_all(100, SLOWLY);
    }
    let places = world.places();
    assert!((72..=75).contains(&places[&2]), "{places:?}");
}

#[test]
fn nobody_stays_on_a_backup() {
    let mut world = World::new(Some(SETTINGS), &[1, 2]);
    world.set(down(1));
    world.set(Candidate {
        backup: true,
        ..up(2)
    });
    world.connect_all(10, SLOWLY);
    assert_eq!(world.places(), [(2, 10)].into());
    world.set(up(1));
    world.wait(SETTINGS.settle);
    for _ in 0..2 {
        world.affinity.rebalance(Some(SETTINGS));
        world.connect_all(10, SLOWLY);
    }
    assert_eq!(world.places(), [(1, 10)].into());
    world.wait(SETTINGS.settle);
    assert_eq!(world.connect_all(10, SLOWLY), 0, "and nobody goes back");
}

#[test]
fn a_closed_connection_has_its_move_paid_for() {
    let mut world = after_an_outage(Some(SETTINGS));
    world.wait(SETTINGS.settle);
    let idle = world.affinity.closes_idle(world.now, &world.backends);
    assert_eq!(idle, Some(SETTINGS.idle));
    let away: Vec<usize> = (0..90)
        .filter(|id| {
            let key = name(*id);
            world.affinity.should_move(world.now, &key, &world.backends)
        })
        .collect();
    assert_eq!(away.len(), 30);
    let (first, second) = (away[0], away[1]);
    assert_eq!(world.closes(first), Closing::Now);
    assert_eq!(world.closes(first), Closing::Never, "closed already");
    assert_eq!(
        world.closes(second),
        Closing::Later,
        "the rest is for others"
    );
    // Those use up the rate; the closed one comes home all the same.
    while world.connect(*away.last().unwrap()).1 != Sticky::Returned {}
    assert_eq!(world.connect(second).1, Sticky::Hit);
    assert_eq!(world.account().closed, 0);
    assert_eq!(world.connect(first), (3, Sticky::Returned));
    assert_eq!(world.account().closed, 1);
    world.wait(SECOND);
    for id in away {
        while world.closes(id) == Closing::Later {
            world.wait(SECOND / 10);
        }
        world.connect(id);
    }
    assert_eq!(world.places(), [(1, 30), (2, 30), (3, 30)].into());
    assert_eq!(world.affinity.closes_idle(world.now, &world.backends), None);
}

#[test]
fn who_was_not_idle_after_all_costs_nothing() {
    let mut world = World::new(Some(SETTINGS), &[1]);
    world.connect_all(10, Duration::ZERO);
    world.set(up(2));
    world.wait(SETTINGS.settle);
    for _ in 0..100 {
        assert_eq!(world.closes(3), Closing::Now);
        world.affinity.spares(&name(3));
    }
    let account = world.account();
    assert_eq!((account.budget, account.closed), (5, 0));
}

#[test]
fn the_last_of_an_event_is_moved_though_nothing_is_left() {
    let settings = Rebalance {
        max_moved: 0.01,
        ..SETTINGS
    };
    let mut world = World::new(Some(settings), &[1]);
    world.connect_all(100, Duration::ZERO);
    world.set(up(2));
    world.wait(SETTINGS.settle);
    assert_eq!(world.account().budget, 1);
    assert_eq!(world.closes(7), Closing::Now);
    assert_eq!(world.account().budget, 0);
    assert_eq!(world.connect(7), (2, Sticky::Returned));
    assert_eq!(world.connect_all(100, SLOWLY), 0);
}
