//! The account of one direction of a flow: every byte is in exactly one place.

use std::time::{Duration, Instant};

use bytes::{Buf as _, BytesMut};

/// Knows how much of a source a path has handed to userspace.
pub trait Arrivals: Send {
    /// Bytes from the start of the stream, on the scale of [`Direction::read`].
    fn handed_over(&self) -> u64;

    /// Whether bytes of the source are lost: the stream may not go on.
    fn is_torn(&self) -> bool;

    /// Bytes handed over and not read that the kernel may hold.
    fn limit(&self) -> u64;
}

/// One direction: bytes go from its source socket to its target socket.
#[derive(Default)]
pub struct Direction {
    /// Read from the source and not yet written to the target.
    pending: BytesMut,
    /// Since when the target has refused `pending` with so many bytes in its queue.
    stuck: Option<(Instant, u32)>,
    /// Bytes userspace has read from the source.
    pub read: u64,
    /// Bytes userspace has written to the target, with what it put in front.
    pub written: u64,
    /// Bytes a path has forwarded from source to target.
    pub forwarded: u64,
    /// Bytes of `forwarded` that are in the metrics already.
    pub counted: u64,
    /// Forwarded bytes the kernel has not yet put into the target's TCP queue.
    pub backlog: Option<Backlog>,
    /// The source has sent its FIN and everything before it has been read.
    pub eof: bool,
    /// Set by a path that has stood between the source and its reader.
    pub arrivals: Option<Box<dyn Arrivals>>,
    /// Bytes that have to come before an end of the source can be believed.
    stragglers: Option<Backlog>,
    /// The FIN has been passed on to the target.
    pub finished: bool,
    /// The last read of the source found nothing more: no segment is half read.
    pub drained: bool,
    /// Reading the source has failed; everything before that has been read.
    pub failed: bool,
}

/// A queue in front of the target that must empty before userspace may write.
#[derive(Debug, Clone, Copy)]
pub struct Backlog {
    /// Stream position ([`super::tcp::position`]) at which it is empty.
    pub target: u64,
    position: u64,
    moved: Option<Instant>,
    polls: u32,
}

impl Backlog {
    /// A queue that is empty once the target has taken `target` bytes.
    pub fn until(target: u64) -> Self {
        Self {
            target,
            position: 0,
            moved: None,
            polls: 0,
        }
    }

    /// Notes where the target stands; true when the queue is empty.
    pub fn observe(&mut self, position: u64, now: Instant) -> bool {
        if position > self.position || self.moved.is_none() {
            self.position = position;
            self.moved = Some(now);
            self.polls = 0;
        } else {
            self.polls += 1;
        }
        position >= self.target
    }

    /// How long to wait before looking again: 1 ms while it moves, 256 ms at most.
    pub fn pause(&self) -> Duration {
        Duration::from_millis(1 << self.polls.min(8))
    }

    /// How long the queue has not moved.
    pub fn stalled(&self, now: Instant) -> Duration {
        self.moved
            .map_or(Duration::ZERO, |moved| now.duration_since(moved))
    }
}

impl Direction {
    /// Bytes read that the target has not taken.
    pub fn pending(&self) -> &[u8] {
        &self.pending
    }

    /// Keeps bytes that the target would not take.
    pub fn keep(&mut self, bytes: &[u8]) {
        debug_assert!(self.pending.is_empty());
        self.pending.extend_from_slice(bytes);
    }

    /// Notes that the target took `n` pending bytes; frees the buffer with the last.
    pub fn took(&mut self, n: usize) {
        self.pending.advance(n);
        self.written += n as u64;
        self.stuck = None;
        if self.pending.is_empty() {
            self.pending = BytesMut::new();
        }
    }

    /// Notes that the target takes no pending byte while `queued` bytes are in front
    /// of them; for how long that has not changed. A socket takes more only when a
    /// good part of its queue has gone: a slow receiver is not a stuck one.
    pub fn refused(&mut self, queued: u32, now: Instant) -> Duration {
        match self.stuck {
            Some((since, before)) if before == queued => now.duration_since(since),
            _ => {
                self.stuck = Some((now, queued));
                Duration::ZERO
            }
        }
    }

    /// Whether userspace holds no bytes of this direction, has left none half read
    /// in the kernel, and waits for nothing.
    pub fn is_clear(&self) -> bool {
        let over = self.eof || self.failed;
        self.drained && !over && !self.owes()
    }

    /// Whether the target has not got everything the source is known to have sent.
    pub fn owes(&self) -> bool {
        !self.pending().is_empty() || self.backlog.is_some() || self.has_stragglers()
    }

