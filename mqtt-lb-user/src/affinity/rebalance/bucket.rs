//! A token bucket: so many moves per second.

use std::time::Instant;

/// Tokens for `rate` moves per second. It holds at most a fifth of them, and two at
/// least, so that no second sees many more than `rate`.
#[derive(Debug)]
pub(super) struct Bucket {
    rate: f64,
    tokens: f64,
    filled: Option<Instant>,
}

impl Bucket {
    /// A full bucket.
    pub fn new(rate: u32) -> Self {
        let mut bucket = Self {
            rate: f64::from(rate),
            tokens: 0.0,
            filled: None,
        };
        bucket.tokens = bucket.most();
        bucket
    }

    /// Another rate; what is there stays, as far as there is room.
    pub fn set_rate(&mut self, rate: u32) {
        self.rate = f64::from(rate);
        self.tokens = self.tokens.min(self.most());
    }

    /// Whether there is a token for an id that reconnects.
    pub fn has(&self, now: Instant) -> bool {
        self.filled(now) >= 1.0
    }

    /// Takes a token for an id that reconnects.
    pub fn take(&mut self, now: Instant) -> bool {
        self.fill(now);
        self.spend(0.0)
    }

    /// Takes a token to close a connection; half of the bucket is left to the ids that
    /// reconnect anyway.
    pub fn take_spare(&mut self, now: Instant) -> bool {
        self.fill(now);
        self.spend(self.most() / 2.0)
    }

    /// Puts a token back.
    pub fn give_back(&mut self) {
        self.tokens = (self.tokens + 1.0).min(self.most());
    }

    fn spend(&mut self, keep: f64) -> bool {
        let enough = self.tokens >= keep + 1.0;
        if enough {
            self.tokens -= 1.0;
        }
        enough
    }

    fn fill(&mut self, now: Instant) {
        self.tokens = self.filled(now);
        self.filled = self.filled.max(Some(now));
    }

    /// Tokens with those of the time since it was filled.
    fn filled(&self, now: Instant) -> f64 {
        let since = self.filled.unwrap_or(now);
        let time = now.saturating_duration_since(since).as_secs_f64();
        (self.tokens + time * self.rate).min(self.most())
    }

    fn most(&self) -> f64 {
        (self.rate / 5.0).max(2.0)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    /// Tokens taken within so many milliseconds, when one is asked for every millisecond.
    fn taken(bucket: &mut Bucket, from: Instant, ms: u64) -> usize {
        (0..ms)
            .filter(|ms| bucket.take(from + Duration::from_millis(*ms)))
            .count()
    }

    #[test]
    fn the_rate_holds_over_any_time_but_for_what_the_bucket_held() {
        let now = Instant::now();
        for (rate, held) in [(1, 2), (10, 2), (100, 20), (500, 100)] {
            let mut bucket = Bucket::new(rate);
            let first = taken(&mut bucket, now, 1000);
            assert!(
                (held..=held + rate as usize).contains(&first),
                "{rate}: {first}"
            );
            let later = taken(&mut bucket, now + Duration::from_secs(1), 10_000);
            let due = 10 * rate as usize;
            assert!((due - 1..=due + 1).contains(&later), "{rate}: {later}");
            // A long pause saves up no more than a bucket.
            let idle = now + Duration::from_secs(100);
            let burst = (0..1000).filter(|_| bucket.take(idle)).count();
            assert_eq!(burst, held, "{rate}");
        }
    }

    #[test]
    fn closing_leaves_half_to_those_who_reconnect() {
        let now = Instant::now();
        let mut bucket = Bucket::new(100);
        assert_eq!((0..50).filter(|_| bucket.take_spare(now)).count(), 10);
        assert_eq!((0..50).filter(|_| bucket.take(now)).count(), 10);
        let later = now + Duration::from_millis(100);
        assert!(!bucket.take_spare(later), "ten are for the others");
        assert!(bucket.take(later));
    }

    #[test]
    fn a_clock_that_two_threads_read_in_turn_gives_nothing_twice() {
        let now = Instant::now();
        let later = now + Duration::from_secs(1);
        let mut bucket = Bucket::new(10);
        while bucket.take(later) {}
        assert!(!bucket.take(now));
        assert!(!bucket.take(later));
    }

    #[test]
    fn a_lower_rate_holds_at_once() {
        let now = Instant::now();
        let mut bucket = Bucket::new(100);
        bucket.set_rate(10);
        assert_eq!((0..20).filter(|_| bucket.take(now)).count(), 2);
    }
}
