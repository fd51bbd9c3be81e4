//! Which slots of a path's map are free. Sans-IO.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// How long a slot rests: a program on another CPU may still hold its index.
const REST: Duration = Duration::from_secs(1);

/// Free slots, longest unused first.
#[derive(Debug)]
pub struct SlotPool {
    /// Slots from this number on were never used.
    fresh: u32,
    max: u32,
    /// Free slots, and since when they rest; `None` for long enough.
    resting: VecDeque<(Option<Instant>, u32)>,
}

impl SlotPool {
    /// `max` free slots.
    pub fn new(max: u32) -> Self {
        Self::resume(max, &[])
    }

    /// `max` slots of which some are in `use`, in ascending order.
    pub fn resume(max: u32, used: &[u32]) -> Self {
        let fresh = used.last().map_or(0, |last| last + 1);
        let mut used = used.iter().peekable();
        let resting = (0..fresh)
            .filter(|slot| used.next_if_eq(&slot).is_none())
            .map(|slot| (None, slot))
            .collect();
        Self {
            fresh,
            max,
            resting,
        }
    }

    /// A free slot. `None` when all are taken or still resting.
    pub fn take(&mut self, now: Instant) -> Option<u32> {
        let rested = |since: Option<Instant>| {
            since.is_none_or(|since| now.saturating_duration_since(since) >= REST)
        };
        match self.resting.front() {
            Some(&(since, slot)) if rested(since) => {
                self.resting.pop_front();
                Some(slot)
            }
            _ if self.fresh < self.max => {
                self.fresh += 1;
                Some(self.fresh - 1)
            }
            _ => None,
        }
    }

    /// Gives a slot back; its map entries are gone.
    pub fn release(&mut self, slot: u32, now: Instant) {
        self.resting.push_back((Some(now), slot));
    }

    /// Slots in use.
    pub fn used(&self) -> u32 {
        self.fresh - self.resting.len() as u32
    }

    /// Slots that are free but may not be used yet.
    pub fn resting(&self, now: Instant) -> u32 {
        let young = |since: &Option<Instant>| {
            since.is_some_and(|since| now.saturating_duration_since(since) < REST)
        };
        self.resting
            .iter()
            .rev()
            .take_while(|(since, _)| young(since))
            .count() as u32
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slot_rests_before_it_is_used_again() {
        let start = Instant::now();
        let mut pool = SlotPool::new(2);
        assert_eq!(pool.take(start), Some(0));
        assert_eq!(pool.take(start), Some(1));
        assert_eq!(pool.take(start), None);
        pool.release(0, start);
        assert_eq!((pool.used(), pool.resting(start)), (1, 1));
        assert_eq!(pool.take(start + REST / 2), None);
        assert_eq!(pool.resting(start + REST), 0);
        assert_eq!(pool.take(start + REST), Some(0));
        assert_eq!(pool.used(), 2);
    }

    #[test]
    fn the_longest_unused_slot_comes_first() {
        let start = Instant::now();
        let mut pool = SlotPool::new(4);
        let taken: Vec<_> = (0..3).filter_map(|_| pool.take(start)).collect();
        assert_eq!(taken, [0, 1, 2]);
        pool.release(1, start);
        pool.release(0, start);
        assert_eq!(pool.take(start), Some(3), "nothing has rested yet");
        assert_eq!(pool.take(start + REST), Some(1));
        assert_eq!(pool.take(start + REST), Some(0));
    }

    #[test]
    fn slots_that_were_found_in_use_are_not_given_out() {
        let now = Instant::now();
        let mut pool = SlotPool::resume(5, &[1, 3]);
        assert_eq!(pool.used(), 2);
        let taken: Vec<_> = std::iter::from_fn(|| pool.take(now)).collect();
        assert_eq!(taken, [0, 2, 4]);
    }
}
