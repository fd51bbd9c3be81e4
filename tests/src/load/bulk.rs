//! As many bytes or small messages as go through, one way.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::client;
use super::job::{Direction, Job, Work};
use super::messages;
use super::poll::{Interest, Poll};
use super::received::{self, Received};
use super::window::{Part, Window};

/// Time in which the backend must say what it has taken, behind all that waits.
const PATIENCE: Duration = Duration::from_secs(10);

/// Runs [`Work::Bulk`] and [`Work::Small`]: Gbit/s or messages a second. Who receives
/// counts: what the sender's kernel and the balancer have in their buffers has not
/// gone through.
pub fn run(
    job: &Job,
    direction: Direction,
    start: impl FnOnce() -> io::Result<()>,
) -> io::Result<Value> {
    let clients = client::open_all(job)?;
    let poll = Poll::new()?;
    let interest = match direction {
        Direction::Up => Interest::Write,
        Direction::Down => Interest::Read,
    };
    let count = match job.work.extra() {
        0 => None,
        _ => Some(client::open_count(job)?),
    };
    start()?;
    if direction == Direction::Down {
        // Until this word the connections are quiet, so that they can change paths.
        for stream in &clients {
            client::send(stream, &[0])?;
        }
    }
    for (token, stream) in clients.iter().enumerate() {
        poll.add(stream, token, interest)?;
    }
    let mut buffer = match job.work {
        Work::Small(Direction::Up) => messages::small(),
        _ => messages::bulk(),
    };
    let mut work = Flow {
        clients: &clients,
        poll,
        offsets: vec![0; clients.len()],
        ready: Vec::new(),
        bytes: 0,
    };
    let mut window = Window::new(job);
    while window.part(Instant::now()) == Part::WarmUp {
        work.on(direction, &mut buffer, &window)?;
    }
    let before = work.ask(count.as_ref(), direction, &mut buffer, &window)?;
    let (begin, from) = (Instant::now(), work.bytes);
    while window.part(Instant::now()) != Part::Over {
        work.on(direction, &mut buffer, &window)?;
    }
    let own = (work.bytes - from) as f64 / begin.elapsed().as_secs_f64();
    let after = work.ask(count.as_ref(), direction, &mut buffer, &window)?;
    let rate = match (before, after) {
        (Some(before), Some(after)) => after.rate_since(before),
        _ => own,
    };
    let rate = match job.work {
        Work::Small(_) => rate / messages::SMALL as f64,
        _ => rate * 8e-9,
    };
    Ok(json!({ "rate": rate }))
}

/// The connections at work.
struct Flow<'a> {
    clients: &'a [TcpStream],
    poll: Poll,
    offsets: Vec<usize>,
    ready: Vec<usize>,
    /// Bytes moved so far.
    bytes: u64,
}

impl Flow<'_> {
    /// Moves what can be moved now.
    fn on(&mut self, direction: Direction, buffer: &mut [u8], window: &Window) -> io::Result<()> {
        let wait = window.next(Instant::now()).min(Duration::from_millis(10));
        self.poll.wait(Some(wait), &mut self.ready)?;
        for token in &self.ready {
            let stream = &self.clients[*token];
            let moved = match direction {
                Direction::Up => write(stream, buffer, &mut self.offsets[*token])?,
                Direction::Down => client::receive(stream, buffer)?,
            };
            self.bytes += moved as u64;
        }
        Ok(())
    }

    /// Asks the backend what it has taken, and goes on meanwhile; none where the
    /// client receives itself.
    fn ask(
        &mut self,
        count: Option<&TcpStream>,
        direction: Direction,
        buffer: &mut [u8],
        window: &Window,
    ) -> io::Result<Option<Received>> {
        let Some(mut stream) = count else {
            return Ok(None);
        };
        client::send(stream, &[0])?;
        let end = Instant::now() + PATIENCE;
        let (mut wire, mut have) = ([0; received::LEN], 0);
        while have < wire.len() {
            match stream.read(&mut wire[have..]) {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(n) => have += n,
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => {
                    if Instant::now() > end {
                        return Err(io::ErrorKind::TimedOut.into());
                    }
                    self.on(direction, buffer, window)?;
                }
                Err(e) => return Err(e),
            }
        }
        Ok(Some(Received::decode(wire)))
    }
}

/// Writes the next piece of an endless repetition of `buffer`; how many bytes.
pub fn write(mut to: impl Write, buffer: &[u8], offset: &mut usize) -> io::Result<usize> {
    match to.write(&buffer[*offset..]) {
        Ok(n) => {
            *offset = (*offset + n) % buffer.len();
            Ok(n)
        }
        Err(e) if e.kind() == io::ErrorKind::WouldBlock => Ok(0),
        Err(e) => Err(e),
    }
}
