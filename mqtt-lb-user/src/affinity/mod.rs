//! Which backend a client belongs to: stick table and balancing, sans-IO.
//!
//! [`Affinity`] is the whole of a pool's routing. It asks the [`StickTable`]
//! first and a [`Balancer`] second, and answers with backends in order of
//! preference, so that failover is "the next one". Nothing here opens a socket
//! or reads a clock: the caller passes the time and what it knows of its
//! backends.

pub mod balance;
pub mod explain;
mod fields;
mod key;
mod moving;
pub mod rebalance;
mod route;
pub mod routes;
pub mod slow_start;
pub mod snapshot;
pub mod table;

use std::net::{IpAddr, SocketAddr};

pub use balance::{Balancer, Policy};
pub use fields::Fields;
pub use key::Key;
pub use route::Affinity;
pub use table::{Batch, Cursor, Former, Moment, Room, Row, Said, Share, StickTable};

/// A backend's number: stable per pool and name for the life of the process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BackendId(pub u32);

/// What a client is routed by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Client<'a> {
    /// Names the client, whole; with `None`, or an empty one, it is balanced as if it
    /// were new each time.
    pub key: Option<&'a [u8]>,
    /// Its address, for `balance = "source"`.
    pub source: IpAddr,
}

impl<'a> Client<'a> {
    /// The key, if it identifies anybody.
    #[must_use]
    pub fn name(&self) -> Option<&'a [u8]> {
        self.key.filter(|key| !key.is_empty())
    }
}

/// A backend as the configuration knows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Server {
    /// Its number.
    pub id: BackendId,
    /// Address and port of its MQTT listener; the consistent hash is made of them.
    pub address: SocketAddr,
    /// Share of new clients relative to the others; 0 takes none.
    pub weight: u32,
}

/// A backend as it is at the moment of a choice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Candidate {
    /// Its number.
    pub id: BackendId,
    /// Share of new clients relative to the others; 0 takes none.
    pub weight: u32,
    /// Percent of its weight that it has got, 1 to [`RAMPED`]: less in a slow start.
    pub ramp: u32,
    /// Connections it has now.
    pub connections: u64,
    /// It has as many as it may have.
    pub full: bool,
    /// It is used when no other one takes the client.
    pub backup: bool,
    /// It may get new clients: up and ready.
    pub usable: bool,
    /// It may get clients that the table sends there: up, and ready or draining.
    pub sticky_ok: bool,
}

/// [`Candidate::ramp`] of a backend that has all of its weight.
pub const RAMPED: u32 = 100;

impl Candidate {
    /// Share of new clients relative to the others, as far as it has been ramped up.
    #[must_use]
    pub fn share(&self) -> u64 {
        u64::from(self.weight) * u64::from(self.ramp)
    }

    /// Whether balancing may choose it: usable, and with a weight.
    #[must_use]
    pub fn takes_new_clients(&self) -> bool {
        self.usable && self.weight > 0
    }
}

/// How the stick table answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sticky {
    /// The entry's backend took the client.
    Hit,
    /// There was no entry; one was made.
    New,
    /// The entry's backend was not available, and the entry moved; or it is full, and the
    /// entry stays.
    Moved,
    /// The client was brought back to its home, or over to a backend with too few.
    Returned,
    /// The client is not tracked (no table, empty client id, or the table is full).
    None,
}
