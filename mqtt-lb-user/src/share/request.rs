//! What Redis is asked about a pool, and what it answers.

use std::sync::Arc;
use std::time::Duration;

use super::record::Record;
use super::version::Version;

/// A word on a key, to be stored unless Redis has a newer one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Push {
    /// The whole key.
    pub key: Arc<[u8]>,
    /// What is said of it.
    pub record: Record,
    /// How long Redis keeps it.
    pub keep: Duration,
}

/// What Redis is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Request {
    /// Store and publish what is newer. Answer: [`Answer::Done`].
    Push(Vec<Push>),
    /// Store and publish these clears where they are newer, and keep them as long. Answer:
    /// [`Answer::Done`].
    Clear(Vec<(String, Version)>, Duration),
    /// All clears. Answer: [`Answer::Clears`].
    Clears,
    /// Some entries from this place on; 0 is the beginning. Answer: [`Answer::Scanned`].
    Scan(u64),
    /// The values of these keys. Answer: [`Answer::Values`], in the same order.
    Get(Vec<Vec<u8>>),
}

/// What Redis says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// It is done.
    Done,
    /// Fields and versions.
    Clears(Vec<(Vec<u8>, Vec<u8>)>),
    /// Keys and values, and where to go on; 0 is the end.
    Scanned(u64, Vec<(Vec<u8>, Vec<u8>)>),
    /// The values, where there are some.
    Values(Vec<Option<Vec<u8>>>),
}
