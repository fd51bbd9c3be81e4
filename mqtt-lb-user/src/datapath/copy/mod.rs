//! The copy path: userspace reads, userspace writes. Works everywhere.
//!
//! A quiet flow owns no buffer: bytes are read into one scratch buffer per
//! thread and written on at once; only what the target refuses is kept.

mod lane;
mod pump;
mod scratch;
mod socket;

pub use pump::{Exit, Observer, Outcome, Pump, Settings};
pub use scratch::with_scratch;
