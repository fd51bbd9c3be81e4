//! The configuration file: one file per section, unknown keys refused.
//!
//! [`load`] and [`parse`] answer a whole, validated [`Config`], or a
//! [`ConfigError`] with every problem of the file and its place. The keys,
//! their defaults and their ranges are described in `docs/configuration.md`.

mod backend;
mod clash;
mod datapath;
mod error;
mod file;
mod flags;
mod health;
mod ids;
mod key;
mod limits;
mod listener;
mod log;
mod marked_down;
mod origin;
mod pattern;
mod pool;
mod queue;
mod rebalance;
mod route;
mod section;
mod share;
mod snapshot;
mod splice;
mod stick;
mod syntax;
mod template;
pub mod units;
mod value;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;

pub use backend::{Backend, MAX_WEIGHT};
pub use datapath::{PathKind, Sockmap, SockmapPolicy};
pub use error::ConfigError;
pub use file::{load, parse};
pub use flags::{BackendFlag, Flags, from_flags};
pub use health::{CheckKind, Health};
pub use ids::Ids;
pub use key::{KeyField, KeySpec};
pub use limits::{Limits, Timeouts};
pub use listener::Listener;
pub use log::{Log, LogFormat};
pub use marked_down::MarkedDown;
pub use origin::Origin;
pub use pattern::Pattern;
pub use pool::{Balance, EmptyClientId, Pool, ProxyProtocol};
pub use queue::Queue;
pub use rebalance::Rebalance;
pub use route::Route;
pub use share::{Redis, Share};
pub use snapshot::Snapshot;
pub use splice::{Attach, Splice, parse_pin};
pub use stick::Stick;
pub use template::{Part, Template};
pub use value::{parse_address, parse_socket_path};

/// Where the unix admin socket is when the configuration does not say.
pub const DEFAULT_ADMIN_SOCKET: &str = "/run/mqtt-lb/admin.sock";

/// Where `/metrics`, `/healthz` and `/readyz` answer when the configuration does not say.
pub const DEFAULT_HTTP: SocketAddr =
    SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 9180);

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
    /// What is remembered of client ids.
    pub ids: Ids,
    /// Settings of the splice path.
    pub splice: Splice,
    /// Settings of the sockmap path.
    pub sockmap: Sockmap,
    /// How stick tables are shared between balancers; `None` when they are not.
    pub share: Option<Share>,
    /// Listeners by name.
    pub listeners: BTreeMap<String, Listener>,
    /// Pools by name.
    pub pools: BTreeMap<String, Pool>,
}

impl Default for Config {
    /// Every default, without listeners and pools.
    fn default() -> Self {
        Self {
            workers: std::thread::available_parallelism().map_or(1, usize::from),
            datapath: PathKind::DEFAULT.to_vec(),
            log: Log::default(),
            admin: Some(PathBuf::from(DEFAULT_ADMIN_SOCKET)),
            http: Some(DEFAULT_HTTP),
            limits: Limits::default(),
            timeouts: Timeouts::default(),
            ids: Ids::default(),
            splice: Splice::default(),
            sockmap: Sockmap::default(),
            share: None,
            listeners: BTreeMap::new(),
            pools: BTreeMap::new(),
        }
    }
}
