//! What is seen of client ids, for operators: who takes over whom, who comes back too
//! soon, who comes most often.
//!
//! An id is known by a number made of it and its pool, so that memory does not depend
//! on its length. Nothing here opens a socket or reads a clock.

mod heap;
mod live;
mod number;
mod recent;
mod top;

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use live::Live;
use number::Numbers;
use recent::Recent;
use top::{Top, Visit};

use crate::config;

pub use top::Row;

/// An id of this process and pool.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Number(u64);

/// A CONNECT as its id was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Arrival {
    /// The id.
    pub number: Number,
    /// The id has a flow: it is taken over if the broker accepts this one.
    pub live: bool,
    /// The id was here a moment ago.
    pub flapping: bool,
}

/// The list of ids that connect most often.
#[derive(Debug, Clone)]
pub struct Report {
    /// The ids, most often first.
    pub rows: Vec<Row>,
    /// CONNECTs counted.
    pub total: u64,
    /// How often an id that is not in the list can have connected, at most.
    pub error: u64,
    /// Ids there is room for.
    pub size: usize,
    /// Ids that are counted.
    pub used: usize,
    /// Since when.
    pub since: Instant,
}

/// What is remembered of ids, in numbers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Usage {
    /// Ids that have flows, and the bytes that takes.
    pub live: (usize, usize),
    /// Ids in the list of the most frequent, room for them, and bytes.
    pub top: (usize, usize, usize),
    /// Room for ids of which the last visit is remembered, and bytes.
    pub recent: (usize, usize),
    /// Ids forgotten before the flapping time had passed.
    pub forgotten: u64,
}

/// All ids of the process, shared by every thread.
pub struct Ids {
    numbers: Numbers,
    live: Live,
    seen: Mutex<Seen>,
}

/// Held for one CONNECT at a time.
struct Seen {
    recent: Recent,
    top: Top,
    /// Tenths of a second.
    window: u32,
    /// The beginning of `recent`'s time.
    born: Instant,
    since: Instant,
}

impl Ids {
    /// No ids yet.
    pub fn new(config: &config::Ids, now: Instant) -> Self {
        Self {
            numbers: Numbers::default(),
            live: Live::default(),
            seen: Mutex::new(Seen {
                recent: Recent::new(config.recent),
                top: Top::new(config.top),
                window: tenths(config.flapping),
                born: now,
                since: now,
            }),
        }
    }

    /// Takes over the settings of a reload. A change of `recent` forgets visits.
    pub fn apply(&self, config: &config::Ids) {
        let mut seen = self.seen();
        if seen.top.size() != config.top {
            seen.top.resize(config.top);
        }
        let recent = Recent::new(config.recent);
        if recent.size() != seen.recent.size() {
            seen.recent = recent;
        }
        seen.window = tenths(config.flapping);
    }

    /// A CONNECT for the pool of this tag ([`crate::datapath::tag`]) has come.
    /// `closing` says whether a flow without sockets, by its name, has begun to close.
    pub fn connect(
        &self,
        now: Instant,
        pool: u32,
        id: &[u8],
        closing: impl FnOnce(u64) -> bool,
    ) -> Arrival {
        let number = self.numbers.of(pool, id);
        let live = self.live.has(number, closing);
        let mut seen = self.seen();
        let (at, window) = (tenths(now - seen.born).saturating_add(1), seen.window);
        let flapping = seen.recent.visit(number, at, window).is_some();
        let visit = Visit {
            number,
            pool,
            id,
            flapping,
        };
        seen.top.visit(now, &visit);
        Arrival {
            number: Number(number),
            live,
            flapping,
        }
    }

    /// The id of this CONNECT has got a flow; whether it has taken the id over from
    /// another one.
    pub fn accepted(&self, arrival: Arrival, closing: impl FnOnce(u64) -> bool) -> bool {
        let Number(number) = arrival.number;
        let taken_over = arrival.live || self.live.has(number, closing);
        if taken_over {
            self.seen().top.taken_over(number);
        }
        self.live.enter(number);
        taken_over
    }

    /// The id has a flow without having come in a CONNECT of this process: a broker has
    /// given it to a client, or the flow was there before.
    pub fn enter(&self, pool: u32, id: &[u8]) -> Number {
        let number = self.numbers.of(pool, id);
        self.live.enter(number);
        Number(number)
    }

    /// A flow of the id has lost its sockets and is called `name`.
    pub fn dissolved(&self, id: Number, name: u64) {
        self.live.dissolve(id.0, name);
    }

    /// A flow of the id is over.
    pub fn ended(&self, id: Number, with_sockets: bool) {
        self.live.leave(id.0, with_sockets);
    }

    /// The `most` ids that connect most often.
    pub fn report(&self, most: usize) -> Report {
        let seen = self.seen();
        Report {
            rows: seen.top.rows(most),
            total: seen.top.total(),
            error: seen.top.error(),
            size: seen.top.size(),
            used: seen.top.len(),
            since: seen.since,
        }
    }

    /// Begins to count anew who connects most often.
    pub fn clear(&self, now: Instant) {
        let mut seen = self.seen();
        seen.top = Top::new(seen.top.size());
        seen.since = now;
    }

    /// How much is remembered.
    pub fn usage(&self) -> Usage {
        let seen = self.seen();
        let (recent, top) = (&seen.recent, &seen.top);
        Usage {
            live: (self.live.len(), self.live.memory_bytes()),
            top: (top.len(), top.size(), top.memory_bytes()),
            recent: (recent.size(), recent.memory_bytes()),
            forgotten: recent.forgotten(),
        }
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn tenths(time: Duration) -> u32 {
    u32::try_from(time.as_millis() / 100).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests;
