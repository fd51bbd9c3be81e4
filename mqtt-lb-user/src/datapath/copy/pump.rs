//! The byte pump: drives both directions of one flow from one task.

use std::io;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use tokio::net::TcpStream;

use super::lane::{Lane, Step};
use super::socket::{poll_write, read_now};
use super::with_scratch;
use crate::datapath::{Direction, Directions, Ends, Policy, Side, tcp};

/// What the pump needs to know of the configuration.
#[derive(Debug, Clone, Copy)]
pub struct Settings {
    /// Bytes read at a time, and kept at most per direction.
    pub buffer: usize,
    /// How long a queue in front of a closing socket may stand still.
    pub drain: Duration,
}

/// Why the pump stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// Userspace holds nothing, and the policy wants the flow on a faster path.
    Quiet,
    /// The flow is over.
    Over(Outcome),
}

/// How a flow ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// Both directions ended with FIN; the side that closed first.
    Closed(Side),
    /// This side was reset or timed out; the other must be told.
    Aborted(Side),
    /// What was queued for this side did not move for the drain time.
    Stalled(Side),
    /// The kernel holds more for userspace than it may.
    Overrun,
}

/// Who looks at a flow while it is copied.
pub trait Observer {
    /// The client has sent `total` bytes so far.
    fn up(&mut self, total: u64);
    /// The backend has sent these bytes; they are about to be written on.
    fn down(&mut self, bytes: &[u8]);
    /// Whether the flow may be handed over to a faster path.
    fn may_leave(&self) -> bool;
}

/// Both sockets registered with the runtime, for as long as userspace copies.
pub struct Pump {
    client: TcpStream,
    backend: TcpStream,
    settings: Settings,
}

impl Pump {
    /// Copies between two sockets of this thread's runtime.
    pub fn new(client: TcpStream, backend: TcpStream, settings: Settings) -> Self {
        Self {
            client,
            backend,
            settings,
        }
    }

    /// Registers sockets that come back from a faster path.
    pub fn resume(ends: Ends, settings: Settings) -> io::Result<Self> {
        let client = TcpStream::from_std(ends.client)?;
        let backend = TcpStream::from_std(ends.backend)?;
        Ok(Self::new(client, backend, settings))
    }

    /// Gives the sockets back, no longer registered.
    pub fn into_ends(self) -> io::Result<Ends> {
        Ok(Ends {
            client: self.client.into_std()?,
            backend: self.backend.into_std()?,
        })
    }

    /// The socket of one side.
    pub fn socket(&self, side: Side) -> &TcpStream {
        match side {
            Side::Client => &self.client,
            Side::Backend => &self.backend,
        }
    }

    /// Moves bytes until the flow is over or quiet.
    pub fn poll(
        &mut self,
        cx: &mut Context<'_>,
        dirs: &mut Directions,
        policy: &mut Policy,
        observer: &mut dyn Observer,
    ) -> Poll<Exit> {
        with_scratch(self.settings.buffer, |scratch| {
            let mut lane = Lane {
                cx,
                scratch,
                policy,
                drain: self.settings.drain,
            };
            let (client, backend) = (&mut self.client, &mut self.backend);
            let up = lane.drive(client, backend, &mut dirs.up, Side::Client, &mut |_| {});
            observer.up(dirs.up.read);
            let down = lane.drive(
                backend,
                client,
                &mut dirs.down,
                Side::Backend,
                &mut |bytes| {
                    observer.down(bytes);
                },
            );
            dirs.note_eof();
            for step in [&up, &down] {
                if let Err(outcome) = step {
                    return Poll::Ready(Exit::Over(*outcome));
                }
            }
            if dirs.up.finished && dirs.down.finished {
                let first = dirs.first_eof.unwrap_or(Side::Client);
                return Poll::Ready(Exit::Over(Outcome::Closed(first)));
            }
            if matches!(up, Ok(Step::More)) || matches!(down, Ok(Step::More)) {
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
            if policy.wants_offload() && observer.may_leave() && dirs.is_clear() {
                return Poll::Ready(Exit::Quiet);
            }
            Poll::Pending
        })
    }

    /// When to poll again though no socket has spoken: what a target does not take
    /// is watched by time.
    pub fn next_look(&self, dirs: &Directions) -> Option<Duration> {
        let look = |direction: &Direction| {
            let held = !direction.pending().is_empty();
            direction.pause().or(held.then_some(self.settings.drain))
        };
        let looks = [look(&dirs.up), look(&dirs.down)];
        looks.into_iter().flatten().min()
    }

    /// After `Aborted(side)`: writes on what that side sent before, so that the
    /// other side gets it ahead of the reset. Ready when nothing is left to write.
    pub fn poll_flush(
        &mut self,
        cx: &mut Context<'_>,
        dirs: &mut Directions,
        aborted: Side,
    ) -> Poll<io::Result<()>> {
        let (source, target, direction) = match aborted {
            Side::Client => (&self.client, &mut self.backend, &mut dirs.up),
            Side::Backend => (&self.backend, &mut self.client, &mut dirs.down),
        };
        if let Some(backlog) = &mut direction.backlog {
            let position = tcp::position(target, aborted.other())?;
            if !backlog.observe(position, Instant::now()) {
                return Poll::Pending;
            }
            direction.backlog = None;
        }
        loop {
            while !direction.pending().is_empty() {
                let n = ready!(poll_write(target, cx, direction.pending()))?;
                direction.took(n);
            }
            let n = with_scratch(self.settings.buffer, |scratch| {
                let n = read_now(source, scratch).unwrap_or(0);
                direction.keep(&scratch[..n]);
                n
            });
            if n == 0 && direction.awaits_stragglers(Instant::now(), self.settings.drain) {
                return Poll::Pending;
            }
            if n == 0 {
                return Poll::Ready(Ok(()));
            }
            direction.read += n as u64;
        }
    }
}
