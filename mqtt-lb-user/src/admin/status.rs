//! Which part of its life the process is in.

use std::sync::atomic::{AtomicU8, Ordering};
use std::time::{Duration, Instant};

/// A part of the process's life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// Listeners are not open yet.
    Starting,
    /// Clients are accepted.
    Serving,
    /// No more clients are accepted; those that are there may go on.
    Draining,
}

impl Phase {
    /// The word for it in answers.
    pub fn name(self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::Serving => "serving",
            Self::Draining => "draining",
        }
    }
}

/// The process's phase and age, shared by all threads.
#[derive(Debug)]
pub struct Status {
    phase: AtomicU8,
    started: Instant,
}

impl Status {
    /// A process that is starting.
    pub fn new(now: Instant) -> Self {
        Self {
            phase: AtomicU8::new(Phase::Starting as u8),
            started: now,
        }
    }

    /// Enters a phase.
    pub fn enter(&self, phase: Phase) {
        self.phase.store(phase as u8, Ordering::Relaxed);
    }

    /// The phase now.
    pub fn phase(&self) -> Phase {
        let phase = self.phase.load(Ordering::Relaxed);
        [Phase::Starting, Phase::Serving]
            .into_iter()
            .find(|known| *known as u8 == phase)
            .unwrap_or(Phase::Draining)
    }

    /// Time since the start.
    pub fn uptime(&self, now: Instant) -> Duration {
        now.saturating_duration_since(self.started)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn phases_go_in_and_out() {
        let status = Status::new(Instant::now());
        assert_eq!(status.phase(), Phase::Starting);
        for phase in [Phase::Serving, Phase::Draining, Phase::Starting] {
            status.enter(phase);
            assert_eq!(status.phase(), phase);
        }
    }
}
