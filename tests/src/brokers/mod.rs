//! Brokers: real ones, and one that says what it has seen.

pub mod fake;
pub mod mosquitto;
pub mod session;
