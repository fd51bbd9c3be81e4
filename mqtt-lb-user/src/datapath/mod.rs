//! The ways to forward an established flow, behind one trait.
//!
//! Every flow starts in [`copy`] and may always come back to it. A faster path
//! takes a flow over at a moment when userspace holds none of its bytes, and
//! gives it back with an exact account of what it has forwarded.

pub mod copy;
mod direction;
pub mod mapped;
mod memo;
pub mod object;
mod offers;
mod paths;
mod policy;
mod refusal;
pub mod release;
mod resident;
mod side;
mod slot_pool;
pub mod sockmap;
pub mod splice;
pub mod tcp;

use std::net::{SocketAddr, TcpStream};
use std::os::fd::BorrowedFd;
use std::task::{Context, Poll};

pub use direction::{Arrivals, Backlog, Direction};
pub use memo::{Memo, backend_tag, tag};
pub use offers::Offers;
pub use paths::{OnPath, Paths};
pub use policy::{Policy, Rule};
pub use refusal::Refusal;
pub use resident::{Fate, Resident, Residents, Standing};
pub use side::Side;

use crate::backend::dial::Tuning;
use crate::config::PathKind;

/// The two sockets of a flow, both non-blocking.
#[derive(Debug)]
pub struct Ends {
    /// The client's connection.
    pub client: TcpStream,
    /// The backend's connection.
    pub backend: TcpStream,
}

/// What userspace knows of both directions.
#[derive(Default)]
pub struct Directions {
    /// Client to backend.
    pub up: Direction,
    /// Backend to client.
    pub down: Direction,
    /// The side that closed first.
    pub first_eof: Option<Side>,
}

impl Directions {
    /// Notes who has closed first, once somebody has.
    pub fn note_eof(&mut self) {
        self.first_eof = self.first_eof.or(if self.up.eof {
            Some(Side::Client)
        } else if self.down.eof {
            Some(Side::Backend)
        } else {
            None
        });
    }

    /// Whether userspace holds no bytes and waits for nothing, both ways.
    pub fn is_clear(&self) -> bool {
        self.up.is_clear() && self.down.is_clear()
    }
}

/// Why a path gives a flow back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Return {
    /// A peer has closed or reset its connection.
    Closing,
    /// The in-flight limit was reached: a receiver is slower than its sender.
    Limit,
    /// Too many segments a second; userspace batches them better.
    Busy,
    /// Bytes came that the path cannot forward.
    Stray,
}

impl Return {
    /// Metric label.
    pub fn reason(self) -> &'static str {
        match self {
            Self::Closing => "closing",
            Self::Limit => "limit",
            Self::Busy => "busy",
            Self::Stray => "stray",
        }
    }
}

/// A flow whose backend has been chosen and not yet dialled.
#[derive(Debug, Clone, Copy)]
pub struct Route<'a> {
    /// The client's socket.
    pub socket: BorrowedFd<'a>,
    /// The client's address.
    pub client: SocketAddr,
    /// Our address that it connected to.
    pub front: SocketAddr,
    /// The backend's address.
    pub backend: SocketAddr,
}

/// A path that forwards flows without userspace.
pub trait DataPath: Send + Sync {
    /// Which path this is.
    fn kind(&self) -> PathKind;

    /// When flows move onto the path.
    fn rule(&self) -> Rule;

    /// Prepares one flow for the path.
    ///
    /// # Errors
    /// The flow cannot use it.
    fn flow(&self, route: &Route<'_>) -> Result<Box<dyn Offload>, Refusal>;

    /// The flows that live on the path without sockets, if there can be any.
    fn residents(&self) -> Option<&dyn Residents> {
        None
    }

    /// Largest segment that clients should be told to send, bytes, when the backends
    /// take less than the clients' links would carry.
    fn max_segment(&self) -> Option<u16> {
        None
    }
}

/// How a path has taken a flow.
pub enum Entry {
    /// It forwards between the two sockets until it gives them back.
    Parked,
    /// It needs them no more.
    Dissolved(Box<dyn Departure>),
}

/// A flow that goes on without its sockets.
pub trait Departure: Send {
    /// Leaves the sockets to the path. `resident` hears of the flow's end.
    fn depart(self: Box<Self>, ends: Ends, memo: &Memo, resident: Box<dyn Resident>);
}

/// One flow's relation to a path. Dropped after the flow's sockets are closed, so
/// that its place is not given to another flow before.
pub trait Offload: Send {
    /// What the connection to the backend has to be like.
    fn tuning(&self) -> Tuning {
        Tuning::default()
    }

    /// The source of [`Offload::tuning`] is taken: chooses another one, if there is.
    fn choose_source(&mut self) -> bool {
        false
    }

    /// Whether the sockets look quiet enough to try; costs little.
    fn looks_quiet(&self, client: BorrowedFd<'_>, backend: BorrowedFd<'_>) -> bool {
        let _ = (client, backend);
        true
    }

    /// Takes the flow over. Both directions hold no pending bytes, no backlog
    /// and no end of stream. When refused, `dirs` holds whatever was read on the way.
    fn enter(&mut self, ends: &Ends, dirs: &mut Directions) -> Result<Entry, Refusal>;

    /// Ready when the path wants to give the flow back.
    fn poll_return(&mut self, cx: &mut Context<'_>) -> Poll<Return>;

    /// Gives the flow back: when this returns no byte moves but by userspace,
    /// and `dirs` says what the path has forwarded and what is still queued.
    fn leave(&mut self, ends: &Ends, dirs: &mut Directions);

    /// The path will not take the flow: frees what that needs no more.
    fn retire(&mut self) {}
}
