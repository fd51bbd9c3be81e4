//! Which slots are free. Sans-IO.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// How long a slot rests: a program on another CPU may still hold its index.
const REST: Duration = Duration::from_secs(1);

/// Free pairs of slots, longest unused first.
#[derive(Debug)]
pub struct SlotPool {
    /// Flows that never had a slot yet start at this number.
    fresh: u32,
    max: u32,
    resting: VecDeque<(Instant, u32)>,
}

impl SlotPool {
    /// Room for `max` flows.
    pub fn new(max: u32) -> Self {
        Self {
            fresh: 0,
            max,
            resting: VecDeque::new(),
        }
    }

    /// A flow number; its slots are `2 * n` and `2 * n + 1`. `None` when all
    /// are taken or still resting.
    pub fn take(&mut self, now: Instant) -> Option<u32> {
        match self.resting.front() {
            Some(&(since, flow)) if now.duration_since(since) >= REST => {
                self.resting.pop_front();
                Some(flow)
            }
            _ if self.fresh < self.max => {
                self.fresh += 1;
                Some(self.fresh - 1)
            }
            _ => None,
        }
    }

    /// Gives a number back; its map entries are gone.
    pub fn release(&mut self, flow: u32, now: Instant) {
        self.resting.push_back((now, flow));
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
        assert_eq!(pool.take(start + REST / 2), None);
        assert_eq!(pool.take(start + REST), Some(0));
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
}
