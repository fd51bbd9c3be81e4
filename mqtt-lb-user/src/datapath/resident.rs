//! Flows that live in the kernel without sockets: who they are, and how they end.

use std::net::SocketAddr;
use std::time::Duration;

use super::{Memo, Side};

/// How a flow without sockets ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// Both directions ended with FIN; the side that closed first.
    Closed(Side),
    /// This side was reset.
    Aborted(Side),
    /// No packet came for too long.
    Idle,
    /// Its backend went down.
    BackendDown,
    /// An operator ended it, or its backend's drain came to its deadline.
    Killed,
    /// It was idle, and its client belongs on another backend.
    Rebalanced,
    /// The balancer stops and takes its flows along.
    Shutdown,
    /// The client came back from the same address and port.
    Replaced,
    /// The hand-over has gone wrong, which was noticed at once.
    Broken,
}

/// A flow without sockets, as it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    /// Names the flow until it ends.
    pub id: u64,
    /// The client's address.
    pub client: SocketAddr,
    /// The backend's address.
    pub backend: SocketAddr,
    /// What is known of it.
    pub memo: Memo,
    /// Bytes client to backend; retransmissions since it lives in the kernel count.
    pub up: u64,
    /// The same, backend to client.
    pub down: u64,
    /// Time since its last packet, to the second.
    pub idle: Duration,
    /// A side has closed or was reset.
    pub closing: bool,
}

/// What lives on of a flow in this process: told once, when the flow is over.
pub trait Resident: Send {
    /// The flow is known by this name ([`Standing::id`]) until it ends.
    fn named(&mut self, name: u64);

    /// The flow has ended. `standing` is its last account.
    fn ended(self: Box<Self>, fate: Fate, standing: &Standing);
}

/// Flows without sockets.
pub trait Residents: Send + Sync {
    /// Flows from position `from` on, at most `most` positions; the next position, or
    /// `None` behind the last one. Flows that come and go meanwhile may be missed.
    fn page(&self, from: u32, most: u32) -> (Vec<Standing>, Option<u32>);

    /// The ids of the flows to a backend ([`super::backend_tag`]).
    fn of_backend(&self, tag: u32) -> Vec<u64>;

    /// Resets both sides of a flow. Nothing happens when it has ended.
    fn end(&self, id: u64, fate: Fate);

    /// Whether the flow of this name has begun to close, or has ended.
    fn closing(&self, id: u64) -> bool;

    /// How many there are.
    fn count(&self) -> usize;
}
