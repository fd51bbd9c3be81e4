//! One end of a connection: sends its own stream and checks the other's, both
//! at once, until both are closed.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use super::plan::{Direction, Pace};
use crate::rng::Rng;

/// What an end does.
#[derive(Debug)]
pub struct End<'a> {
    /// The connection.
    pub stream: &'a TcpStream,
    /// Packet in front of the own stream, already cut into pieces.
    pub head: Vec<Vec<u8>>,
    /// The own stream.
    pub send: &'a Direction,
    /// Packet in front of the other's stream.
    pub expect_head: &'a [u8],
    /// Bytes of the other's stream that were read before.
    pub received: Vec<u8>,
    /// The other's stream.
    pub expect: &'a Direction,
    /// Longest time without progress.
    pub stall: Duration,
}

/// Bytes of the two streams, without the heads.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Sent.
    pub sent: u64,
    /// Received and found right.
    pub received: u64,
}

impl End<'_> {
    /// Runs to the end of both directions, or says what went wrong first.
    pub fn exchange(mut self) -> Result<Counts, String> {
        self.stream.set_nodelay(true).map_err(|e| e.to_string())?;
        self.stream
            .set_read_timeout(Some(self.stall))
            .map_err(|e| e.to_string())?;
        self.stream
            .set_write_timeout(Some(self.stall))
            .map_err(|e| e.to_string())?;
        let (ended, peer_ended) = mpsc::channel();
        let head = std::mem::take(&mut self.head);
        let (stream, send, stall) = (self.stream, self.send, self.stall);
        std::thread::scope(|scope| {
            let writer = super::spawn(scope, move || write(stream, head, send, &peer_ended, stall));
            let received = self.read();
            match received {
                Ok(_) => drop(ended.send(())),
                // Nothing that follows would mean anything: free the writer.
                Err(_) => drop(stream.shutdown(Shutdown::Both)),
            }
            drop(ended);
            let sent = writer
                .join()
                .map_err(|_| "the writer panicked".to_owned())?;
            Ok(Counts {
                received: received?,
                sent: sent?,
            })
        })
    }

    fn read(&mut self) -> Result<u64, String> {
        let pattern = self.expect.pattern;
        let mut pace = Pacer::new(&self.expect.read, pattern.seed);
        let mut head = self.expect_head;
        let mut at = 0;
        let mut buffer = vec![0; self.expect.read.chunk.end.max(1)];
        let mut piece = std::mem::take(&mut self.received);
        loop {
            let front = head.len().min(piece.len());
            if piece[..front] != head[..front] {
                return Err(format!(
                    "not the expected packet in front: {:02x?}",
                    &piece[..front]
                ));
            }
            head = &head[front..];
            pattern
                .check(at, &piece[front..])
                .map_err(|e| e.to_string())?;
            at += (piece.len() - front) as u64;
            let size = pace.next().max(1);
            let began = Instant::now();
            let read = loop {
                match self.stream.read(&mut buffer[..size]) {
                    // A socket under sk_msg may say so before its time is up
                    // (tcp_bpf_recvmsg waits once, whatever wakes it).
                    Err(e) if e.kind() == ErrorKind::WouldBlock && began.elapsed() < self.stall => {
                    }
                    result => break result,
                }
            };
            match read {
                Ok(0) if head.is_empty() && at == pattern.len => return Ok(at),
                Ok(0) => return Err(format!("closed after {at} of {} bytes", pattern.len)),
                Ok(n) => piece = buffer[..n].to_vec(),
                Err(e) => return Err(failed("reading", at, pattern.len, &e)),
            }
        }
    }
}

fn write(
    mut stream: &TcpStream,
    head: Vec<Vec<u8>>,
    send: &Direction,
    peer_ended: &mpsc::Receiver<()>,
    stall: Duration,
) -> Result<u64, String> {
    let pattern = send.pattern;
    let mut at = 0;
    let pieces = head.len();
    for (n, mut piece) in head.into_iter().enumerate() {
        if n + 1 == pieces {
            let pipelined =
                pattern.bytes(0, send.pipelined.min((pattern.len - send.tail) as usize));
            at = pipelined.len() as u64;
            piece.extend(pipelined);
        }
        stream
            .write_all(&piece)
            .map_err(|e| failed("writing the head", 0, pattern.len, &e))?;
        if n + 1 < pieces {
            std::thread::sleep(Duration::from_millis(2));
        }
    }
    let mut pace = Pacer::new(&send.write, !pattern.seed);
    while at < pattern.len {
        let kept_back = pattern.len - send.tail;
        if at == kept_back {
            peer_ended
                .recv_timeout(stall)
                .map_err(|_| "the other end did not close".to_owned())?;
        }
        let end = if at < kept_back {
            kept_back
        } else {
            pattern.len
        };
        let piece = pattern.bytes(at, pace.next().min((end - at) as usize));
        stream
            .write_all(&piece)
            .map_err(|e| failed("writing", at, pattern.len, &e))?;
        at += piece.len() as u64;
    }
    stream
        .shutdown(Shutdown::Write)
        .map_err(|e| failed("closing", at, pattern.len, &e))?;
    Ok(at)
}

fn failed(doing: &str, at: u64, len: u64, error: &std::io::Error) -> String {
    match error.kind() {
        ErrorKind::WouldBlock => format!("stalled {doing} after {at} of {len} bytes"),
        _ => format!("{doing} after {at} of {len} bytes: {error}"),
    }
}

/// Sizes and pauses of one direction.
struct Pacer<'a> {
    pace: &'a Pace,
    rng: Rng,
    calls: usize,
}

impl<'a> Pacer<'a> {
    fn new(pace: &'a Pace, seed: u64) -> Self {
        std::thread::sleep(pace.delay);
        Self {
            pace,
            rng: Rng::new(seed),
            calls: 0,
        }
    }

    /// Size of the next piece; sleeps first when a pause is due.
    fn next(&mut self) -> usize {
        self.calls += 1;
        if self.pace.every != 0 && self.calls.is_multiple_of(self.pace.every) {
            std::thread::sleep(self.rng.up_to(self.pace.pause));
        }
        self.rng.within(&self.pace.chunk)
    }
}
