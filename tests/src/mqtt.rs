//! A small MQTT 3.1.1 and 5.0 client, blocking and strict: enough to see what a
//! broker behind the balancer does.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

/// Protocol level of MQTT 3.1.1.
pub const V311: u8 = 4;
/// Protocol level of MQTT 5.0.
pub const V5: u8 = 5;

/// A CONNECT packet to be sent.
#[derive(Debug, Clone)]
pub struct Connect<'a> {
    /// Client id.
    pub client_id: &'a str,
    /// Protocol level, [`V311`] or [`V5`].
    pub level: u8,
    /// Clean session (3.1.1), clean start (5.0).
    pub clean: bool,
    /// Keepalive in seconds.
    pub keepalive: u16,
    /// User name and password.
    pub login: Option<(&'a str, &'a [u8])>,
}

impl<'a> Connect<'a> {
    /// A clean 3.1.1 session with a keepalive of a minute.
    pub fn new(client_id: &'a str) -> Self {
        Self {
            client_id,
            level: V311,
            clean: true,
            keepalive: 60,
            login: None,
        }
    }

    /// The packet's bytes.
    pub fn encode(&self) -> Vec<u8> {
        let mut flags = u8::from(self.clean) << 1;
        if self.login.is_some() {
            flags |= 0xc0;
        }
        let mut body = vec![0, 4, b'M', b'Q', b'T', b'T', self.level, flags];
        body.extend(self.keepalive.to_be_bytes());
        if self.level == V5 {
            body.push(0);
        }
        string(&mut body, self.client_id.as_bytes());
        if let Some((user, password)) = self.login {
            string(&mut body, user.as_bytes());
            string(&mut body, password);
        }
        packet(0x10, &body)
    }
}

/// A packet received.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Packet {
    /// First byte: type and flags.
    pub head: u8,
    /// Everything behind the fixed header.
    pub body: Vec<u8>,
}

/// A connected client.
#[derive(Debug)]
pub struct Client {
    stream: TcpStream,
    buffer: Vec<u8>,
    level: u8,
    next_id: u16,
    /// Whether the broker had a session for this client.
    pub session_present: bool,
}

impl Client {
    /// Sends CONNECT and waits for a CONNACK that accepts.
    pub fn connect(stream: TcpStream, connect: &Connect<'_>) -> io::Result<Self> {
        stream.set_nodelay(true)?;
        let (buffer, level) = (Vec::new(), connect.level);
        let mut client = Self {
            stream,
            buffer,
            level,
            next_id: 0,
            session_present: false,
        };
        client.stream.write_all(&connect.encode())?;
        let connack = client.expect(0x20, Duration::from_secs(20))?;
        client.session_present = connack.body[0] & 1 == 1;
        match connack.body[1] {
            0 => Ok(client),
            code => Err(other(format!("CONNACK refuses with code {code}"))),
        }
    }

    /// The connection.
    pub fn stream(&self) -> &TcpStream {
        &self.stream
    }

    /// Subscribes and waits for SUBACK.
    pub fn subscribe(&mut self, topic: &str, qos: u8) -> io::Result<()> {
        let mut body = self.id().to_be_bytes().to_vec();
        if self.level == V5 {
            body.push(0);
        }
        string(&mut body, topic.as_bytes());
        body.push(qos);
        self.stream.write_all(&packet(0x82, &body))?;
        let suback = self.expect(0x90, Duration::from_secs(20))?;
        match suback.body.last() {
            Some(granted) if *granted == qos => Ok(()),
            answer => Err(other(format!("SUBACK answers {answer:?}"))),
        }
    }

    /// Publishes with QoS 0 or 1; with QoS 1 waits for PUBACK.
    pub fn publish(&mut self, topic: &str, qos: u8, payload: &[u8]) -> io::Result<()> {
        let mut body = Vec::new();
        string(&mut body, topic.as_bytes());
        if qos > 0 {
            body.extend(self.id().to_be_bytes());
        }
        if self.level == V5 {
            body.push(0);
        }
        body.extend(payload);
        self.stream.write_all(&packet(0x30 | qos << 1, &body))?;
        if qos > 0 {
            self.expect(0x40, Duration::from_secs(20))?;
        }
        Ok(())
    }

    /// The payload of the next PUBLISH, acknowledged; `None` when none comes.
    pub fn message(&mut self, within: Duration) -> io::Result<Option<Vec<u8>>> {
        let end = Instant::now() + within;
        while let Some(got) = self.receive(end)? {
            if got.head & 0xf0 != 0x30 {
                continue;
            }
            let topic = 2 + usize::from(u16::from_be_bytes([got.body[0], got.body[1]]));
            let mut payload = topic;
            if got.head & 0x06 != 0 {
                let id = [got.body[topic], got.body[topic + 1]];
                self.stream.write_all(&packet(0x40, &id))?;
                payload += 2;
            }
            if self.level == V5 {
                payload += 1 + usize::from(got.body[payload]);
            }
            return Ok(Some(got.body[payload..].to_vec()));
        }
        Ok(None)
    }

