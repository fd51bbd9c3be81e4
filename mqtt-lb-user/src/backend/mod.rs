//! Pools of broker nodes: their state, their health, and how they are reached.
//!
//! A [`Pool`] asks [`crate::affinity`] where a client belongs and hands back
//! [`Backend`]s in order of preference; [`dial`] reaches one, [`proxy`] says who
//! the client is. A full pool's clients wait in a `queue`. [`health`], [`line`], `load`
//! and [`schedule`] are sans-IO; [`check`] and [`monitor`] do the talking; [`sweep`] frees what has expired.

mod admission;
pub mod check;
pub mod dial;
mod explain;
pub mod health;
mod lease;
mod line;
mod load;
pub mod monitor;
mod moves;
mod node;
mod pool;
mod pools;
pub mod proxy;
mod queue;
mod registry;
pub mod schedule;
mod state;
pub mod sweep;

pub use admission::{Admission, Place};
pub use explain::Decision;
pub use lease::Lease;
pub use moves::Moves;
pub use node::Backend;
pub use pool::Pool;
pub use pools::Pools;
pub use queue::Waiting;
pub use state::{AdminState, UnknownState};

#[cfg(test)]
mod queue_tests;
#[cfg(test)]
mod tests;
