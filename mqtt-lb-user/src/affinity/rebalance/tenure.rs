//! Which backends have been up long enough to move ids to, and when that changes.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use crate::affinity::{BackendId, Candidate};

/// The backends that take new clients, and since when.
#[derive(Debug, Default)]
pub(super) struct Tenure {
    backends: HashMap<BackendId, Post>,
    /// The first look has been taken.
    begun: bool,
}

/// One backend that takes new clients.
#[derive(Debug, Clone, Copy)]
struct Post {
    /// `None`: longer than anybody knows.
    since: Option<Instant>,
    weight: u32,
    /// It has been told that the backend, with this weight, has settled.
    told: bool,
}

impl Tenure {
    /// Takes a look at the backends, and tells whether one of them has settled since the
    /// last look. Those of the first look have been there for ever.
    pub fn observe(&mut self, now: Instant, candidates: &[Candidate], settle: Duration) -> bool {
        let takes_new = |id: &BackendId| {
            let mut candidates = candidates.iter();
            candidates.any(|c| c.id == *id && c.takes_new_clients())
        };
        self.backends.retain(|id, _| takes_new(id));
        let since = self.begun.then_some(now);
        self.begun = true;
        let mut news = false;
        for candidate in candidates.iter().filter(|c| c.takes_new_clients()) {
            let weight = candidate.weight;
            let told = false;
            let post = Post {
                since,
                weight,
                told,
            };
            let post = self.backends.entry(candidate.id).or_insert(post);
            if post.weight != weight {
                *post = Post {
                    weight,
                    told,
                    ..*post
                };
            }
            if !post.told && post.is_settled(now, settle) {
                post.told = true;
                news = true;
            }
        }
        news
    }

    /// Whether a backend takes new clients and has done so for `settle`.
    pub fn is_settled(&self, now: Instant, id: BackendId, settle: Duration) -> bool {
        let post = self.backends.get(&id);
        post.is_some_and(|post| post.is_settled(now, settle))
    }
}

impl Post {
    fn is_settled(&self, now: Instant, settle: Duration) -> bool {
        self.since
            .is_none_or(|since| now.saturating_duration_since(since) >= settle)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::affinity::rebalance::tests::{down, up};

    const SETTLE: Duration = Duration::from_secs(10);

    #[test]
    fn who_is_there_at_first_has_settled() {
        let now = Instant::now();
        let mut tenure = Tenure::default();
        assert!(tenure.observe(now, &[up(1), down(2)], SETTLE));
        assert!(!tenure.observe(now, &[up(1), down(2)], SETTLE));
        assert!(tenure.is_settled(now, BackendId(1), SETTLE));
        assert!(!tenure.is_settled(now, BackendId(2), SETTLE));
    }

    #[test]
    fn who_comes_up_settles_in_time_and_is_told_once() {
        let now = Instant::now();
        let mut tenure = Tenure::default();
        tenure.observe(now, &[up(1), down(2)], SETTLE);
        let both = [up(1), up(2), up(3)];
        assert!(!tenure.observe(now, &both, SETTLE));
        assert!(!tenure.observe(now + SETTLE / 2, &both, SETTLE));
        assert!(!tenure.is_settled(now + SETTLE / 2, BackendId(2), SETTLE));
        assert!(tenure.observe(now + SETTLE, &both, SETTLE));
        assert!(!tenure.observe(now + 2 * SETTLE, &both, SETTLE));
        assert!(tenure.is_settled(now + SETTLE, BackendId(3), SETTLE));
    }

    #[test]
    fn who_flaps_never_settles() {
        let now = Instant::now();
        let mut tenure = Tenure::default();
        tenure.observe(now, &[up(1), up(2)], SETTLE);
        for n in 1..100 {
            let now = now + n * SETTLE / 2;
            let second = if n % 2 == 0 { up(2) } else { down(2) };
            assert!(!tenure.observe(now, &[up(1), second], SETTLE));
            assert!(!tenure.is_settled(now, BackendId(2), SETTLE));
        }
    }

    #[test]
    fn another_weight_is_news_at_once() {
        let now = Instant::now();
        let mut tenure = Tenure::default();
        tenure.observe(now, &[up(1), up(2)], SETTLE);
        let heavy = Candidate { weight: 3, ..up(2) };
        assert!(tenure.observe(now, &[up(1), heavy], SETTLE));
        assert!(!tenure.observe(now, &[up(1), heavy], SETTLE));
    }
}
