//! The byte pump: drives both directions of one flow from one task.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use tokio::io::unix::AsyncFd;

use super::with_scratch;
use crate::datapath::{Direction, Directions, Ends, Policy, Side, tcp};

/// Reads one direction may do before the other gets its turn.
const TURN: usize = 16;

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
    client: AsyncFd<TcpStream>,
    backend: AsyncFd<TcpStream>,
    settings: Settings,
}

/// What one direction can still do without waiting.
enum Step {
    /// Nothing, until a socket or the clock says so.
    Idle,
    /// More; it has used up its turn.
    More,
}

impl Pump {
    /// Registers both sockets with the runtime.
    pub fn new(ends: Ends, settings: Settings) -> io::Result<Self> {
        // SAFETY: a TcpStream keeps its descriptor for as long as it lives, and
        // AsyncFd owns it.
        let (client, backend) = unsafe {
            (
                AsyncFd::register(ends.client),
                AsyncFd::register(ends.backend),
            )
        };
        Ok(Self {
            client: client?,
            backend: backend?,
            settings,
        })
    }

    /// Gives the sockets back, no longer registered.
    pub fn into_ends(self) -> Ends {
        Ends {
            client: self.client.into_inner(),
            backend: self.backend.into_inner(),
        }
    }

    /// Moves bytes until the flow is over or quiet.
    pub fn poll(
        &self,
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
            let (client, backend) = (&self.client, &self.backend);
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

    /// When to poll again though no socket has spoken: a backlog is watched by time.
    pub fn next_look(dirs: &Directions) -> Option<Duration> {
        match (dirs.up.pause(), dirs.down.pause()) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        }
    }

    /// After `Aborted(side)`: writes on what that side sent before, so that the
    /// other side gets it ahead of the reset. Ready when nothing is left to write.
    pub fn poll_flush(
        &self,
        cx: &mut Context<'_>,
        dirs: &mut Directions,
        aborted: Side,
    ) -> Poll<io::Result<()>> {
        let (source, target, direction) = match aborted {
            Side::Client => (&self.client, &self.backend, &mut dirs.up),
            Side::Backend => (&self.backend, &self.client, &mut dirs.down),
        };
        if let Some(backlog) = &mut direction.backlog {
            let position = tcp::info(target.get_ref())?.position();
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
                let n = source.get_ref().read(scratch).unwrap_or(0);
                direction.keep(&scratch[..n]);
                n
            });
            if n == 0 {
                return if direction.has_stragglers() {
                    Poll::Pending
                } else {
                    Poll::Ready(Ok(()))
                };
            }
            direction.read += n as u64;
        }
    }
}

/// What both directions share during one poll.
struct Lane<'a, 'w> {
    cx: &'a mut Context<'w>,
    scratch: &'a mut [u8],
    policy: &'a mut Policy,
    drain: Duration,
}

impl Lane<'_, '_> {
    fn drive(
        &mut self,
        source: &AsyncFd<TcpStream>,
        target: &AsyncFd<TcpStream>,
        direction: &mut Direction,
        from: Side,
        observe: &mut dyn FnMut(&[u8]),
    ) -> Result<Step, Outcome> {
        let to = from.other();
        for _ in 0..TURN {
            if direction.finished {
                return Ok(Step::Idle);
            }
            if let Some(backlog) = &mut direction.backlog {
                let now = Instant::now();
                let position = tcp::info(target.get_ref())
                    .map_err(|_| Outcome::Aborted(to))?
                    .position();
                if backlog.observe(position, now) {
                    direction.backlog = None;
                } else {
                    let closing = backlog.stalled(now) > self.drain && is_hung_up(source.get_ref());
                    return if closing {
                        Err(Outcome::Stalled(to))
                    } else {
                        Ok(Step::Idle)
                    };
                }
            }
            if !direction.pending().is_empty() {
                match poll_write(target, self.cx, direction.pending()) {
                    Poll::Ready(Ok(n)) => direction.took(n),
                    Poll::Ready(Err(_)) => return Err(Outcome::Aborted(to)),
                    Poll::Pending => return Ok(Step::Idle),
                }
                continue;
            }
            if direction.failed {
                return Err(Outcome::Aborted(from));
            }
            if direction.eof {
                // The target may be gone already; its own direction says so.
                let _ = target.get_ref().shutdown(Shutdown::Write);
                direction.finished = true;
                continue;
            }
            let n = match poll_read(source, self.cx, self.scratch, &mut direction.drained) {
                Poll::Ready(Ok(0)) if direction.has_stragglers() => return Ok(Step::Idle),
                Poll::Ready(Ok(0)) => {
                    direction.eof = true;
                    continue;
                }
                Poll::Ready(Ok(n)) => n,
                Poll::Ready(Err(_)) => {
                    direction.failed = true;
                    continue;
                }
                Poll::Pending => return Ok(Step::Idle),
            };
            self.policy.read();
            direction.read += n as u64;
            let bytes = &self.scratch[..n];
            observe(bytes);
            match poll_write(target, self.cx, bytes) {
                Poll::Ready(Ok(wrote)) => {
                    direction.written += wrote as u64;
                    if wrote < n {
                        direction.keep(&bytes[wrote..]);
                    }
                }
                Poll::Ready(Err(_)) => {
                    direction.keep(bytes);
                    return Err(Outcome::Aborted(to));
                }
                Poll::Pending => {
                    direction.keep(bytes);
                    return Ok(Step::Idle);
                }
            }
        }
        Ok(Step::More)
    }
}

/// Whether the peer of this socket has closed or reset it.
fn is_hung_up(socket: &TcpStream) -> bool {
    use std::os::fd::AsRawFd;
    let mut poll = libc::pollfd {
        fd: socket.as_raw_fd(),
        events: libc::POLLRDHUP,
        revents: 0,
    };
    // SAFETY: one valid pollfd, no waiting.
    unsafe { libc::poll(&mut poll, 1, 0) > 0 }
}

/// Reads, and keeps `drained` true to what the socket itself has said.
///
/// The runtime may call a socket not ready that has bytes: just after it was
/// registered, or when the task has used up its budget.
fn poll_read(
    socket: &AsyncFd<TcpStream>,
    cx: &mut Context<'_>,
    buffer: &mut [u8],
    drained: &mut bool,
) -> Poll<io::Result<usize>> {
    loop {
        let result = match socket.poll_read_ready(cx)? {
            Poll::Ready(mut guard) => match guard.try_io(|socket| socket.get_ref().read(buffer)) {
                Ok(result) => result,
                Err(_would_block) => {
                    *drained = true;
                    continue;
                }
            },
            Poll::Pending if *drained => return Poll::Pending,
            Poll::Pending => match socket.get_ref().read(buffer) {
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    *drained = true;
                    return Poll::Pending;
                }
                result => result,
            },
        };
        match result {
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            result => {
                *drained = false;
                return Poll::Ready(result);
            }
        }
    }
}

fn poll_write(
    socket: &AsyncFd<TcpStream>,
    cx: &mut Context<'_>,
    bytes: &[u8],
) -> Poll<io::Result<usize>> {
    loop {
        let mut guard = ready!(socket.poll_write_ready(cx))?;
        match guard.try_io(|socket| socket.get_ref().write(bytes)) {
            Ok(Err(error)) if error.kind() == ErrorKind::Interrupted => {}
            Ok(result) => return Poll::Ready(result),
            Err(_would_block) => {}
        }
    }
}
