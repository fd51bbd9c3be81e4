//! The configuration file: one file per section, unknown keys refused.

mod datapath;
mod limits;
mod listener;
mod pool;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;

pub use datapath::{PathKind, Sockmap, SockmapPolicy};
pub use limits::{Limits, Timeouts};
pub use listener::Listener;
pub use pool::{Backend, Balance, CheckKind, EmptyClientId, Health, Pool, ProxyProtocol, Stick};

/// A whole, validated configuration.
#[derive(Debug, Clone, PartialEq)]
pub struct Config {
    /// Worker threads; each has its own runtime and its own listening sockets.
    pub workers: usize,
    /// Data paths in order of preference; `copy` is always the last resort.
    pub datapath: Vec<PathKind>,
    /// How the program logs.
    pub log: Log,
    /// The unix admin socket; `None` switches it off.
    pub admin: Option<PathBuf>,
    /// Where `/metrics`, `/healthz` and `/readyz` answer; `None` switches them off.
    pub http: Option<SocketAddr>,
    /// Bounds on what clients may use.
    pub limits: Limits,
    /// Deadlines.
    pub timeouts: Timeouts,
    /// Settings of the sockmap path.
    pub sockmap: Sockmap,
    /// Listeners by name.
    pub listeners: BTreeMap<String, Listener>,
    /// Pools by name.
    pub pools: BTreeMap<String, Pool>,
}

/// How the program logs.
#[derive(Debug, Clone, PartialEq)]
pub struct Log {
    /// Text lines or one JSON object a line.
    pub format: LogFormat,
    /// `tracing` filter directive, such as `info` or `mqtt_lb_user=debug`.
    pub level: String,
    /// Whether to write one line per finished session.
    pub sessions: bool,
}

/// Shape of the log lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// HAProxy's tcplog shape for sessions, plain text for the rest.
    Text,
    /// One JSON object a line.
    Json,
}
