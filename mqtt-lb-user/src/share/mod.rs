//! Stick tables shared between balancers through Redis.
//!
//! A client is always routed by the table in this process; Redis is told afterwards, and what
//! others say comes in between. So a slow or dead Redis delays nobody.
//!
//! [`version`], [`record`], [`outbox`], [`request`], [`replica`] decide and know no sockets; the table
//! keeps the [`Outbox`] and writes to it whatever changes it. [`redis`] and [`task`] do the
//! talking. `docs/sharing.md` tells what is kept in Redis.

mod inbox;
mod member;
mod names;
pub mod outbox;
pub mod record;
mod redis;
pub mod replica;
pub mod request;
mod tally;
mod task;
pub mod version;

pub use names::Names;
pub use outbox::Outbox;
pub use tally::{Outcome, Tally};
pub use task::{Settings, run};
pub use version::{Anchor, Clock, Version};
