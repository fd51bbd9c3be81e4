//! Why a session ended, in words and in HAProxy's two letters.

use super::Session;

/// Why a session ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// The client closed first.
    ClientClosed,
    /// The client's connection was reset or timed out.
    ClientAborted,
    /// The backend closed first.
    BackendClosed,
    /// The backend's connection was reset or timed out.
    BackendAborted,
    /// CONNECT was refused; the reason is a metric label.
    Refused(&'static str),
    /// The client did not finish its CONNECT in time.
    ConnectTimeout,
    /// The backend did not answer with a CONNACK in time.
    ConnackTimeout,
    /// No backend could be reached.
    NoBackend,
    /// The balancer shut down.
    Shutdown,
    /// What was queued could not be delivered within the drain time.
    DrainTimeout,
    /// The kernel held more of its bytes than it may.
    Overrun,
    /// No packet came for twice its keepalive, or for the idle timeout.
    IdleTimeout,
    /// Its backend went down.
    BackendDown,
    /// An operator ended it, or its backend's drain came to its deadline.
    Killed,
    /// Its client belongs on another backend.
    Rebalanced,
}

impl End {
    /// The word for it in the log.
    pub fn name(self) -> &'static str {
        match self {
            Self::ClientClosed => "client_closed",
            Self::ClientAborted => "client_aborted",
            Self::BackendClosed => "backend_closed",
            Self::BackendAborted => "backend_aborted",
            Self::Refused(_) => "refused",
            Self::ConnectTimeout => "connect_timeout",
            Self::ConnackTimeout => "connack_timeout",
            Self::NoBackend => "no_backend",
            Self::Shutdown => "shutdown",
            Self::DrainTimeout => "drain_timeout",
            Self::Overrun => "overrun",
            Self::IdleTimeout => "idle_timeout",
            Self::BackendDown => "backend_down",
            Self::Killed => "killed",
            Self::Rebalanced => "rebalanced",
        }
    }

    /// The reason of a refusal.
    pub fn reason(self) -> Option<&'static str> {
        match self {
            Self::Refused(reason) => Some(reason),
            _ => None,
        }
    }
}

/// What the session was waiting for when it ended.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Phase {
    Connect,
    Backend,
    Connack,
    Data,
}

impl Phase {
    fn of(session: &Session) -> Self {
        if session.connack.is_some() {
            Self::Data
        } else if session.connecting.is_some() {
            Self::Connack
        } else if session.waited.is_some() {
            Self::Backend
        } else {
            Self::Connect
        }
    }

    fn letter(self) -> char {
        match self {
            Self::Connect => 'R',
            Self::Backend => 'C',
            Self::Connack => 'H',
            Self::Data => 'D',
        }
    }
}

/// HAProxy's termination state (configuration manual, 8.5): the first letter
/// tells who ended the session, the second in which phase.
pub fn termination(session: &Session) -> [char; 2] {
    let phase = Phase::of(session);
    match session.end {
        End::ClientClosed | End::BackendClosed if phase == Phase::Data => ['-', '-'],
        End::ClientClosed | End::ClientAborted => ['C', phase.letter()],
        End::BackendClosed | End::BackendAborted => ['S', phase.letter()],
        // Of a long CONNECT the beginning may be at a backend already.
        End::ConnectTimeout => ['c', Phase::Connect.letter()],
        End::ConnackTimeout => ['s', phase.letter()],
        End::Refused(_) => ['P', 'R'],
        End::NoBackend => ['S', 'C'],
        End::Shutdown | End::Killed | End::Rebalanced => ['K', phase.letter()],
        End::BackendDown => ['D', phase.letter()],
        End::IdleTimeout => ['c', phase.letter()],
        End::DrainTimeout => ['P', 'L'],
        End::Overrun => ['R', 'D'],
    }
}
