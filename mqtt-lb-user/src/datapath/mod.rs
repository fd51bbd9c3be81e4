//! The ways to forward an established flow, behind one trait.
//!
//! Every flow starts in [`copy`] and may always come back to it. A faster path
//! takes a flow over at a moment when userspace holds none of its bytes, and
//! gives it back with an exact account of what it has forwarded.

pub mod copy;
mod direction;
pub mod mapped;
pub mod object;
mod paths;
mod policy;
pub mod release;
mod side;
pub mod sockmap;
pub mod splice;
pub mod tcp;

use std::net::TcpStream;
use std::task::{Context, Poll};

pub use direction::{Arrivals, Backlog, Direction};
pub use paths::{OnPath, Paths};
pub use policy::Policy;
pub use side::Side;

use crate::config::{PathKind, SockmapPolicy};

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

/// Why a path did not take a flow. The flow goes on where it is, unharmed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Refusal {
    /// The path's tables have no room for another flow.
    TableFull,
    /// A socket is no longer ESTABLISHED (its peer has begun to close).
    NotEstablished,
    /// Bytes arrived during the hand-over; the next quiet moment will do.
    NotQuiet,
    /// The kernel refused a step; the errno is in the log at debug level.
    Kernel,
}

impl Refusal {
    /// Metric label.
    pub fn reason(self) -> &'static str {
        match self {
            Self::TableFull => "table_full",
            Self::NotEstablished => "not_established",
            Self::NotQuiet => "not_quiet",
            Self::Kernel => "kernel",
        }
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

/// A path that forwards flows without userspace.
pub trait DataPath: Send + Sync {
    /// Which path this is.
    fn kind(&self) -> PathKind;

    /// When flows move onto the path.
    fn policy(&self) -> SockmapPolicy;

    /// Prepares one flow for the path; costs nothing until it is entered.
    fn flow(&self) -> Box<dyn Offload>;
}

/// One flow's relation to a path. Dropped after the flow's sockets are closed, so
/// that its place is not given to another flow before.
pub trait Offload: Send {
    /// Takes the flow over. Both directions hold no pending bytes, no backlog
    /// and no end of stream. When refused, `dirs` holds whatever was read on the way.
    fn enter(&mut self, ends: &Ends, dirs: &mut Directions) -> Result<(), Refusal>;

    /// Ready when the path wants to give the flow back.
    fn poll_return(&mut self, cx: &mut Context<'_>) -> Poll<Return>;

    /// Gives the flow back: when this returns no byte moves but by userspace,
    /// and `dirs` says what the path has forwarded and what is still queued.
    fn leave(&mut self, ends: &Ends, dirs: &mut Directions);
}
