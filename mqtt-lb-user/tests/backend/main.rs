//! Dialing and checking over real sockets on loopback.

mod broker;
mod check;
mod dial;
mod monitor;
mod pools;
mod segments;
mod settings;
mod sweep;
