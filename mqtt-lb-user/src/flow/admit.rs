//! A client's place on a backend: there is one, or it waits for one.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::net::TcpStream;

use super::hold;
use crate::affinity::Client;
use crate::backend::{Admission, Backend, Lease, Place, Pool};
use crate::session::End;

/// A client that has a place.
pub(super) struct Admitted {
    /// Its place on the backend to be tried first.
    pub(super) place: Lease,
    /// The backends to try after it.
    pub(super) others: Vec<Arc<Backend>>,
    /// Its own backend is full, and it goes elsewhere for that reason only.
    pub(super) displaced: bool,
    /// Time it has waited.
    pub(super) waited: Duration,
}

/// Why a client gets no place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Denied {
    /// No backend takes clients.
    NoBackend,
    /// All are full, and there is no queue.
    Full,
    /// All are full, and so is the queue.
    QueueFull,
    /// It has waited as long as it may.
    Timeout,
    /// It has left meanwhile.
    Left,
}

impl Denied {
    /// How the session ends.
    pub(super) fn end(self) -> End {
        match (self, self.reason()) {
            (_, Some(reason)) => End::Refused(reason),
            (Self::Left, None) => End::ClientClosed,
            (_, None) => End::NoBackend,
        }
    }

    /// Metric label, when it is the balancer that gives up.
    pub(super) fn reason(self) -> Option<&'static str> {
        match self {
            Self::Full => Some("maxconn"),
            Self::QueueFull => Some("queue_full"),
            Self::Timeout => Some("queue_timeout"),
            Self::NoBackend | Self::Left => None,
        }
    }
}

impl fmt::Display for Denied {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoBackend => "no backend takes clients",
            Self::Full => "every backend has maxconn connections, and the pool has no queue",
            Self::QueueFull => "every backend has maxconn connections, and the queue is full",
            Self::Timeout => "no backend had a place within the queue's timeout",
            Self::Left => "it has left while it waited",
        })
    }
}

/// Finds a client a place, at once or by waiting for it. Nothing is read of the client
/// meanwhile, and no backend hears of it.
pub(super) async fn admit(
    pool: &Pool,
    client: Client<'_>,
    stream: &TcpStream,
) -> Result<Admitted, Denied> {
    let started = Instant::now();
    let admission = pool.admit(started, client);
    let waiting = match admission.place {
        Place::Reserved(place) => {
            return Ok(Admitted {
                place,
                others: admission.others,
                displaced: admission.displaced,
                waited: Duration::ZERO,
            });
        }
        Place::Waiting(waiting) => waiting,
        Place::Full if pool.settings().queue.is_some() => return Err(Denied::QueueFull),
        Place::Full => return Err(Denied::Full),
        Place::Nobody => return Err(Denied::NoBackend),
    };
    let timeout = pool.settings().queue.map_or(Duration::ZERO, |q| q.timeout);
    let place = tokio::select! {
        place = waiting.place(started + timeout) => place,
        () = hold::hung_up(stream) => return Err(Denied::Left),
    };
    let waited = started.elapsed();
    if let Some(place) = place {
        let mut others = admission.others;
        others.retain(|backend| backend.id != place.backend().id);
        return Ok(Admitted {
            place,
            others,
            displaced: false,
            waited,
        });
    }
    let Admission {
        place,
        others,
        displaced,
    } = pool.admit_now(Instant::now(), client);
    match place {
        Place::Reserved(place) => Ok(Admitted {
            place,
            others,
            displaced,
            waited,
        }),
        Place::Nobody => Err(Denied::NoBackend),
        Place::Waiting(_) | Place::Full => Err(Denied::Timeout),
    }
}
