//! `[pool.NAME]`: backends, and how a client gets to one of them.

use std::net::SocketAddr;
use std::time::Duration;

/// A pool of broker nodes.
#[derive(Debug, Clone, PartialEq)]
pub struct Pool {
    /// How a client without a stick table entry gets its backend.
    pub balance: Balance,
    /// The stick table; `None` when the pool has none.
    pub stick: Option<Stick>,
    /// What happens to clients with an empty client id.
    pub empty_client_id: EmptyClientId,
    /// Which PROXY protocol header the backends get.
    pub proxy_protocol: ProxyProtocol,
    /// Active health checks; `None` switches them off.
    pub health: Option<Health>,
    /// The backends, in the order of the file.
    pub backends: Vec<Backend>,
}

/// One broker node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Backend {
    /// Name in logs, tables and commands; unique within the pool.
    pub name: String,
    /// Address and port of its MQTT listener.
    pub address: SocketAddr,
    /// Share of new clients relative to the others; 0 takes none.
    pub weight: u32,
}

/// How a client without a stick table entry gets its backend.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Balance {
    /// In turn, by weight.
    RoundRobin,
    /// The backend with the fewest connections for its weight.
    LeastConn,
    /// Consistent hash of the client id (ketama, nginx's answers).
    Hash,
}

/// The stick table (HAProxy's `stick-table type string`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stick {
    /// Entries at most.
    pub size: usize,
    /// Time an entry stays after its last match.
    pub expire: Duration,
    /// Refuse new entries when full, instead of evicting the least recently used.
    pub nopurge: bool,
}

/// What happens to clients with an empty client id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EmptyClientId {
    /// Balanced as if the key were new each time; never stored.
    Balance,
    /// The client's source address is the key.
    Source,
    /// Refused.
    Reject,
}

/// Which PROXY protocol header the backends get.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProxyProtocol {
    /// Binary header.
    V2,
    /// Text header.
    V1,
    /// None: the broker sees the balancer's address.
    Off,
}

/// Active health checks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Health {
    /// What a check does.
    pub kind: CheckKind,
    /// Time between two checks.
    pub interval: Duration,
    /// Time a check may take.
    pub timeout: Duration,
    /// Good checks in a row until a backend is up.
    pub rise: u32,
    /// Bad checks in a row until a backend is down.
    pub fall: u32,
}

/// What a health check does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CheckKind {
    /// Connect, send the PROXY header where the pool has one, close.
    Tcp,
    /// Connect, PROXY header, CONNECT, and wait for any CONNACK.
    Mqtt,
}
