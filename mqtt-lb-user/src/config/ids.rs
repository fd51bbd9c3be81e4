//! `[ids]`: how much is remembered of client ids, for what operators are shown of them.

use std::time::Duration;

use super::section::Section;
use super::value::{duration, size};

/// What is remembered of client ids.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ids {
    /// Ids in the list of those that connect most often; 0 for no list.
    pub top: usize,
    /// Ids whose last CONNECT is remembered, 8 bytes each; 0 for none.
    pub recent: usize,
    /// An id that connects again within this time is flapping.
    pub flapping: Duration,
}

impl Default for Ids {
    fn default() -> Self {
        Self {
            top: 1000,
            recent: 64 << 10,
            flapping: Duration::from_secs(10),
        }
    }
}

impl Ids {
    pub(super) fn read(mut section: Section<'_>) -> Self {
        let default = Self::default();
        let window = duration(Duration::from_secs(1)..=Duration::from_secs(3600));
        let ids = Self {
            top: section.or("top", default.top, size(0..=10_000)),
            recent: section.or("recent", default.recent, size(0..=16 << 20)),
            flapping: section.or("flapping", default.flapping, window),
        };
        section.finish();
        ids
    }
}