    /// PINGREQ and PINGRESP; returns the round trip time.
    pub fn ping(&mut self) -> io::Result<Duration> {
        let begin = Instant::now();
        self.stream.write_all(&[0xc0, 0])?;
        self.expect(0xd0, Duration::from_secs(20))?;
        Ok(begin.elapsed())
    }

    /// DISCONNECT and close.
    pub fn disconnect(mut self) -> io::Result<()> {
        self.stream.write_all(&[0xe0, 0])?;
        self.stream.shutdown(std::net::Shutdown::Write)
    }

    fn id(&mut self) -> u16 {
        self.next_id += 1;
        self.next_id
    }

    /// Waits for a packet of a type and skips others.
    fn expect(&mut self, head: u8, within: Duration) -> io::Result<Packet> {
        let end = Instant::now() + within;
        loop {
            match self.receive(end)? {
                Some(got) if got.head & 0xf0 == head & 0xf0 => return Ok(got),
                Some(_) => {}
                None => return Err(other(format!("no packet {head:#04x} within {within:?}"))),
            }
        }
    }

    fn receive(&mut self, end: Instant) -> io::Result<Option<Packet>> {
        loop {
            if let Some((head, start, end)) = frame(&self.buffer) {
                let body = self.buffer[start..end].to_vec();
                self.buffer.drain(..end);
                return Ok(Some(Packet { head, body }));
            }
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(None);
            }
            self.stream.set_read_timeout(Some(left))?;
            let mut piece = [0; 16_384];
            match self.stream.read(&mut piece) {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(n) => self.buffer.extend_from_slice(&piece[..n]),
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => return Ok(None),
                Err(e) => return Err(e),
            }
        }
    }
}

/// Type byte, start and end of the body of the first packet; `None` while it
/// is incomplete.
pub(crate) fn frame(bytes: &[u8]) -> Option<(u8, usize, usize)> {
    let mut len = 0;
    for at in 1..5 {
        let byte = usize::from(*bytes.get(at)?);
        len |= (byte & 0x7f) << (7 * (at - 1));
        if byte < 0x80 {
            let end = at + 1 + len;
            return (bytes.len() >= end).then(|| (bytes[0], at + 1, end));
        }
    }
    panic!("malformed remaining length: {:02x?}", &bytes[..5]);
}

/// A CONNECT as a broker sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    /// Client id.
    pub client_id: Vec<u8>,
    /// Protocol level.
    pub level: u8,
    /// Length of the whole packet.
    pub len: usize,
}

impl Seen {
    /// The CONNACK that accepts it.
    pub fn connack(&self) -> &'static [u8] {
        connack(self.level)
    }
}

/// The CONNACK that accepts a CONNECT of a protocol level.
pub fn connack(level: u8) -> &'static [u8] {
    if level == V5 {
        &[0x20, 3, 0, 0, 0]
    } else {
        &[0x20, 2, 0, 0]
    }
}

/// The CONNECT in front of `bytes`, once complete. Only for what this harness
/// and its brokers' clients send (levels 4 and 5, short properties).
pub fn connect_in(bytes: &[u8]) -> Option<Seen> {
    let (head, start, end) = frame(bytes)?;
    assert_eq!(
        head,
        0x10,
        "not a CONNECT: {:02x?}",
        &bytes[..bytes.len().min(16)]
    );
    let body = &bytes[start..end];
    let properties = if body[6] == V5 {
        1 + usize::from(body[10])
    } else {
        0
    };
    let at = 10 + properties;
    let len = usize::from(u16::from_be_bytes([body[at], body[at + 1]]));
    let client_id = body[at + 2..at + 2 + len].to_vec();
    Some(Seen {
        client_id,
        level: body[6],
        len: end,
    })
}

fn packet(head: u8, body: &[u8]) -> Vec<u8> {
    let mut out = vec![head];
    let mut left = body.len();
    loop {
        let more = left > 0x7f;
        out.push((left & 0x7f) as u8 | u8::from(more) << 7);
        left >>= 7;
        if !more {
            break;
        }
    }
    out.extend(body);
    out
}

fn string(out: &mut Vec<u8>, text: &[u8]) {
    out.extend((text.len() as u16).to_be_bytes());
    out.extend(text);
}

fn other(text: String) -> io::Error {
    io::Error::other(text)
}
