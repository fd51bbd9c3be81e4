//! When something was said, so that of two balancers' words the newer one wins.
//!
//! A hybrid logical clock: time as far as clocks agree, and order where they do not. Who has
//! seen a version never makes an older one, so that an answer to news is newer than the news
//! even when the other balancer's clock is ahead.

use std::time::{Duration, Instant};

/// Bits of a version that tell balancers apart.
const NODE_BITS: u32 = 12;
/// Bits that count within a millisecond.
const COUNT_BITS: u32 = 8;
/// Digits of a written version: all of `u64`, so that text and number sort alike.
const DIGITS: usize = 20;

/// How far another balancer's clock may be ahead; versions beyond that are not believed, for
/// nothing could be newer for that long.
const MAX_AHEAD: Duration = Duration::from_secs(3600);

/// Milliseconds since 1970, a count, and the balancer that said it. Zero is older than
/// anything said.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Version(u64);

impl Version {
    /// Of what was never said to anybody.
    pub const NONE: Self = Self(0);

    /// The first version of a time.
    #[must_use]
    pub fn at_millis(millis: u64) -> Self {
        Self(millis << (COUNT_BITS + NODE_BITS))
    }

    /// Its time, in milliseconds since 1970.
    #[must_use]
    pub fn millis(self) -> u64 {
        self.0 >> (COUNT_BITS + NODE_BITS)
    }

    /// As text that sorts as the versions do.
    #[must_use]
    pub fn text(self) -> String {
        format!("{:0width$}", self.0, width = DIGITS)
    }

    /// Reads [`Version::text`].
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let digits = text.len() == DIGITS && text.bytes().all(|b| b.is_ascii_digit());
        digits.then(|| text.parse().ok().map(Self)).flatten()
    }
}

/// The wall clock at one moment; from there on the monotonic clock counts.
#[derive(Debug, Clone, Copy)]
pub struct Anchor {
    /// The moment.
    pub at: Instant,
    /// Milliseconds since 1970 at that moment.
    pub unix_millis: u64,
}

impl Anchor {
    /// Milliseconds since 1970 at `now`.
    #[must_use]
    pub fn millis(&self, now: Instant) -> u64 {
        let since = now.saturating_duration_since(self.at);
        self.unix_millis + u64::try_from(since.as_millis()).unwrap_or(u64::MAX >> 1)
    }
}

/// Makes versions.
#[derive(Debug)]
pub struct Clock {
    anchor: Anchor,
    /// The newest version made or seen, without its balancer.
    last: u64,
    node: u64,
}

impl Clock {
    /// A clock of the balancer `node`, of which the lowest 12 bits count.
    #[must_use]
    pub fn new(anchor: Anchor, node: u16) -> Self {
        Self {
            anchor,
            last: 0,
            node: u64::from(node) & ((1 << NODE_BITS) - 1),
        }
    }

    /// Sets it by another one, as the wall clock may have been corrected; it still makes newer
    /// versions only.
    pub fn set(&mut self, other: &Self) {
        self.anchor = other.anchor;
    }

    /// The time in milliseconds since 1970: that of the wall clock, or of the newest version
    /// where another balancer's clock is ahead.
    #[must_use]
    pub fn millis(&self, now: Instant) -> u64 {
        self.anchor.millis(now).max(self.last >> COUNT_BITS)
    }

    /// A version newer than all that were made or seen.
    pub fn next(&mut self, now: Instant) -> Version {
        self.last = (self.anchor.millis(now) << COUNT_BITS).max(self.last + 1);
        Version((self.last << NODE_BITS) | self.node)
    }

    /// Takes note of another balancer's version. False: it is too far ahead to be believed.
    #[must_use]
    pub fn observe(&mut self, now: Instant, version: Version) -> bool {
        let limit = self.anchor.millis(now) + MAX_AHEAD.as_millis() as u64;
        let believed = version.millis() <= limit;
        if believed {
            self.last = self.last.max(version.0 >> NODE_BITS);
        }
        believed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn clock(at: Instant, unix_millis: u64, node: u16) -> Clock {
        Clock::new(Anchor { at, unix_millis }, node)
    }

    #[test]
    fn versions_grow_and_text_sorts_alike() {
        let start = Instant::now();
        let mut clock = clock(start, 1_700_000_000_000, 7);
        let mut made: Vec<Version> = (0..1000).map(|_| clock.next(start)).collect();
        made.push(clock.next(start + Duration::from_secs(1)));
        assert!(made.windows(2).all(|pair| pair[0] < pair[1]));
        assert!(made.windows(2).all(|pair| pair[0].text() < pair[1].text()));
        assert_eq!(made[0].millis(), 1_700_000_000_000);
        assert_eq!(made[1000].millis(), 1_700_000_001_000);
        assert!(made.iter().all(|v| Version::parse(&v.text()) == Some(*v)));
    }

    #[test]
    fn an_answer_is_newer_than_the_news_though_the_clock_is_behind() {
        let start = Instant::now();
        let mut ahead = clock(start, 1_700_000_060_000, 1);
        let mut behind = clock(start, 1_700_000_000_000, 2);
        let news = ahead.next(start);
        assert!(behind.next(start) < news);
        assert!(behind.observe(start, news));
        assert!(behind.next(start) > news);
        assert_eq!(behind.millis(start), news.millis());
    }

    #[test]
    fn what_is_too_far_ahead_moves_no_clock() {
        let start = Instant::now();
        let mut clock = clock(start, 1_700_000_000_000, 1);
        assert!(!clock.observe(start, Version(u64::MAX)));
        assert_eq!(clock.next(start).millis(), 1_700_000_000_000);
    }

    #[test]
    fn equal_times_of_two_balancers_differ() {
        let start = Instant::now();
        let versions = [1, 2].map(|node| clock(start, 5, node).next(start));
        assert_ne!(versions[0], versions[1]);
    }

    #[test]
    fn only_whole_numbers_are_read() {
        for text in [
            "",
            "1",
            "0000000000000000000x",
            "-0000000000000000001",
            "99999999999999999999",
        ] {
            assert_eq!(Version::parse(text), None, "{text}");
        }
    }
}
