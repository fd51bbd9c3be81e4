//! When the next snapshot is due.

use std::collections::HashMap;
use std::time::{Duration, Instant};

/// The last snapshots of the pools, done or tried.
#[derive(Default)]
pub(super) struct Schedule(HashMap<String, Instant>);

impl Schedule {
    /// The pools whose snapshot is due, and how long there is nothing to do: until
    /// the next one is. `intervals` are all pools that have one, at their interval;
    /// the others are forgotten. A pool's first snapshot is due one interval after
    /// it was first heard of.
    pub fn due<'a>(
        &mut self,
        now: Instant,
        intervals: &[(&'a str, Duration)],
    ) -> (Vec<&'a str>, Option<Duration>) {
        self.0
            .retain(|pool, _| intervals.iter().any(|(name, _)| name == pool));
        let mut due = Vec::new();
        let mut rest: Option<Duration> = None;
        for &(pool, interval) in intervals {
            let last = self.0.entry(pool.to_owned()).or_insert(now);
            let mut left = interval.saturating_sub(now.saturating_duration_since(*last));
            if left.is_zero() {
                *last = now;
                left = interval;
                due.push(pool);
            }
            rest = Some(rest.map_or(left, |rest| rest.min(left)));
        }
        (due, rest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn each_pool_has_its_own_turn() {
        let start = Instant::now();
        let mut schedule = Schedule::default();
        let pools = [("a", 2 * SECOND), ("b", 3 * SECOND)];
        let mut at = |seconds| schedule.due(start + seconds * SECOND, &pools);
        assert_eq!(at(0), (vec![], Some(2 * SECOND)));
        assert_eq!(at(1), (vec![], Some(SECOND)));
        assert_eq!(at(2), (vec!["a"], Some(SECOND)));
        assert_eq!(at(3), (vec!["b"], Some(SECOND)));
        assert_eq!(
            at(10),
            (vec!["a", "b"], Some(2 * SECOND)),
            "what was missed is not made up for"
        );
    }

    #[test]
    fn a_reload_changes_it() {
        let start = Instant::now();
        let mut schedule = Schedule::default();
        schedule.due(start, &[("a", 60 * SECOND)]);
        let later = start + 5 * SECOND;
        assert_eq!(schedule.due(later, &[("a", 5 * SECOND)]).0, ["a"]);
        assert_eq!(schedule.due(later, &[]), (vec![], None));
        assert!(
            schedule
                .due(later + 60 * SECOND, &[("a", 5 * SECOND)])
                .0
                .is_empty(),
            "it is new again"
        );
    }
}
