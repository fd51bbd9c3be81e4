//! What a backend has, may have, and should get: its connections, its weight and its
//! slow start. Sans-IO.

use std::sync::atomic::Ordering::{Relaxed, SeqCst};
use std::sync::atomic::{AtomicU32, AtomicU64};
use std::time::{Duration, Instant};

use crate::affinity::{RAMPED, slow_start};

/// A backend's load, shared by all workers.
pub(super) struct Load {
    connections: AtomicU64,
    weight: AtomicU32,
    origin: Instant,
    /// Nanoseconds from `origin` to when it came up last; 0 if it has been up always.
    rose: AtomicU64,
}

impl Load {
    /// Without connections; it has been up always.
    pub fn new(weight: u32, now: Instant) -> Self {
        Self {
            connections: AtomicU64::new(0),
            weight: AtomicU32::new(weight),
            origin: now,
            rose: AtomicU64::new(0),
        }
    }

    /// Connections it has now.
    pub fn connections(&self) -> u64 {
        self.connections.load(SeqCst)
    }

    /// One connection more, whatever the limit.
    pub fn take(&self) {
        self.connections.fetch_add(1, SeqCst);
    }

    /// One connection more, if it then has no more than `most`. Says whether it does.
    pub fn try_take(&self, most: Option<u64>) -> bool {
        let more = |now: u64| most.is_none_or(|most| now < most).then_some(now + 1);
        self.connections.fetch_update(SeqCst, SeqCst, more).is_ok()
    }

    /// One connection less.
    pub fn give_back(&self) {
        self.connections.fetch_sub(1, SeqCst);
    }

    /// Share of new clients relative to the others.
    pub fn weight(&self) -> u32 {
        self.weight.load(Relaxed)
    }

    /// Changes [`Load::weight`].
    pub fn set_weight(&self, weight: u32) {
        self.weight.store(weight, Relaxed);
    }

    /// It has come up now: its slow start begins.
    pub fn rise(&self, now: Instant) {
        let since = now.saturating_duration_since(self.origin).as_nanos();
        let since = u64::try_from(since).unwrap_or(u64::MAX);
        self.rose.store(since.max(1), Relaxed);
    }

    /// Percent of its weight that it has got by now.
    pub fn ramp(&self, now: Instant, slow_start: Duration) -> u32 {
        match self.rose.load(Relaxed) {
            0 => RAMPED,
            rose => {
                let rose = self.origin + Duration::from_nanos(rose);
                slow_start::ramp(now.saturating_duration_since(rose), slow_start)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_limited_and_come_back() {
        let load = Load::new(1, Instant::now());
        assert!(load.try_take(Some(2)) && load.try_take(Some(2)));
        assert!(!load.try_take(Some(2)));
        assert!(load.try_take(None), "no limit");
        load.take();
        assert_eq!(load.connections(), 4);
        load.give_back();
        load.give_back();
        assert!(!load.try_take(Some(2)), "a limit that fell");
        load.give_back();
        assert!(load.try_take(Some(2)));
    }

    #[test]
    fn no_place_is_given_twice() {
        let load = Load::new(1, Instant::now());
        let taken = AtomicU64::new(0);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..1000 {
                        let took = load.try_take(Some(700));
                        taken.fetch_add(took.into(), Relaxed);
                    }
                });
            }
        });
        assert_eq!((load.connections(), taken.into_inner()), (700, 700));
    }

    #[test]
    fn who_comes_up_is_ramped_and_who_was_up_is_not() {
        let start = Instant::now();
        let load = Load::new(1, start);
        let minute = Duration::from_secs(60);
        assert_eq!(load.ramp(start, minute), RAMPED);
        load.rise(start);
        assert_eq!(load.ramp(start, minute), 1);
        load.rise(start + minute);
        assert_eq!(load.ramp(start + minute, minute), 1);
        assert_eq!(load.ramp(start + minute * 3 / 2, minute), 50);
        assert_eq!(load.ramp(start + minute * 2, minute), RAMPED);
        assert_eq!(load.ramp(start + minute, Duration::ZERO), RAMPED);
    }
}
