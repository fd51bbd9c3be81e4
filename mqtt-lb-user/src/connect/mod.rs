//! The first packet of a client: CONNECT, read incrementally and sans-IO.
//!
//! [`Reader`] is fed everything a client has sent so far and says how far that
//! reaches: not yet to the client id, to the client id, or to the end of the
//! packet. It keeps offsets only; every value is borrowed from the caller's
//! buffer through [`Connect`].
//!
//! The reader refuses what every broker refuses: a first byte that is not
//! CONNECT's, a length of more than four bytes, a protocol name that is not
//! MQTT's, and fields that reach beyond the packet. The rest (flags, UTF-8,
//! unknown levels, contents of properties) is the broker's to judge, so that
//! nothing a broker would have taken is lost here.
//!
//! Sources: MQTT 3.1 §3.1, MQTT 3.1.1 §3.1 and MQTT 5.0 §3.1. Bridges set the
//! high bit of the protocol level.

pub mod connack;
pub mod connack_code;
mod cursor;
mod foreign;
mod length;
mod properties;
mod reader;
mod refusal;
mod view;

#[cfg(test)]
mod vectors;

pub use reader::{Limits, MIN_BUFFER, Reader, Status};
pub use refusal::Refusal;
pub use view::{Connect, Field, UserProperties};
