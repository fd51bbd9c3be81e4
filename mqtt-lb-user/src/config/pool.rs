//! `[pool.NAME]`: backends, and how a client gets to one of them.

use clap::ValueEnum;

use super::backend::Backend;
use super::clash::Addresses;
use super::health::Health;
use super::section::{Place, Section};
use super::stick::Stick;
use super::value::choice;

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

/// How a client without a stick table entry gets its backend.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "lower")]
pub enum Balance {
    /// In turn, by weight.
    RoundRobin,
    /// The backend with the fewest connections for its weight.
    LeastConn,
    /// Consistent hash of the client id (ketama, nginx's answers).
    Hash,
}

/// What happens to clients with an empty client id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "lower")]
pub enum EmptyClientId {
    /// Balanced as if the key were new each time; never stored.
    Balance,
    /// The client's source address is the key.
    Source,
    /// Refused.
    Reject,
}

/// Which PROXY protocol header the backends get.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "lower")]
pub enum ProxyProtocol {
    /// Binary header.
    V2,
    /// Text header.
    V1,
    /// None: the broker sees the balancer's address.
    Off,
}

impl Default for Pool {
    /// A pool without stick table and (so far) without backends.
    fn default() -> Self {
        Self {
            balance: Balance::RoundRobin,
            stick: None,
            empty_client_id: EmptyClientId::Balance,
            proxy_protocol: ProxyProtocol::Off,
            health: Some(Health::default()),
            backends: Vec::new(),
        }
    }
}

impl Pool {
    /// Reads the pool `name`.
    pub(super) fn read(
        mut section: Section<'_>,
        name: &str,
        addresses: &mut Addresses<Place>,
    ) -> Self {
        let default = Self::default();
        let backends = section.list("backend");
        if !section.has("backend") {
            section.missing(&format!(
                "no backend: add [[pool.{name}.backend]] with name and address"
            ));
        }
        let pool = Self {
            balance: section.or("balance", default.balance, choice),
            stick: section.section("stick").map(Stick::read),
            empty_client_id: section.or("empty_client_id", default.empty_client_id, choice),
            proxy_protocol: section.or("proxy_protocol", default.proxy_protocol, choice),
            health: section
                .section("health")
                .map_or(default.health, Health::read),
            backends: Backend::read_list(backends, name, addresses),
        };
        section.finish();
        pool
    }
}
