//! Reads the client's CONNECT, within its limits and its deadline.

use std::fmt;
use std::io::{self, ErrorKind};
use std::net::IpAddr;
use std::time::Instant;

use tokio::net::TcpStream;

use super::shared::Pending;
use crate::affinity::Fields;
use crate::config::Limits;
use crate::connect::{self, Connect, Field, Reader, Refusal, Status};
use crate::datapath::copy::with_scratch;
use crate::session::End;

/// Bytes read at a time: a CONNECT rarely has more.
const READ: usize = 16 * 1024;

/// A CONNECT that can be routed, and what came with it.
pub(super) struct Sniffed {
    reader: Reader,
    /// Everything the client has sent.
    pub(super) bytes: Vec<u8>,
    complete: bool,
}

/// The part of a CONNECT too long to be kept that has yet to come.
pub(super) struct Rest {
    /// Bytes of the whole packet.
    pub(super) length: u64,
    /// When the last of them is due.
    pub(super) deadline: Instant,
    /// Held until it is there.
    pub(super) _pending: Pending,
}

impl Sniffed {
    /// The CONNECT, as far as it is there.
    pub(super) fn connect(&self) -> Connect<'_> {
        self.reader
            .view(&self.bytes)
            .expect("a sniffed CONNECT has its client id")
    }

    /// What the client, which comes from `source`, can be routed by. A field that has
    /// not come yet will not be waited for.
    pub(super) fn fields(&self, source: IpAddr) -> Fields<'_> {
        let connect = self.connect();
        let at_hand = |field| match field {
            Field::Present(bytes) => Some(bytes),
            Field::Pending | Field::Absent => None,
        };
        Fields {
            level: connect.level(),
            client_id: connect.client_id(),
            username: at_hand(connect.username()),
            will_topic: at_hand(connect.will_topic()),
            user_properties: connect.user_properties().collect(),
            source,
        }
    }

    /// What is left to wait for; the client's place among the pending goes with it.
    pub(super) fn rest(&self, deadline: Instant, pending: Pending) -> Option<Rest> {
        let length = self.reader.packet_len().filter(|_| !self.complete)? as u64;
        Some(Rest {
            length,
            deadline,
            _pending: pending,
        })
    }
}

/// Why there is no CONNECT to route.
#[derive(Debug)]
pub(super) enum Fault {
    /// No broker would take it.
    Refused(Refusal),
    /// The deadline passed.
    Timeout,
    /// The client closed before its CONNECT was whole.
    Closed,
    /// The connection broke.
    Broken(io::Error),
}

impl Fault {
    /// How the session ends.
    pub(super) fn end(&self) -> End {
        match self {
            Self::Refused(refusal) => End::Refused(refusal.reason()),
            Self::Timeout => End::ConnectTimeout,
            Self::Closed => End::ClientClosed,
            Self::Broken(_) => End::ClientAborted,
        }
    }
}

impl Fault {
    /// Metric label, when it is the balancer that gives up.
    pub(super) fn reason(&self) -> Option<&'static str> {
        match self {
            Self::Refused(refusal) => Some(refusal.reason()),
            Self::Timeout => Some("connect_timeout"),
            Self::Closed | Self::Broken(_) => None,
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(refusal) => refusal.fmt(f),
            Self::Timeout => f.write_str("no whole CONNECT within timeouts.connect_packet"),
            Self::Closed => f.write_str("closed before a whole CONNECT"),
            Self::Broken(error) => write!(f, "{error} before a whole CONNECT"),
        }
    }
}

/// Reads until the CONNECT is whole, or its client id is known and the buffer full.
pub(super) async fn connect(
    stream: &TcpStream,
    limits: &Limits,
    deadline: Instant,
) -> Result<Sniffed, Fault> {
    let mut sniffed = Sniffed {
        reader: Reader::new(connect::Limits {
            buffer: limits.connect_buffer,
            properties: limits.connect_properties,
        }),
        bytes: Vec::new(),
        complete: false,
    };
    let reading = async {
        loop {
            stream.readable().await.map_err(Fault::Broken)?;
            let room = limits.connect_buffer - sniffed.bytes.len();
            let read = with_scratch(READ.min(room), |scratch| {
                let n = stream.try_read(scratch)?;
                sniffed.bytes.extend_from_slice(&scratch[..n]);
                Ok(n)
            });
            match read {
                Ok(0) => return Err(Fault::Closed),
                Ok(_) => {}
                Err(error) if retry(&error) => continue,
                Err(error) => return Err(Fault::Broken(error)),
            }
            match sniffed.reader.advance(&sniffed.bytes) {
                Err(refusal) => return Err(Fault::Refused(refusal)),
                Ok(Status::Complete { .. }) => {
                    sniffed.complete = true;
                    return Ok(());
                }
                Ok(Status::Routable) if sniffed.bytes.len() == limits.connect_buffer => {
                    return Ok(());
                }
                Ok(Status::Routable | Status::NeedMore) => {}
            }
        }
    };
    match tokio::time::timeout_at(deadline.into(), reading).await {
        Ok(result) => result.map(|()| sniffed),
        Err(_) => Err(Fault::Timeout),
    }
}

fn retry(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted)
}
