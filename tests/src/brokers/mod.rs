//! Brokers: real ones, and one that says what it has seen.

pub mod ejabberd;
pub mod erlang;
pub mod fake;
pub mod mosquitto;
pub mod rabbitmq;
pub mod redis;
pub mod session;
