//! Connections that come, are let in and go.

use std::io;
use std::net::TcpStream;
use std::time::Instant;

use serde_json::Value;
use socket2::{Domain, Protocol, Socket, Type};

use super::histogram::Histogram;
use super::job::Job;
use super::poll::{Interest, Poll};
use super::window::{Part, Window};
use super::{client, wrong};

/// A connection under way.
pub struct Attempt {
    /// Not connected at first.
    pub stream: TcpStream,
    /// When connect() was called.
    pub begun: Instant,
    /// Whether CONNECT has been sent.
    pub asked: bool,
}

/// Runs [`super::Work::Connect`]. The latency of a connection is from connect() to
/// CONNACK.
pub fn run(job: &Job, start: impl FnOnce() -> io::Result<()>) -> io::Result<Value> {
    let mut poll = Poll::new()?;
    start()?;
    let mut window = Window::new(job);
    let mut begun = 0;
    let mut attempts = Vec::new();
    for token in 0..job.connections {
        attempts.push(attempt(job, &poll, token)?);
    }
    let (mut ready, mut buffer) = (Vec::new(), [0; 64]);
    let mut counted = Histogram::default();
    loop {
        let now = Instant::now();
        if window.part(now) == Part::Over {
            return Ok(window.report(&counted));
        }
        poll.wait(Some(window.next(now)), &mut ready)?;
        for token in &ready {
            let this = &mut attempts[*token];
            if !this.asked {
                if let Some(e) = this.stream.take_error()? {
                    return Err(e);
                }
                client::send(&this.stream, &client::connect(job, begun))?;
                poll.change(&this.stream, *token, Interest::Read)?;
                this.asked = true;
                begun += 1;
                continue;
            }
            let read = client::receive(&this.stream, &mut buffer)?;
            if read == 0 {
                continue;
            }
            if &buffer[..read] != client::connack() {
                return Err(wrong(format!("not a CONNACK: {:02x?}", &buffer[..read])));
            }
            let now = Instant::now();
            if window.part(now) == Part::Measured {
                counted.add(now - this.begun);
            }
            attempts[*token] = attempt(job, &poll, *token)?;
        }
    }
}

/// Begins to connect; `token` is writable in `poll` when it is done.
pub fn attempt(job: &Job, poll: &Poll, token: usize) -> io::Result<Attempt> {
    let domain = Domain::for_address(job.address);
    let socket = Socket::new(domain, Type::STREAM, Some(Protocol::TCP))?;
    socket.set_nonblocking(true)?;
    socket.set_tcp_nodelay(true)?;
    let begun = Instant::now();
    match socket.connect(&job.address.into()) {
        Err(e) if e.raw_os_error() != Some(libc::EINPROGRESS) => return Err(e),
        _ => {}
    }
    let stream = TcpStream::from(socket);
    poll.add(&stream, token, Interest::Write)?;
    Ok(Attempt {
        stream,
        begun,
        asked: false,
    })
}
