//! `[pool.NAME.stick]`: the stick table.

use std::time::Duration;

use super::section::Section;
use super::value::{boolean, duration, size};

/// The stick table (HAProxy's `stick-table type string`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stick {
    /// Entries at most.
    pub size: usize,
    /// Time an entry stays after its last match.
    pub expire: Duration,
    /// Refuse new entries when full, instead of evicting the least recently used.
    pub nopurge: bool,
}

impl Default for Stick {
    fn default() -> Self {
        Self {
            size: 100 << 10,
            expire: Duration::from_secs(30 * 60),
            nopurge: false,
        }
    }
}

impl Stick {
    /// Reads the keys of the table itself; the section may have others.
    pub(super) fn read(section: &mut Section<'_>) -> Self {
        let default = Self::default();
        let year = Duration::from_secs(365 * 86_400);
        Self {
            size: section.or("size", default.size, size(1..=128 << 20)),
            expire: section.or(
                "expire",
                default.expire,
                duration(Duration::from_secs(1)..=year),
            ),
            nopurge: section.or("nopurge", default.nopurge, boolean),
        }
    }
}
