//! `[pool.NAME.rebalance]`: ids go home, or over to a backend that has too few.

use std::time::Duration;

use super::section::Section;
use super::value::{boolean, duration, fraction, size};

/// How ids of the stick table are moved; a pool without it moves nobody (as HAProxy).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rebalance {
    /// Ids moved per second at most.
    pub rate: u32,
    /// Share of the table that one event may move over.
    pub max_moved: f64,
    /// How uneven the backends' shares of the table may be: the largest share over the
    /// mean, or the mean over the smallest, by weight.
    pub skew: f64,
    /// Time that a backend has to be up before ids are moved to it.
    pub settle: Duration,
    /// Connections of ids that should move are ended while they are idle.
    pub close_idle: bool,
    /// Silence after which a connection is idle.
    pub idle: Duration,
}

impl Default for Rebalance {
    fn default() -> Self {
        Self {
            rate: 10,
            max_moved: 0.2,
            skew: 1.1,
            settle: Duration::from_secs(10),
            close_idle: false,
            idle: Duration::from_secs(10),
        }
    }
}

impl Rebalance {
    pub(super) fn read(mut section: Section<'_>) -> Self {
        let default = Self::default();
        let hour = Duration::from_secs(3600);
        let second = Duration::from_secs(1);
        let rebalance = Self {
            rate: section.or("rate", default.rate, size(1..=100 << 10)),
            max_moved: section.or("max_moved", default.max_moved, fraction(0.01..=1.0)),
            skew: section.or("skew", default.skew, fraction(1.01..=100.0)),
            settle: section.or("settle", default.settle, duration(Duration::ZERO..=hour)),
            close_idle: section.or("close_idle", default.close_idle, boolean),
            idle: section.or("idle", default.idle, duration(second..=hour)),
        };
        section.finish();
        rebalance
    }
}
