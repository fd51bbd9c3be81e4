//! A small client, blocking and strict: enough to see what a broker behind the
//! balancer does.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use super::packet::{Connect, V5, assigned_id, frame, packet, string};

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
    /// The id the broker has given it.
    pub assigned_id: Option<String>,
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
            assigned_id: None,
        };
        client.stream.write_all(&connect.encode())?;
        let connack = client.expect(0x20, Duration::from_secs(20))?;
        client.session_present = connack.body[0] & 1 == 1;
        if level == V5 {
            client.assigned_id = assigned_id(&connack.body);
        }
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

fn other(text: String) -> io::Error {
    io::Error::other(text)
}
