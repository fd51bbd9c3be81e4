//! When a flow moves out of userspace: sans-IO, one small struct per flow.

use std::time::{Duration, Instant};

use super::Refusal;

/// Window over which the rate of a flow is judged, and its least age.
const WINDOW: Duration = Duration::from_secs(1);
/// Reads (about one per segment on a quiet flow) a second above which
/// userspace forwards cheaper than the kernel (one kworker pass a segment).
pub const BUSY: u32 = 1000;
/// Time until a flow that was not quiet after all is offered again.
const MOMENT: Duration = Duration::from_millis(2);
/// Moments that a flow is offered at, one after the other.
const MOMENTS: u32 = 500;
/// Time until a flow that was refused for a passing reason is offered again.
const RETRY: Duration = Duration::from_secs(10);

/// When flows move onto a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rule {
    /// After a second without many packets.
    Quiet,
    /// At the first moment at which it can.
    Always,
    /// Not at all: there is no other path.
    Never,
}

/// The decision of one flow about one path.
#[derive(Debug)]
pub struct Policy {
    rule: Rule,
    reads: u32,
    window: Instant,
    quiet: bool,
    moments: u32,
}

impl Policy {
    /// A flow that has just begun.
    pub fn new(rule: Rule, now: Instant) -> Self {
        Self {
            rule,
            reads: 0,
            window: now + WINDOW,
            quiet: rule == Rule::Always,
            moments: 0,
        }
    }

    /// The path is on offer from now on.
    pub fn restart(&mut self, now: Instant) {
        *self = Self::new(self.rule, now);
    }

    /// Notes a read in either direction.
    pub fn read(&mut self) {
        self.reads = self.reads.saturating_add(1);
    }

    /// Whether the flow should be handed over at its next quiet moment.
    pub fn wants_offload(&self) -> bool {
        self.quiet
    }

    /// When to call [`Policy::tick`] next.
    pub fn next_tick(&self) -> Option<Instant> {
        (!self.quiet && self.rule != Rule::Never).then_some(self.window)
    }

    /// Judges the window that ends at `now`.
    pub fn tick(&mut self, now: Instant) {
        if now < self.window || self.rule == Rule::Never {
            return;
        }
        self.quiet = self.rule == Rule::Always || self.reads < BUSY;
        self.reads = 0;
        self.window = now + WINDOW;
    }

    /// The path gave the flow back; it has to earn its place again. While a flow
    /// leaves the kernel, what arrives is not charged to its socket for a moment:
    /// that must not happen over and over.
    pub fn returned(&mut self, now: Instant) {
        self.wait(now, WINDOW);
    }

    /// The flow was not quiet. With [`Rule::Always`] it is offered again in a moment,
    /// but after many of them not for a while.
    pub fn not_quiet(&mut self, now: Instant) {
        if self.rule != Rule::Always {
            return self.wait(now, WINDOW);
        }
        self.moments += 1;
        if self.moments < MOMENTS {
            self.wait(now, MOMENT);
        } else {
            self.moments = 0;
            self.wait(now, RETRY);
        }
    }

    /// The path refused the flow; false when it always will.
    pub fn refused(&mut self, refusal: Refusal, now: Instant) -> bool {
        match refusal {
            Refusal::NotQuiet => self.not_quiet(now),
            // Its next packet may tell what is missing.
            Refusal::NotLearned if self.moments < MOMENTS / 10 => self.not_quiet(now),
            Refusal::TableFull => self.wait(now, RETRY),
            _ => return false,
        }
        true
    }

    fn wait(&mut self, now: Instant, time: Duration) {
        self.quiet = false;
        self.reads = 0;
        self.window = now + time;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quiet_waits_for_a_quiet_second() {
        let start = Instant::now();
        let mut policy = Policy::new(Rule::Quiet, start);
        assert!(!policy.wants_offload());
        for _ in 0..BUSY {
            policy.read();
        }
        policy.tick(start + WINDOW);
        assert!(!policy.wants_offload(), "1000 reads in a second are busy");
        policy.tick(start + WINDOW + Duration::from_millis(10));
        assert!(!policy.wants_offload(), "the new window has not ended");
        policy.tick(start + WINDOW * 2);
        assert!(policy.wants_offload());
        assert_eq!(policy.next_tick(), None);
    }

    #[test]
    fn always_does_not_wait() {
        let now = Instant::now();
        let mut policy = Policy::new(Rule::Always, now);
        assert!(policy.wants_offload());
        policy.returned(now);
        assert!(!policy.wants_offload(), "but for a flow that came back");
        policy.tick(now + WINDOW);
        assert!(policy.wants_offload());
    }

    #[test]
    fn always_gives_bytes_that_came_in_between_a_moment() {
        let now = Instant::now();
        let mut policy = Policy::new(Rule::Always, now);
        policy.not_quiet(now);
        assert!(!policy.wants_offload());
        policy.tick(now + MOMENT);
        assert!(policy.wants_offload());
    }

    #[test]
    fn a_flow_that_is_never_quiet_is_left_alone_for_a_while() {
        let now = Instant::now();
        let mut policy = Policy::new(Rule::Always, now);
        for _ in 0..MOMENTS {
            policy.not_quiet(now);
        }
        assert_eq!(policy.next_tick(), Some(now + RETRY));
        policy.tick(now + RETRY);
        policy.not_quiet(now + RETRY);
        assert_eq!(policy.next_tick(), Some(now + RETRY + MOMENT));
    }

    #[test]
    fn without_a_path_nothing_is_asked() {
        let now = Instant::now();
        let mut policy = Policy::new(Rule::Never, now);
        policy.tick(now + WINDOW);
        assert!(!policy.wants_offload());
        assert_eq!(policy.next_tick(), None);
    }

    #[test]
    fn quiet_starts_over_when_a_flow_comes_back() {
        let start = Instant::now();
        let mut policy = Policy::new(Rule::Quiet, start);
        policy.tick(start + WINDOW);
        assert!(policy.wants_offload());
        policy.returned(start + WINDOW);
        assert!(!policy.wants_offload());
        assert_eq!(policy.next_tick(), Some(start + WINDOW * 2));
    }

    #[test]
    fn passing_refusals_are_retried_and_final_ones_are_not() {
        let start = Instant::now();
        let mut policy = Policy::new(Rule::Always, start);
        assert!(policy.refused(Refusal::TableFull, start));
        assert!(!policy.wants_offload());
        policy.tick(start + RETRY);
        assert!(policy.wants_offload());
        assert!(policy.refused(Refusal::NotQuiet, start));
        assert!(!policy.refused(Refusal::Mss, start));
        while policy.refused(Refusal::NotLearned, start) {}
        assert!(policy.moments < MOMENTS);
    }
}
