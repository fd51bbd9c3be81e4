//! The values of a CONNECT, borrowed from the client's bytes.

use super::cursor::Span;
use super::properties::{Properties, Property};

/// Connect flags (MQTT 3.1.1 §3.1.2.3, MQTT 5.0 §3.1.2.3).
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Flags(pub(super) u8);

impl Flags {
    fn clean(self) -> bool {
        self.0 & 0x02 != 0
    }

    pub(super) fn will(self) -> bool {
        self.0 & 0x04 != 0
    }

    pub(super) fn password(self) -> bool {
        self.0 & 0x40 != 0
    }

    pub(super) fn username(self) -> bool {
        self.0 & 0x80 != 0
    }
}

/// What the reader has passed: numbers, and offsets of the rest.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Seen {
    /// The protocol name is MQTT 3.1's `MQIsdp`.
    pub(super) isdp: bool,
    /// The level as sent, with a bridge's high bit.
    pub(super) level: u8,
    pub(super) flags: Flags,
    pub(super) keepalive: u16,
    pub(super) properties: Span,
    pub(super) client_id: Option<Span>,
    pub(super) will_topic: Option<Span>,
    pub(super) username: Option<Span>,
}

impl Seen {
    /// The level without the bridge bit, when name and level are a known pair.
    pub(super) fn version(&self) -> Option<u8> {
        match (self.isdp, self.level & 0x7f) {
            (true, 3) => Some(3),
            (false, level @ (4 | 5)) => Some(level),
            _ => None,
        }
    }
}

/// A field behind the client id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Field<'a> {
    /// It is announced, but not all of it has arrived.
    Pending,
    /// The CONNECT has none.
    Absent,
    /// Its bytes; not checked to be UTF-8.
    Present(&'a [u8]),
}

/// A CONNECT whose client id is known.
#[derive(Debug, Clone, Copy)]
pub struct Connect<'a> {
    buf: &'a [u8],
    client_id: &'a [u8],
    seen: Seen,
}

impl<'a> Connect<'a> {
    pub(super) fn new(buf: &'a [u8], seen: Seen) -> Option<Self> {
        let client_id = seen.client_id?.of(buf)?;
        Some(Self {
            buf,
            client_id,
            seen,
        })
    }

    /// The client id, byte for byte (MQTT 3.1.1 §3.1.3.1); not checked to be
    /// UTF-8. Empty when the client left the choice to the broker, and when the
    /// protocol level is unknown: the broker then answers that it is.
    pub fn client_id(&self) -> &'a [u8] {
        self.client_id
    }

    /// The protocol level without a bridge's high bit: 3 for MQTT 3.1, 4 for
    /// 3.1.1, 5 for 5.0, or whatever the client sent.
    pub fn level(&self) -> u8 {
        self.seen.level & 0x7f
    }

    /// Whether the client says it is a bridge (high bit of the level).
    pub fn bridge(&self) -> bool {
        self.seen.level & 0x80 != 0
    }

    /// Clean session (MQTT 3.1.1 §3.1.2.4) or clean start (MQTT 5.0 §3.1.2.4).
    pub fn clean(&self) -> bool {
        self.seen.flags.clean()
    }

    /// Keepalive in seconds, 0 for none (MQTT 3.1.1 §3.1.2.10).
    pub fn keepalive(&self) -> u16 {
        self.seen.keepalive
    }

    /// The username (MQTT 3.1.1 §3.1.3.4).
    pub fn username(&self) -> Field<'a> {
        self.field(self.seen.flags.username(), self.seen.username)
    }

    /// The will topic (MQTT 3.1.1 §3.1.3.2).
    pub fn will_topic(&self) -> Field<'a> {
        self.field(self.seen.flags.will(), self.seen.will_topic)
    }

    /// The user properties of the CONNECT, in order (MQTT 5.0 §3.1.2.11.8);
    /// those of its will are not among them. Ends at the first property that
    /// makes no sense.
    pub fn user_properties(&self) -> UserProperties<'a> {
        let properties = self.seen.properties.of(self.buf).unwrap_or_default();
        UserProperties(Properties::new(properties))
    }

    fn field(&self, announced: bool, span: Option<Span>) -> Field<'a> {
        if !announced || self.seen.version().is_none() {
            return Field::Absent;
        }
        span.and_then(|span| span.of(self.buf))
            .map_or(Field::Pending, Field::Present)
    }
}

/// Iterator over user properties as name and value; see
/// [`Connect::user_properties`].
#[derive(Debug, Clone)]
pub struct UserProperties<'a>(Properties<'a>);

impl<'a> Iterator for UserProperties<'a> {
    type Item = (&'a [u8], &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        self.0.find_map(|property| match property {
            Property::User(name, value) => Some((name, value)),
            _ => None,
        })
    }
}
