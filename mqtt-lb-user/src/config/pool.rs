//! `[pool.NAME]`: backends, and how a client gets to one of them.

use std::time::Duration;

use clap::ValueEnum;
use toml::de::DeValue;

use super::backend::Backend;
use super::clash::Addresses;
use super::health::Health;
use super::key::KeySpec;
use super::marked_down::MarkedDown;
use super::queue::Queue;
use super::rebalance::Rebalance;
use super::section::{Place, Section};
use super::snapshot::Snapshot;
use super::stick::Stick;
use super::value::{Read, boolean, choice, duration, expected, integer, or_off};

/// Codes of a CONNACK that another node may not give: Server unavailable (MQTT 3.1.1
/// §3.2.2.3), Server unavailable, Server busy, Quota exceeded, Use another server and
/// Server moved (MQTT 5.0 §3.2.2.2).
const FAILOVER_CODES: [u8; 6] = [0x03, 0x88, 0x89, 0x97, 0x9c, 0x9d];

/// A pool of broker nodes.
#[derive(Debug, Clone, PartialEq)]
pub struct Pool {
    /// How a client without a stick table entry gets its backend.
    pub balance: Balance,
    /// Percent of the mean load for its weight that a backend may have before others are
    /// preferred; `None` sets no bound.
    pub bounded_load: Option<u32>,
    /// Time in which a backend that has come up gets its weight back; 0 gives all of it
    /// at once.
    pub slow_start: Duration,
    /// Where clients wait when all backends are full; with `None` they are refused.
    pub queue: Option<Queue>,
    /// The stick table; `None` when the pool has none.
    pub stick: Option<Stick>,
    /// The stick table is shared with other balancers ([`super::Share`]).
    pub shared: bool,
    /// What a client is known by.
    pub key: KeySpec,
    /// Where the stick table is kept for the next process.
    pub snapshot: Snapshot,
    /// How ids of the table go home and over; `None`: never.
    pub rebalance: Option<Rebalance>,
    /// What happens to clients with an empty key.
    pub empty_client_id: EmptyClientId,
    /// Which PROXY protocol header the backends get.
    pub proxy_protocol: ProxyProtocol,
    /// CONNACK codes with which a backend sends a client on to the next one; with none
    /// a client stays with the backend that its CONNECT was written to.
    pub failover_codes: Vec<u8>,
    /// Active health checks; `None` switches them off.
    pub health: Option<Health>,
    /// What happens to the sessions of a backend that has gone down.
    pub on_marked_down: MarkedDown,
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
    /// The less loaded of two backends drawn by weight.
    Random,
    /// Consistent hash of the client's address (nginx's `hash $remote_addr consistent`).
    Source,
    /// Consistent hash of the key (ketama, nginx's answers).
    Hash,
}

/// What happens to clients with an empty key: an empty client id, or no such field.
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
            bounded_load: None,
            slow_start: Duration::ZERO,
            queue: None,
            stick: None,
            shared: false,
            key: KeySpec::default(),
            snapshot: Snapshot::default(),
            rebalance: None,
            empty_client_id: EmptyClientId::Balance,
            proxy_protocol: ProxyProtocol::Off,
            failover_codes: FAILOVER_CODES.to_vec(),
            health: Some(Health::default()),
            on_marked_down: MarkedDown::default(),
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
        if section.has("rebalance") && !section.has("stick") {
            section.missing(&format!(
                "rebalance moves the entries of a stick table, and there is none: add \
                 [pool.{name}.stick], or take [pool.{name}.rebalance] out"
            ));
        }
        if !section.has("backend") {
            section.missing(&format!(
                "no backend: add [[pool.{name}.backend]] with name and address"
            ));
        }
        let mut pool = Self {
            balance: section.or("balance", default.balance, choice),
            bounded_load: section.or(
                "bounded_load",
                default.bounded_load,
                or_off(integer(101..=1000)),
            ),
            slow_start: section.or(
                "slow_start",
                default.slow_start,
                duration(Duration::ZERO..=Duration::from_secs(86_400)),
            ),
            queue: section.section("queue").map(Queue::read),
            key: section.section("key").map_or(default.key, KeySpec::read),
            stick: None,
            shared: false,
            snapshot: Snapshot::default(),
            rebalance: section.section("rebalance").map(Rebalance::read),
            empty_client_id: section.or("empty_client_id", default.empty_client_id, choice),
            proxy_protocol: section.or("proxy_protocol", default.proxy_protocol, choice),
            failover_codes: section.or("failover_codes", default.failover_codes, read_codes),
            health: section
                .section("health")
                .map_or(default.health, Health::read),
            on_marked_down: section
                .section("on_marked_down")
                .map_or(default.on_marked_down, MarkedDown::read),
            backends: Backend::read_list(backends, name, addresses),
        };
        if let Some(mut stick) = section.section("stick") {
            pool.stick = Some(Stick::read(&mut stick));
            pool.snapshot = Snapshot::read(&mut stick, name, addresses);
            pool.shared = stick.or("shared", default.shared, boolean);
            stick.finish();
        }
        section.finish();
        pool
    }
}

/// Reads `failover_codes`. 0 is success, which no client should leave.
fn read_codes(value: &DeValue<'_>) -> Read<Vec<u8>> {
    let DeValue::Array(array) = value else {
        return Err(expected("a list such as [0x03, 0x88]", value));
    };
    let code = integer(1..=255);
    array.iter().map(|item| code(item.get_ref())).collect()
}
