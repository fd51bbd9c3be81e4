//! MQTT 3.1.1 and 5.0, as much as the tests speak.

mod client;
mod packet;

pub use client::{Client, Packet};
pub use packet::{Connect, Seen, V5, V311, connack, connect_in};
pub(crate) use packet::{frame, packet};
