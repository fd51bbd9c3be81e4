//! When a flow moves out of userspace: sans-IO, one small struct per flow.

use std::time::{Duration, Instant};

use crate::config::SockmapPolicy;

/// Window over which the rate of a flow is judged, and its least age.
const WINDOW: Duration = Duration::from_secs(1);
/// Reads (about one per segment on a quiet flow) a second above which
/// userspace forwards cheaper than the kernel (one kworker pass a segment).
pub const BUSY: u32 = 1000;
/// Time until a flow that was not quiet after all is offered again.
const MOMENT: Duration = Duration::from_millis(2);
/// Time until a flow that was refused for a passing reason is offered again.
const RETRY: Duration = Duration::from_secs(10);

/// The decision of one flow.
#[derive(Debug)]
pub struct Policy {
    rule: Option<SockmapPolicy>,
    reads: u32,
    window: Instant,
    quiet: bool,
}

impl Policy {
    /// `None`: no path but copy is available.
    pub fn new(rule: Option<SockmapPolicy>, now: Instant) -> Self {
        Self {
            rule,
            reads: 0,
            window: now + WINDOW,
            quiet: rule == Some(SockmapPolicy::Always),
        }
    }

    /// Notes a read in either direction.
    pub fn read(&mut self) {
        self.reads = self.reads.saturating_add(1);
    }

    /// Whether the flow should be handed over at its next quiet moment.
    pub fn wants_offload(&self) -> bool {
        self.rule.is_some() && self.quiet
    }

    /// When to call [`Policy::tick`] next.
    pub fn next_tick(&self) -> Option<Instant> {
        (self.rule.is_some() && !self.quiet).then_some(self.window)
    }

    /// Judges the window that ends at `now`.
    pub fn tick(&mut self, now: Instant) {
        if now < self.window {
            return;
        }
        self.quiet = self.rule == Some(SockmapPolicy::Always) || self.reads < BUSY;
        self.reads = 0;
        self.window = now + WINDOW;
    }

    /// The path gave the flow back; it has to earn its place again. While a flow
    /// leaves the kernel, what arrives is not charged to its socket for a moment:
    /// that must not happen over and over.
    pub fn returned(&mut self, now: Instant) {
        self.wait(now, WINDOW);
    }

    /// Bytes arrived during the hand-over.
    pub fn not_quiet(&mut self, now: Instant) {
        match self.rule {
            Some(SockmapPolicy::Always) => self.wait(now, MOMENT),
            _ => self.wait(now, WINDOW),
        }
    }

    /// The path refused the flow for a passing reason.
    pub fn refused(&mut self, now: Instant) {
        self.wait(now, RETRY);
    }

    fn wait(&mut self, now: Instant, time: Duration) {
        self.quiet = false;
        self.reads = 0;
        self.window = now + time;
    }

    /// The path will never take this flow.
    pub fn give_up(&mut self) {
        self.rule = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn auto_waits_for_a_quiet_second() {
        let start = Instant::now();
        let mut policy = Policy::new(Some(SockmapPolicy::Auto), start);
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
        let mut policy = Policy::new(Some(SockmapPolicy::Always), now);
        assert!(policy.wants_offload());
        policy.returned(now);
        assert!(!policy.wants_offload(), "but for a flow that came back");
        policy.tick(now + WINDOW);
        assert!(policy.wants_offload());
    }

    #[test]
    fn always_gives_bytes_that_came_in_between_a_moment() {
        let now = Instant::now();
        let mut policy = Policy::new(Some(SockmapPolicy::Always), now);
        policy.not_quiet(now);
        assert!(!policy.wants_offload());
        policy.tick(now + MOMENT);
        assert!(policy.wants_offload());
    }

    #[test]
    fn auto_starts_over_when_a_flow_comes_back() {
        let start = Instant::now();
        let mut policy = Policy::new(Some(SockmapPolicy::Auto), start);
        policy.tick(start + WINDOW);
        assert!(policy.wants_offload());
        policy.returned(start + WINDOW);
        assert!(!policy.wants_offload());
        assert_eq!(policy.next_tick(), Some(start + WINDOW * 2));
    }

    #[test]
    fn a_passing_refusal_is_retried_and_a_final_one_is_not() {
        let start = Instant::now();
        let mut policy = Policy::new(Some(SockmapPolicy::Always), start);
        policy.refused(start);
        assert!(!policy.wants_offload());
        policy.tick(start + RETRY);
        assert!(policy.wants_offload());
        policy.give_up();
        assert!(!policy.wants_offload());
        assert_eq!(policy.next_tick(), None);
    }
}
