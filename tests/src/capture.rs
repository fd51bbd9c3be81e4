//! What the balancer sends, seen on the wire: every TCP segment, and of each
//! flow what its own sockets sent after the packets began to be translated.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::os::fd::{AsRawFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::impair;
use crate::netns::Netns;
use crate::segment::{Segment, flag};

/// Hops left in what a host of the lab sends; one is gone in what was forwarded.
const OWN_HOPS: u8 = 64;

/// A segment and when it came.
pub type Seen = (Instant, Segment);

/// A running record of the segments that arrive on an interface.
#[derive(Debug)]
pub struct Capture {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<Vec<Seen>>>,
}

impl Capture {
    /// Starts recording.
    pub fn start(ns: &Netns, interface: &str) -> Self {
        let socket = ns.run(|| impair::open(interface).expect("open a packet socket"));
        let stop = Arc::new(AtomicBool::new(false));
        let flag = Arc::clone(&stop);
        let thread = Some(std::thread::spawn(move || record(&socket, &flag)));
        Self { stop, thread }
    }

    /// Stops, and gives all segments in order.
    pub fn finish(mut self) -> Vec<Seen> {
        self.end()
    }

    fn end(&mut self) -> Vec<Seen> {
        self.stop.store(true, Relaxed);
        let seen = self
            .thread
            .take()
            .map(|thread| thread.join().expect("the recorder"));
        seen.unwrap_or_default()
    }
}

impl Drop for Capture {
    fn drop(&mut self) {
        self.end();
    }
}

fn record(socket: &OwnedFd, stop: &AtomicBool) -> Vec<Seen> {
    let mut seen = Vec::new();
    let mut frame = vec![0u8; 65_536];
    let mut fd = libc::pollfd {
        fd: socket.as_raw_fd(),
        events: libc::POLLIN,
        revents: 0,
    };
    loop {
        // SAFETY: one valid entry; the pointer and length are those of `frame`.
        let n = unsafe { libc::recv(fd.fd, frame.as_mut_ptr().cast(), frame.len(), 0) };
        if let Ok(n) = usize::try_from(n) {
            seen.extend(Segment::parse(&frame[..n]).map(|segment| (Instant::now(), segment)));
            continue;
        }
        if stop.load(Relaxed) {
            return seen;
        }
        // SAFETY: one valid entry.
        unsafe { libc::poll(&mut fd, 1, 50) };
    }
}

/// What the balancer did on one connection, from one capture.
#[derive(Debug, Clone, Default)]
pub struct Traces(BTreeMap<(SocketAddr, SocketAddr), Trace>);

/// One direction of one connection.
#[derive(Debug, Clone, Default)]
pub struct Trace {
    /// Segments that came translated from the other connection.
    pub forwarded: usize,
    /// Segments of the balancer's own socket behind the first translated one, or
    /// in its name, with the time between.
    pub after: Vec<(Duration, Segment)>,
    /// Whether the balancer's own socket has sent FIN or RST.
    pub own_end: bool,
    first: Option<Instant>,
}

impl Traces {
    /// Sorts a capture by connection and direction.
    pub fn new(seen: &[Seen]) -> Self {
        let mut traces = Self::default();
        for (at, segment) in seen {
            traces.add(*at, segment);
        }
        traces
    }

    fn add(&mut self, at: Instant, segment: &Segment) {
        let key = (segment.from, segment.to);
        if segment.has(flag::SYN) {
            // The same pair of addresses again.
            self.0.remove(&key);
        }
        let trace = self.0.entry(key).or_default();
        if !is_own(segment) {
            trace.forwarded += 1;
            trace.first.get_or_insert(at);
            return;
        }
        trace.own_end |= segment.flags & (flag::FIN | flag::RST) != 0;
        if let Some(first) = trace.first {
            trace.after.push((at - first, *segment));
        }
    }

    /// All directions of all connections.
    pub fn iter(&self) -> impl Iterator<Item = (&(SocketAddr, SocketAddr), &Trace)> {
        self.0.iter()
    }

    /// One line per thing that a dissolved socket must not do: more than the one
    /// bare ACK of the handover, data, FIN, RST.
    pub fn leftovers(&self) -> Vec<String> {
        let mut found = Vec::new();
        for ((from, to), trace) in self.iter().filter(|(_, t)| t.forwarded > 0) {
            let spoke = trace
                .after
                .iter()
                .any(|(_, segment)| !segment.is_bare_ack());
            if spoke || trace.own_end || trace.after.len() > 1 {
                let (end, after) = (trace.own_end, &trace.after[..trace.after.len().min(5)]);
                found.push(format!("{from} -> {to}: FIN or RST: {end}, {after:?}"));
            }
        }
        found
    }
}

/// Whether a segment comes from a socket of the balancer, not from a peer of it.
pub fn is_own(segment: &Segment) -> bool {
    segment.hops == OWN_HOPS
}

/// Segments whose checksums are wrong, as lines.
pub fn unsound(seen: &[Seen]) -> Vec<String> {
    let wrong = seen.iter().filter(|(_, segment)| !segment.sound);
    wrong.map(|(_, segment)| format!("{segment:?}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn segment(hops: u8, flags: u8, len: u32) -> Segment {
        Segment {
            from: "10.0.0.1:1".parse().expect("address"),
            to: "10.0.0.2:2".parse().expect("address"),
            hops,
            seq: 0,
            ack: 0,
            flags,
            window: 1,
            len,
            timestamps: true,
            sound: true,
        }
    }

    fn leftovers(segments: &[Segment]) -> usize {
        let now = Instant::now();
        let seen: Vec<_> = segments.iter().map(|s| (now, *s)).collect();
        Traces::new(&seen).leftovers().len()
    }

    #[test]
    fn a_socket_may_speak_until_it_is_dissolved() {
        let own = segment(64, flag::ACK, 4);
        let forwarded = segment(63, flag::ACK, 4);
        let ack = segment(64, flag::ACK, 0);
        assert_eq!(leftovers(&[own, own, forwarded, ack, forwarded]), 0);
        assert_eq!(leftovers(&[own, forwarded, own]), 1);
        assert_eq!(leftovers(&[forwarded, segment(64, flag::RST, 0)]), 1);
        assert_eq!(leftovers(&[forwarded, ack, ack]), 1);
        assert_eq!(leftovers(&[segment(64, flag::FIN, 0), forwarded]), 1);
    }
}
