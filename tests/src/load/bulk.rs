//! As many bytes as go through, one way.

use std::io::{self, Write};
use std::time::Instant;

use serde_json::{Value, json};

use super::client;
use super::job::{Direction, Job};
use super::messages;
use super::poll::{Interest, Poll};
use super::window::{Part, Window};

/// Runs [`super::Work::Bulk`]. The client counts, going up what its kernel has taken:
/// all buffers are full when the window opens and when it closes.
pub fn run(
    job: &Job,
    direction: Direction,
    start: impl FnOnce() -> io::Result<()>,
) -> io::Result<Value> {
    let clients = client::open_all(job)?;
    let mut poll = Poll::new()?;
    let interest = match direction {
        Direction::Up => Interest::Write,
        Direction::Down => Interest::Read,
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
    let mut buffer = messages::bulk();
    let mut offsets = vec![0; clients.len()];
    let mut window = Window::new(job);
    let (mut ready, mut bytes) = (Vec::new(), 0);
    loop {
        let now = Instant::now();
        if window.part(now) == Part::Over {
            let (seconds, busy) = window.spent();
            let gigabits = bytes as f64 * 8e-9;
            return Ok(json!({ "rate": gigabits / seconds, "cpu": busy / gigabits }));
        }
        poll.wait(Some(window.next(now)), &mut ready)?;
        for token in &ready {
            let stream = &clients[*token];
            let moved = match direction {
                Direction::Up => write(stream, &buffer, &mut offsets[*token])?,
                Direction::Down => client::receive(stream, &mut buffer)?,
            };
            if window.part(Instant::now()) == Part::Measured {
                bytes += moved;
            }
        }
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
