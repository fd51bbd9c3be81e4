//! The broker of the load: it lets everyone in, answers messages and pings, and
//! swallows or sends data.

use std::io;
use std::net::{TcpListener, TcpStream};
use std::time::Instant;

use serde_json::Value;
use socket2::{Domain, Protocol, Socket, Type};

use super::job::Job;
use super::messages::{self, PINGREQ, PINGRESP, PUBACK};
use super::poll::{Interest, Poll};
use super::received::Received;
use super::{bulk, client};
use crate::mqtt::{self, frame};
use crate::stream::proxy;

const BACKLOG: i32 = 4096;
const LISTENER: usize = usize::MAX;

/// What a connection is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// CONNECT is not whole yet.
    New,
    /// Each PUBLISH is answered.
    Messages,
    /// What comes is dropped.
    Sink,
    /// For each byte it is told what has been dropped.
    Count,
    /// Data will be sent when the client says a word.
    Armed(Size),
    /// Data is sent.
    Source(Size),
}

/// How much is written at a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Size {
    /// As much as goes.
    Bulk,
    /// One small message.
    Small,
}

struct Connection {
    stream: TcpStream,
    kind: Kind,
    /// The start of a packet that is not whole yet.
    rest: Vec<u8>,
    /// Where in the bulk data the next byte is.
    offset: usize,
}

/// Buffers that all connections share.
struct Buffers {
    read: Vec<u8>,
    answers: Vec<u8>,
    bulk: Vec<u8>,
    small: Vec<u8>,
    begin: Instant,
    dropped: u64,
}

/// Runs [`super::Work::Serve`], until the process is ended; `ready` is called when it
/// listens.
pub fn serve(job: &Job, ready: impl FnOnce() -> io::Result<()>) -> io::Result<Value> {
    let domain = Domain::for_address(job.address);
    let socket = Socket::new(domain, Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&job.address.into())?;
    socket.listen(BACKLOG)?;
    let listener = TcpListener::from(socket);
    let mut poll = Poll::new()?;
    poll.add(&listener, LISTENER, Interest::Read)?;
    ready()?;
    work(&mut poll, &listener)
}

fn work(poll: &mut Poll, listener: &TcpListener) -> io::Result<Value> {
    let mut connections: Vec<Option<Connection>> = Vec::new();
    let mut free = Vec::new();
    let mut buffers = Buffers {
        read: vec![0; 256 << 10],
        answers: Vec::new(),
        bulk: messages::bulk(),
        small: messages::small(),
        begin: Instant::now(),
        dropped: 0,
    };
    let mut ready = Vec::new();
    loop {
        poll.wait(None, &mut ready)?;
        for token in &ready {
            match *token {
                LISTENER => accept(poll, listener, &mut connections, &mut free)?,
                token => {
                    let Some(connection) = &mut connections[token] else {
                        continue;
                    };
                    if connection.work(poll, token, &mut buffers).is_err() {
                        connections[token] = None;
                        free.push(token);
                    }
                }
            }
        }
    }
}

/// Accepts all that wait.
fn accept(
    poll: &Poll,
    listener: &TcpListener,
    connections: &mut Vec<Option<Connection>>,
    free: &mut Vec<usize>,
) -> io::Result<()> {
    loop {
        let stream = match listener.accept() {
            Ok((stream, _)) => stream,
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => return Ok(()),
            Err(e) if e.kind() == io::ErrorKind::ConnectionAborted => continue,
            Err(e) => return Err(e),
        };
        stream.set_nonblocking(true)?;
        stream.set_nodelay(true)?;
        let token = free.pop().unwrap_or(connections.len());
        poll.add(&stream, token, Interest::Read)?;
        let connection = Some(Connection {
            stream,
            kind: Kind::New,
            rest: Vec::new(),
            offset: 0,
        });
        if token == connections.len() {
            connections.push(connection);
        } else {
            connections[token] = connection;
        }
    }
}

impl Connection {
    /// Does what there is to do; an error ends the connection.
    fn work(&mut self, poll: &Poll, token: usize, buffers: &mut Buffers) -> io::Result<()> {
        if let Kind::Source(size) = self.kind {
            let data = match size {
                Size::Bulk => &buffers.bulk,
                Size::Small => &buffers.small,
            };
            return bulk::write(&self.stream, data, &mut self.offset).map(drop);
        }
        let read = client::receive(&self.stream, &mut buffers.read)?;
        let bytes = &buffers.read[..read];
        match self.kind {
            Kind::Sink => {
                buffers.dropped += read as u64;
                Ok(())
            }
            Kind::Count => {
                let received = Received {
                    bytes: buffers.dropped,
                    time: buffers.begin.elapsed(),
                };
                let answer = received.encode().repeat(read);
                client::send(&self.stream, &answer)
            }
            Kind::Armed(size) if read > 0 => {
                self.kind = Kind::Source(size);
                poll.change(&self.stream, token, Interest::Write)
            }
            Kind::Armed(_) => Ok(()),
            Kind::Messages if self.rest.is_empty() => {
                let used = answer(&self.stream, bytes, &mut buffers.answers)?;
                self.rest.extend_from_slice(&bytes[used..]);
                Ok(())
            }
            _ => {
                self.rest.extend_from_slice(bytes);
                if self.kind == Kind::New {
                    self.begin()?;
                }
                if self.kind == Kind::Messages {
                    let used = answer(&self.stream, &self.rest, &mut buffers.answers)?;
                    self.rest.drain(..used);
                }
                Ok(())
            }
        }
    }

    /// Looks for CONNECT, behind a PROXY header or without; answers it.
    fn begin(&mut self) -> io::Result<()> {
        let Some((header, _)) = proxy::parse(&self.rest) else {
            return Ok(());
        };
        let Some(connect) = mqtt::connect_in(&self.rest[header..]) else {
            return Ok(());
        };
        self.rest.drain(..header + connect.len);
        // An idle connection keeps no buffer.
        self.rest.shrink_to_fit();
        client::send(&self.stream, client::connack())?;
        self.kind = match connect.client_id.first().map(|letter| char::from(*letter)) {
            Some(client::SINK) => Kind::Sink,
            Some(client::COUNT) => Kind::Count,
            Some(client::BULK_SOURCE) => Kind::Armed(Size::Bulk),
            Some(client::SMALL_SOURCE) => Kind::Armed(Size::Small),
            _ => Kind::Messages,
        };
        Ok(())
    }
}

/// Answers the whole messages and pings in `bytes` with one write; how many bytes they
/// have.
fn answer(stream: &TcpStream, bytes: &[u8], answers: &mut Vec<u8>) -> io::Result<usize> {
    answers.clear();
    let mut used = 0;
    while let Some((head, _, end)) = frame(&bytes[used..]) {
        match head {
            head if head & 0xf6 == 0x32 => answers.extend_from_slice(&PUBACK),
            head if head == PINGREQ[0] => answers.extend_from_slice(&PINGRESP),
            _ => {}
        }
        used += end;
    }
    if !answers.is_empty() {
        client::send(stream, answers)?;
    }
    Ok(used)
}
