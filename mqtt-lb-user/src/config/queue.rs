//! `[pool.NAME.queue]`: clients that wait for a place on a backend.

use std::time::Duration;

use super::section::Section;
use super::value::{duration, size};

/// Where clients wait while the backends have as many connections as they may.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Queue {
    /// Clients that wait at most; more are refused.
    pub size: usize,
    /// Time a client waits at most.
    pub timeout: Duration,
}

impl Default for Queue {
    fn default() -> Self {
        Self {
            size: 1000,
            timeout: Duration::from_secs(5),
        }
    }
}

impl Queue {
    pub(super) fn read(mut section: Section<'_>) -> Self {
        let default = Self::default();
        let (least, most) = (Duration::from_millis(10), Duration::from_secs(3600));
        let queue = Self {
            size: section.or("size", default.size, size(1..=1 << 20)),
            timeout: section.or("timeout", default.timeout, duration(least..=most)),
        };
        section.finish();
        queue
    }
}
