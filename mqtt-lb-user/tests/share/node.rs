//! One balancer: its table, its replica, its connection.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use mqtt_lb_user::affinity::{BackendId, Said, StickTable};
use mqtt_lb_user::config::Stick;
use mqtt_lb_user::share::replica::Replica;
use mqtt_lb_user::share::{Anchor, Clock, Names};

use crate::redis::Redis;

pub const EXPIRE: Duration = Duration::from_secs(1000);
pub const BACKENDS: [&str; 3] = ["b1", "b2", "b3"];
const UNIX_MILLIS: u64 = 1_700_000_000_000;

pub struct Node {
    pub table: StickTable,
    pub replica: Replica,
    pub names: Names,
    pub inbox: VecDeque<Vec<u8>>,
    pub connected: bool,
}

/// Where a client is, by name, and when that was said.
pub type Seen = (String, String, mqtt_lb_user::share::Version);

impl Node {
    /// Balancer `n`, whose clock is ahead by so much, with a queue of `limit` keys.
    pub fn new(n: u16, start: Instant, ahead: Duration, limit: usize) -> Self {
        let mut node = Self::alone(n);
        node.share(n, start, ahead, limit);
        node
    }

    /// A balancer that does not share its table yet.
    pub fn alone(n: u16) -> Self {
        Self {
            table: StickTable::new(Stick {
                size: 100,
                expire: EXPIRE,
                nopurge: false,
            }),
            replica: Replica::default(),
            // Every balancer has other numbers for the same names.
            names: (0..)
                .zip(BACKENDS)
                .map(|(i, name)| (id(n, i), name.to_owned()))
                .collect(),
            inbox: VecDeque::new(),
            connected: false,
        }
    }

    pub fn share(&mut self, n: u16, start: Instant, ahead: Duration, limit: usize) {
        let anchor = Anchor {
            at: start,
            unix_millis: UNIX_MILLIS + ahead.as_millis() as u64,
        };
        self.table
            .start_sharing(Clock::new(anchor, n), limit, || ());
    }

    pub fn id(&self, name: &str) -> BackendId {
        self.names.id(name).expect("a backend")
    }

    pub fn set(&mut self, now: Instant, key: &[u8], backend: &str) {
        self.table.set(now, key, self.id(backend));
    }

    pub fn seen(&mut self, now: Instant, key: &[u8]) -> Option<Seen> {
        let said: Said = self.table.said(now, key)?;
        let name = |id| self.names.name(id).expect("a name").to_owned();
        Some((name(said.backend), name(said.home), said.version))
    }

    pub fn backend(&mut self, now: Instant, key: &[u8]) -> Option<String> {
        self.seen(now, key).map(|(backend, ..)| backend)
    }

    /// Hears a message, or asks one thing. False: there was nothing to do.
    pub fn step(&mut self, now: Instant, redis: &mut Redis) -> bool {
        self.connected = true;
        if let Some(message) = self.inbox.pop_front() {
            self.replica
                .heard(now, &mut self.table, &self.names, &message);
            return true;
        }
        let Some(request) = self.replica.next(now, &mut self.table, &self.names) else {
            return false;
        };
        let answer = redis.ask(&request);
        self.replica
            .answered(now, &mut self.table, &self.names, &request, answer);
        true
    }

    /// Asks one thing, and loses the connection before the answer.
    pub fn lose_answer(&mut self, now: Instant, redis: &mut Redis) {
        if let Some(request) = self.replica.next(now, &mut self.table, &self.names) {
            redis.ask(&request);
        }
        self.lose();
    }

    /// Loses the connection.
    pub fn lose(&mut self) {
        self.connected = false;
        self.inbox.clear();
        self.replica.lost(&mut self.table);
    }
}

/// Delivers what was published to all that are connected.
pub fn deliver(redis: &mut Redis, nodes: &mut [Node]) {
    for message in redis.published() {
        for node in nodes.iter_mut().filter(|node| node.connected) {
            node.inbox.push_back(message.clone());
        }
    }
}

/// Lets all talk until nobody has anything to say.
pub fn settle(now: Instant, redis: &mut Redis, nodes: &mut [Node]) {
    for node in nodes.iter_mut() {
        node.connected = true;
    }
    for _ in 0..10_000 {
        let mut busy = false;
        for at in 0..nodes.len() {
            busy |= nodes[at].step(now, redis);
            deliver(redis, nodes);
        }
        if !busy {
            return;
        }
    }
    panic!("they never come to rest");
}

fn id(n: u16, i: u32) -> BackendId {
    BackendId(u32::from(n) * 100 + (i + u32::from(n)) % 3)
}
