//! The userspace half of mqtt-lb: everything but the command line.
//!
//! `connect`, `affinity` and the state machines of `backend` and `share` are sans-IO: no
//! sockets, no runtime, no clock but the one passed in. `flow` is one
//! connection's life and knows the data paths only through their trait.
//! `admin` reads and commands; nothing imports it.

pub mod admin;
pub mod affinity;
pub mod backend;
pub mod config;
pub mod connect;
pub mod datapath;
pub mod doctor;
pub mod escape;
pub mod flow;
pub mod ids;
pub mod import;
pub mod logging;
pub mod metrics;
pub mod persist;
pub mod server;
pub mod session;
pub mod share;