    /// Whether bytes are on their way to userspace though the source looks empty,
    /// or at its end: a worker of the kernel (`sk_psock_backlog`) carries them.
    pub fn has_stragglers(&self) -> bool {
        self.arrivals
            .as_ref()
            .is_some_and(|arrivals| arrivals.handed_over() > self.read)
    }

    /// Whether the kernel holds more for userspace than it may.
    pub fn overruns(&self) -> bool {
        self.arrivals.as_ref().is_some_and(|arrivals| {
            arrivals.handed_over().saturating_sub(self.read) > arrivals.limit()
        })
    }

    /// The source says that it is at its end and yet has stragglers: whether to
    /// wait on, for no longer than `limit` without one of them.
    pub fn awaits_stragglers(&mut self, now: Instant, limit: Duration) -> bool {
        let Some(arrivals) = &self.arrivals else {
            return false;
        };
        let target = arrivals.handed_over();
        let waiting = self.stragglers.get_or_insert(Backlog::until(target));
        !waiting.observe(self.read, now) && waiting.stalled(now) < limit
    }

    /// Whether bytes of the source are lost.
    pub fn is_torn(&self) -> bool {
        self.arrivals.as_ref().is_some_and(|a| a.is_torn())
    }

    /// How long to wait before looking again though no socket has spoken.
    pub fn pause(&self) -> Option<Duration> {
        let waiting = self.backlog.as_ref().or(self.stragglers.as_ref());
        waiting.filter(|_| !self.finished).map(Backlog::pause)
    }

    /// Bytes of [`Direction::total`] that are not in the metrics by the path's doing.
    pub fn uncounted(&self) -> u64 {
        self.total() - self.counted
    }

    /// Bytes that came from the source over the flow's life.
    pub fn total(&self) -> u64 {
        self.read + self.forwarded
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_buffer_goes_with_its_last_byte() {
        let mut direction = Direction::default();
        direction.keep(b"hello");
        direction.took(2);
        assert_eq!(direction.pending(), b"llo");
        assert!(!direction.is_clear());
        direction.took(3);
        assert!(!direction.is_clear(), "there may be more to read");
        direction.drained = true;
        assert!(direction.is_clear());
        assert_eq!(direction.pending.capacity(), 0);
        assert_eq!(direction.written, 5);
    }

    #[test]
    fn a_target_is_stuck_while_its_queue_does_not_move() {
        let start = Instant::now();
        let after = |seconds| start + Duration::from_secs(seconds);
        let mut direction = Direction::default();
        direction.keep(b"hello");
        assert_eq!(direction.refused(100, start), Duration::ZERO);
        assert_eq!(direction.refused(100, after(3)), Duration::from_secs(3));
        assert_eq!(direction.refused(99, after(4)), Duration::ZERO);
        assert_eq!(direction.refused(99, after(6)), Duration::from_secs(2));
        direction.took(1);
        assert_eq!(direction.refused(99, after(7)), Duration::ZERO);
    }

    #[test]
    fn stragglers_are_what_was_handed_over_and_not_read() {
        struct Handed(u64);
        impl Arrivals for Handed {
            fn handed_over(&self) -> u64 {
                self.0
            }
            fn is_torn(&self) -> bool {
                false
            }
            fn limit(&self) -> u64 {
                9
            }
        }
        let (start, limit) = (Instant::now(), Duration::from_secs(10));
        let mut direction = Direction::default();
        assert!(!direction.has_stragglers());
        direction.arrivals = Some(Box::new(Handed(10)));
        assert!(direction.has_stragglers());
        assert_eq!(direction.pause(), None, "their arrival will be told");
        assert!(direction.awaits_stragglers(start, limit));
        assert_eq!(direction.pause(), Some(Duration::from_millis(1)));
        direction.read = 5;
        assert!(
            direction.awaits_stragglers(start + limit, limit),
            "one came"
        );
        assert!(!direction.awaits_stragglers(start + limit * 2, limit));
        direction.read = 10;
        assert!(!direction.has_stragglers());
    }

    #[test]
    fn a_backlog_that_stands_still_is_looked_at_less_and_less() {
        let start = Instant::now();
        let mut backlog = Backlog::until(100);
        assert!(!backlog.observe(10, start));
        assert_eq!(backlog.pause(), Duration::from_millis(1));
        for _ in 0..20 {
            assert!(!backlog.observe(10, start + Duration::from_secs(1)));
        }
        assert_eq!(backlog.pause(), Duration::from_millis(256));
        assert_eq!(
            backlog.stalled(start + Duration::from_secs(2)),
            Duration::from_secs(2)
        );
        assert!(!backlog.observe(50, start + Duration::from_secs(3)));
        assert_eq!(backlog.pause(), Duration::from_millis(1));
        assert!(backlog.observe(100, start + Duration::from_secs(4)));
    }
}
