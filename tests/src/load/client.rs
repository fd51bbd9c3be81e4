//! Connections of a job, CONNECT and CONNACK exchanged.

use std::io::{self, Read, Write};
use std::net::TcpStream;

use super::job::{Direction, Job, Work};
use super::wrong;
use crate::mqtt::{self, Connect};

/// Seconds of keepalive: longer than any run.
const KEEPALIVE: u16 = 3600;

/// First letter of a client id: what comes is dropped, and counted.
pub const SINK: char = 'u';
/// Bulk data is to be sent.
pub const BULK_SOURCE: char = 'd';
/// Small messages are to be sent.
pub const SMALL_SOURCE: char = 's';
/// For each byte sent, the backend tells what it has dropped.
pub const COUNT: char = 'c';
/// Messages are answered.
pub const MESSAGES: char = 'm';

/// The CONNECT of connection `number`. No two processes have the same ids, so that a
/// stick table has to learn each. The first letter tells the backend what to do.
pub fn connect(job: &Job, number: usize) -> Vec<u8> {
    let kind = match job.work {
        Work::Bulk(Direction::Up) | Work::Small(Direction::Up) => SINK,
        Work::Bulk(Direction::Down) => BULK_SOURCE,
        Work::Small(Direction::Down) => SMALL_SOURCE,
        _ => MESSAGES,
    };
    encode(kind, number)
}

fn encode(kind: char, number: usize) -> Vec<u8> {
    let id = format!("{kind}-{}-{number}", std::process::id());
    let mut connect = Connect::new(&id);
    connect.keepalive = KEEPALIVE;
    connect.encode()
}

/// The CONNACK of such a CONNECT.
pub fn connack() -> &'static [u8] {
    mqtt::connack(mqtt::V311)
}

/// Opens all connections of a job, one after the other; they do not block.
pub fn open_all(job: &Job) -> io::Result<Vec<TcpStream>> {
    (0..job.connections)
        .map(|number| {
            open(job, &connect(job, number)).map_err(|e| {
                let so_far = format!("connection {number} of {}", job.connections);
                io::Error::new(e.kind(), format!("{so_far}: {e}"))
            })
        })
        .collect()
}

/// Opens the connection on which the backend tells what it has dropped.
pub fn open_count(job: &Job) -> io::Result<TcpStream> {
    open(job, &encode(COUNT, job.connections))
}

fn open(job: &Job, connect: &[u8]) -> io::Result<TcpStream> {
    let mut stream = TcpStream::connect(job.address)?;
    stream.set_nodelay(true)?;
    stream.write_all(connect)?;
    let mut answer = [0; 4];
    stream.read_exact(&mut answer)?;
    if answer != connack() {
        return Err(wrong(format!("not a CONNACK: {answer:02x?}")));
    }
    stream.set_nonblocking(true)?;
    Ok(stream)
}

/// Writes a small packet, which must fit into the send buffer.
pub fn send(mut stream: &TcpStream, packet: &[u8]) -> io::Result<()> {
    match stream.write(packet) {
        Ok(n) if n == packet.len() => Ok(()),
        Ok(_) => Err(wrong("the send buffer is full: this pace cannot be kept")),
        Err(e) if e.kind() == io::ErrorKind::WouldBlock => {
            Err(wrong("the send buffer is full: this pace cannot be kept"))
        }
        Err(e) => Err(e),
    }
}

/// Reads what there is; 0 when there is nothing. The end of the stream is an error.
pub fn receive(mut stream: &TcpStream, buffer: &mut [u8]) -> io::Result<usize> {
    match stream.read(buffer) {
        Ok(0) => Err(io::ErrorKind::UnexpectedEof.into()),
        Err(e) if e.kind() == io::ErrorKind::WouldBlock => Ok(0),
        other => other,
    }
}
