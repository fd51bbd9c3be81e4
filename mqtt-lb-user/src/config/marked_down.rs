//! `[pool.NAME.on_marked_down]`: the sessions of a backend that has gone down.

use clap::ValueEnum;

use super::section::Section;
use super::value::{choice, size};

/// What happens to the sessions of a backend that is marked down
/// (HAProxy's `on-marked-down shutdown-sessions`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MarkedDown {
    /// Reset them, so that their clients come back to another backend.
    pub close: bool,
    /// Sessions reset per second at most, for the sake of the other backends.
    pub close_rate: u32,
}

/// How the file says it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "lower")]
enum Sessions {
    Close,
    Keep,
}

impl Default for MarkedDown {
    fn default() -> Self {
        Self {
            close: true,
            close_rate: 1000,
        }
    }
}

impl MarkedDown {
    pub(super) fn read(mut section: Section<'_>) -> Self {
        let default = Self::default();
        let down = Self {
            close: section.or("sessions", Sessions::Close, choice) == Sessions::Close,
            close_rate: section.or("close_rate", default.close_rate, size(1..=1 << 20)),
        };
        section.finish();
        down
    }
}
