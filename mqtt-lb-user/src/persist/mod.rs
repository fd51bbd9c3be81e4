//! Stick tables on disk: written from time to time and at the end, read at the start.
//!
//! The format is [`crate::affinity::snapshot`]'s; here are the files, the clocks and
//! the thread that writes. A client never waits for a disk: the table is copied out
//! in short steps, and written between them.

mod clock;
mod file;
mod keeper;
mod load;
mod save;
mod schedule;

pub use keeper::Keeper;
pub use load::load;
pub use save::{Saved, save};
