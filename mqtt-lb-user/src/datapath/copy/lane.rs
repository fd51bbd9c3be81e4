//! One direction's turn: read, show, write, and what the source's end means.

use std::net::Shutdown;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use socket2::SockRef;
use tokio::net::TcpStream;

use super::Outcome;
use super::socket::{is_hung_up, poll_read, poll_write};
use crate::datapath::{Direction, Policy, Side, tcp};

/// Reads one direction may do before the other gets its turn.
const TURN: usize = 16;

/// What one direction can still do without waiting.
pub(super) enum Step {
    /// Nothing, until a socket or the clock says so.
    Idle,
    /// More; it has used up its turn.
    More,
}

/// What both directions share during one poll.
pub(super) struct Lane<'a, 'w> {
    pub(super) cx: &'a mut Context<'w>,
    pub(super) scratch: &'a mut [u8],
    pub(super) policy: &'a mut Policy,
    pub(super) drain: Duration,
}

impl Lane<'_, '_> {
    /// Moves bytes of one direction until it has to wait or has had its turn.
    pub(super) fn drive(
        &mut self,
        source: &mut TcpStream,
        target: &mut TcpStream,
        direction: &mut Direction,
        from: Side,
        observe: &mut dyn FnMut(&[u8]),
    ) -> Result<Step, Outcome> {
        let to = from.other();
        for _ in 0..TURN {
            if direction.finished {
                return Ok(Step::Idle);
            }
            direction.failed |= direction.is_torn();
            if direction.overruns() {
                return Err(Outcome::Overrun);
            }
            if let Some(backlog) = &mut direction.backlog {
                let now = Instant::now();
                let position = tcp::position(target, to).map_err(|_| Outcome::Aborted(to))?;
                if backlog.observe(position, now) {
                    direction.backlog = None;
                } else {
                    return self.wait(backlog.stalled(now), source, to);
                }
            }
            if !direction.pending().is_empty() {
                match poll_write(target, self.cx, direction.pending()) {
                    Poll::Ready(Ok(n)) => direction.took(n),
                    Poll::Ready(Err(_)) => return Err(Outcome::Aborted(to)),
                    Poll::Pending => {
                        let queued =
                            tcp::unacknowledged(target).map_err(|_| Outcome::Aborted(to))?;
                        let stuck = direction.refused(queued, Instant::now());
                        return self.wait(stuck, source, to);
                    }
                }
                continue;
            }
            if direction.failed {
                return Err(Outcome::Aborted(from));
            }
            if direction.eof {
                // The target may be gone already; its own direction says so.
                let _ = SockRef::from(&*target).shutdown(Shutdown::Write);
                direction.finished = true;
                continue;
            }
            // Only a hand-over needs the socket's own word that nothing is left.
            let exact = self.policy.wants_offload();
            let drained = &mut direction.drained;
            let n = match poll_read(source, self.cx, self.scratch, drained, exact) {
                Poll::Ready(Ok(0)) if direction.has_stragglers() => {
                    if direction.awaits_stragglers(Instant::now(), self.drain) {
                        return Ok(Step::Idle);
                    }
                    direction.failed = true;
                    continue;
                }
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

    /// The target has taken nothing for `stalled`: that is back-pressure, unless the
    /// source is closing.
    fn wait(&self, stalled: Duration, source: &TcpStream, to: Side) -> Result<Step, Outcome> {
        if stalled >= self.drain && is_hung_up(source) {
            Err(Outcome::Stalled(to))
        } else {
            Ok(Step::Idle)
        }
    }
}
