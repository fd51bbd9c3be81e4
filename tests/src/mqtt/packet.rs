//! Packets as bytes.

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
    /// Seconds that the session outlives its connection (5.0).
    pub expiry: Option<u32>,
    /// User name and password.
    pub login: Option<(&'a str, &'a [u8])>,
    /// Topic and payload of the will.
    pub will: Option<(&'a str, &'a [u8])>,
    /// User properties, of 5.0 only.
    pub properties: &'a [(String, String)],
}

impl<'a> Connect<'a> {
    /// A clean 3.1.1 session with a keepalive of a minute.
    pub fn new(client_id: &'a str) -> Self {
        Self {
            client_id,
            level: V311,
            clean: true,
            keepalive: 60,
            expiry: None,
            login: None,
            will: None,
            properties: &[],
        }
    }

    /// The packet's bytes.
    pub fn encode(&self) -> Vec<u8> {
        let mut flags = u8::from(self.clean) << 1;
        if self.login.is_some() {
            flags |= 0xc0;
        }
        if self.will.is_some() {
            flags |= 0x04;
        }
        let mut body = vec![0, 4, b'M', b'Q', b'T', b'T', self.level, flags];
        body.extend(self.keepalive.to_be_bytes());
        if self.level == V5 {
            let expiry = self.expiry.map(u32::to_be_bytes);
            let property = expiry.map(|expiry| [&[0x11][..], &expiry].concat());
            let mut properties = property.unwrap_or_default();
            for (name, value) in self.properties {
                properties.push(0x26);
                string(&mut properties, name.as_bytes());
                string(&mut properties, value.as_bytes());
            }
            length(&mut body, properties.len());
            body.extend(properties);
        }
        string(&mut body, self.client_id.as_bytes());
        if let Some((topic, payload)) = self.will {
            if self.level == V5 {
                body.push(0);
            }
            string(&mut body, topic.as_bytes());
            string(&mut body, payload);
        }
        if let Some((user, password)) = self.login {
            string(&mut body, user.as_bytes());
            string(&mut body, password);
        }
        packet(0x10, &body)
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

/// The id that the body of a CONNACK of MQTT 5.0 gives the client (property 18).
pub(super) fn assigned_id(connack: &[u8]) -> Option<String> {
    let mut properties = &connack[3..];
    while let [kind, rest @ ..] = properties {
        let word = |at: usize| usize::from(u16::from_be_bytes([rest[at], rest[at + 1]]));
        let length = match kind {
            0x11 | 0x27 => 4,
            0x13 | 0x21 | 0x22 => 2,
            0x24 | 0x25 | 0x28..=0x2a => 1,
            0x12 | 0x15 | 0x16 | 0x1a | 0x1c | 0x1f => 2 + word(0),
            0x26 => 4 + word(0) + word(2 + word(0)),
            other => panic!("unknown property {other:#04x}: {connack:02x?}"),
        };
        if *kind == 0x12 {
            return Some(String::from_utf8_lossy(&rest[2..length]).into_owned());
        }
        properties = &rest[length..];
    }
    None
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

/// A packet: its first byte, the remaining length, its body.
pub(crate) fn packet(head: u8, body: &[u8]) -> Vec<u8> {
    let mut out = vec![head];
    length(&mut out, body.len());
    out.extend(body);
    out
}

/// Appends a variable byte integer.
fn length(out: &mut Vec<u8>, mut left: usize) {
    loop {
        let more = left > 0x7f;
        out.push((left & 0x7f) as u8 | u8::from(more) << 7);
        left >>= 7;
        if !more {
            break;
        }
    }
}

/// Appends a length-prefixed string.
pub(super) fn string(out: &mut Vec<u8>, text: &[u8]) {
    out.extend((text.len() as u16).to_be_bytes());
    out.extend(text);
}
