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

/// Both sockets registered with the runtime, for as long as userspace copies.
pub struct Pump<'a> {
    client: AsyncFd<TcpStream>,
    backend: AsyncFd<TcpStream>,
    dirs: &'a mut Directions,
    first_eof: &'a mut Option<Side>,
    settings: Settings,
}

/// What one direction can still do without waiting.
enum Step {
    /// Nothing, until a socket or the clock says so.
    Idle,
    /// More; it has used up its turn.
    More,
}

/// A direction that cannot go on.
enum Broken {
    Side(Side),
    Stalled(Side),
}

impl<'a> Pump<'a> {
    /// Registers both sockets. `first_eof` remembers over hand-overs who closed first.
    pub fn new(
        ends: Ends,
        dirs: &'a mut Directions,
        first_eof: &'a mut Option<Side>,
        settings: Settings,
    ) -> io::Result<Self> {
        Ok(Self {
            client: AsyncFd::new(ends.client)?,
            backend: AsyncFd::new(ends.backend)?,
            dirs,
            first_eof,
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

    /// Moves bytes until the flow is over or quiet. `observe` sees every byte
    /// the backend sends, before it is written on.
    pub fn poll(
        &mut self,
        cx: &mut Context<'_>,
        policy: &mut Policy,
        observe: &mut dyn FnMut(&[u8]),
    ) -> Poll<Exit> {
        let settings = self.settings;
        with_scratch(settings.buffer, |scratch| {
            let mut lane = Lane {
                cx,
                scratch,
                policy,
                settings,
            };
            let up = lane.drive(
                &self.client,
                &self.backend,
                &mut self.dirs.up,
                Side::Client,
                &mut |_| {},
            );
            let down = lane.drive(
                &self.backend,
                &self.client,
                &mut self.dirs.down,
                Side::Backend,
                observe,
            );
            if self.first_eof.is_none() {
                *self.first_eof = match (self.dirs.up.eof, self.dirs.down.eof) {
                    (true, _) => Some(Side::Client),
                    (false, true) => Some(Side::Backend),
                    (false, false) => None,
                };
            }
            for step in [&up, &down] {
                match step {
                    Err(Broken::Side(side)) => {
                        return Poll::Ready(Exit::Over(Outcome::Aborted(*side)));
                    }
                    Err(Broken::Stalled(side)) => {
                        return Poll::Ready(Exit::Over(Outcome::Stalled(*side)));
                    }
                    Ok(_) => {}
                }
            }
            if self.dirs.up.finished && self.dirs.down.finished {
                let first = self.first_eof.unwrap_or(Side::Client);
                return Poll::Ready(Exit::Over(Outcome::Closed(first)));
            }
            if matches!(up, Ok(Step::More)) || matches!(down, Ok(Step::More)) {
                lane.cx.waker().wake_by_ref();
                return Poll::Pending;
            }
            if lane.policy.wants_offload() && self.dirs.up.is_clear() && self.dirs.down.is_clear() {
                return Poll::Ready(Exit::Quiet);
            }
            Poll::Pending
        })
    }

    /// When to poll again though no socket has spoken: a backlog is watched by time.
    pub fn next_look(&self) -> Option<Duration> {
        let pause = |direction: &Direction| direction.backlog.as_ref().map(|b| b.pause());
        match (pause(&self.dirs.up), pause(&self.dirs.down)) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        }
    }

    /// After `Aborted(side)`: writes on what that side sent before, so that the
    /// other side gets it ahead of the reset. Ready when nothing is left to write.
    pub fn poll_flush(&mut self, cx: &mut Context<'_>, aborted: Side) -> Poll<io::Result<()>> {
        let (source, target, direction) = match aborted {
            Side::Client => (&self.client, &self.backend, &mut self.dirs.up),
            Side::Backend => (&self.backend, &self.client, &mut self.dirs.down),
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
                return Poll::Ready(Ok(()));
            }
            direction.read += n as u64;
        }
    }
}

/// What both directions share during one poll.
struct Lane<'c, 'w, 'l> {
    cx: &'l mut Context<'w>,
    scratch: &'l mut [u8],
    policy: &'c mut Policy,
    settings: Settings,
}

impl Lane<'_, '_, '_> {
    fn drive(
        &mut self,
        source: &AsyncFd<TcpStream>,
        target: &AsyncFd<TcpStream>,
        direction: &mut Direction,
        from: Side,
        observe: &mut dyn FnMut(&[u8]),
    ) -> Result<Step, Broken> {
        let to = from.other();
        for _ in 0..TURN {
            if direction.finished {
                return Ok(Step::Idle);
            }
            if let Some(backlog) = &mut direction.backlog {
                let now = Instant::now();
                let position = tcp::info(target.get_ref())
                    .map_err(|_| Broken::Side(to))?
                    .position();
                if backlog.observe(position, now) {
                    direction.backlog = None;
                } else {
                    let closing = backlog.stalled(now) > self.settings.drain
                        && is_hung_up(source.get_ref());
                    return if closing {
                        Err(Broken::Stalled(to))
                    } else {
                        Ok(Step::Idle)
                    };
                }
            }
            if !direction.pending().is_empty() {
                match poll_write(target, self.cx, direction.pending()) {
                    Poll::Ready(Ok(n)) => direction.took(n),
                    Poll::Ready(Err(_)) => return Err(Broken::Side(to)),
                    Poll::Pending => return Ok(Step::Idle),
                }
                continue;
            }
            if direction.failed {
                return Err(Broken::Side(from));
            }
            if direction.eof {
                // The target may be gone already; its own direction says so.
                let _ = target.get_ref().shutdown(Shutdown::Write);
                direction.finished = true;
                continue;
            }
            let n = match poll_read(source, self.cx, self.scratch) {
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
                    return Err(Broken::Side(to));
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

fn poll_read(
    socket: &AsyncFd<TcpStream>,
    cx: &mut Context<'_>,
    buffer: &mut [u8],
) -> Poll<io::Result<usize>> {
    loop {
        let mut guard = ready!(socket.poll_read_ready(cx))?;
        match guard.try_io(|socket| socket.get_ref().read(buffer)) {
            Ok(Err(error)) if error.kind() == ErrorKind::Interrupted => {}
            Ok(result) => return Poll::Ready(result),
            Err(_would_block) => {}
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
