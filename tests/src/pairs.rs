//! Connections through the balancer, both ends in hand.

use std::io::{ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::time::Duration;

use crate::lab::{Lab, pair};
use crate::lb::Lb;
use crate::splice;

const SHORT: Duration = Duration::from_secs(10);

/// How a connection ends that is reset ([`end_of`]).
pub const RESET: Result<usize, ErrorKind> = Err(ErrorKind::ConnectionReset);

/// Sends a byte from one end and waits for it at the other.
pub fn say_byte(from: &TcpStream, to: &TcpStream) {
    to.set_read_timeout(Some(SHORT)).expect("timeout");
    (&mut &*from).write_all(&[7]).expect("write");
    (&mut &*to).read_exact(&mut [0]).expect("a byte through");
}

/// Two ends that say something to each other.
pub fn talk(client: &TcpStream, broker: &TcpStream) {
    say_byte(client, broker);
    say_byte(broker, client);
}

/// Waits for the end of a connection and says how it came.
pub fn end_of(mut end: &TcpStream, within: Duration) -> Result<usize, ErrorKind> {
    end.set_read_timeout(Some(within)).expect("timeout");
    end.read(&mut [0; 16]).map_err(|e| e.kind())
}

/// Whether a connection is reset.
pub fn is_reset(end: &TcpStream) -> bool {
    end_of(end, SHORT) == RESET
}

/// Whether a connection is reset, at the latest when something is sent on it.
pub fn is_lost(mut end: &TcpStream) -> bool {
    let told =
        |e: &std::io::Error| matches!(e.kind(), ErrorKind::ConnectionReset | ErrorKind::BrokenPipe);
    end.write_all(&[7]).is_err_and(|e| told(&e)) || is_reset(end)
}

/// A client and the broker's end of its connection.
pub type Pair = (TcpStream, TcpStream);

/// `count` connections, all of them spliced.
pub fn spliced_pairs(lab: &Lab, listener: &TcpListener, lb: &Lb<'_>, count: usize) -> Vec<Pair> {
    let pairs: Vec<_> = (0..count)
        .map(|n| pair(lab, listener, &format!("c{n}")))
        .collect();
    splice::wait_spliced(lb, count, SHORT);
    pairs
}
