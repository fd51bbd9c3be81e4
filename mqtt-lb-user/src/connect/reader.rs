//! The walk through a CONNECT packet, resumable after any byte.

use super::cursor::{Cursor, Span, Stop};
use super::view::{Connect, Flags, Seen};
use super::{Refusal, foreign};

/// Bytes from the start of a CONNECT that always suffice to know the client id
/// of MQTT 3.1 and 3.1.1: fixed header 5, protocol name 8, level 1, flags 1,
/// keepalive 2, length of the id 2 and an id of 65,535.
///
/// MQTT 5.0 needs up to 4 more, and the properties in front of the id.
pub const MIN_BUFFER: usize = 5 + 8 + 1 + 1 + 2 + 2 + 65_535;

/// First byte of a CONNECT: packet type 1, no flags (MQTT 3.1.1 §3.1.1).
const CONNECT: u8 = 0x10;

/// Bounds on what a client may send before its client id is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of a CONNECT that the caller keeps; less than [`MIN_BUFFER`] counts
    /// as [`MIN_BUFFER`].
    pub buffer: usize,
    /// Bytes of MQTT 5 properties in front of the client id.
    pub properties: usize,
}

/// How far the bytes of a client reach.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// The client id is not known yet.
    NeedMore,
    /// The client id is known, the packet is not whole yet.
    Routable,
    /// The whole CONNECT is there.
    Complete {
        /// Its length in bytes; what follows in the buffer are later packets.
        len: usize,
    },
}

/// The field that comes next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    FirstByte,
    RemainingLength,
    ProtocolName,
    Level,
    Properties,
    ClientId,
    WillProperties,
    WillTopic,
    WillPayload,
    Username,
    Password,
    Done,
}

/// Reads the CONNECT at the start of a client's byte stream.
///
/// The reader holds offsets into the caller's buffer and no bytes. Each call
/// goes on where the one before stopped.
#[derive(Debug, Clone, Copy)]
pub struct Reader {
    limits: Limits,
    step: Step,
    /// Offset of the field of `step`.
    at: usize,
    /// Offset behind the packet, once the remaining length is known.
    end: Option<usize>,
    seen: Seen,
}

impl Reader {
    /// A reader that waits for the first byte.
    pub fn new(limits: Limits) -> Self {
        let buffer = limits.buffer.max(MIN_BUFFER);
        Self {
            limits: Limits { buffer, ..limits },
            step: Step::FirstByte,
            at: 0,
            end: None,
            seen: Seen::default(),
        }
    }

    /// Reads on in `buf`, which holds everything received so far from the
    /// client's first byte on.
    ///
    /// The answer depends on the bytes only, not on how they were cut. With
    /// [`Limits::buffer`] bytes it is never [`Status::NeedMore`].
    ///
    /// # Errors
    /// [`Refusal`] when no broker would take these bytes, or a limit forbids
    /// them; calling again gives the same refusal.
    pub fn advance(&mut self, buf: &[u8]) -> Result<Status, Refusal> {
        while self.step != Step::Done {
            match self.walk(buf) {
                Ok((next, at)) => (self.step, self.at) = (next, at),
                Err(Stop::Short) => break,
                Err(Stop::Refused(refusal)) => return Err(refusal),
            }
        }
        Ok(match self.end {
            Some(len) if self.step == Step::Done && buf.len() >= len => Status::Complete { len },
            _ if self.seen.client_id.is_some() => Status::Routable,
            _ => Status::NeedMore,
        })
    }

    /// What is known of the CONNECT in `buf`, the buffer given to
    /// [`Reader::advance`]; `None` until the client id is known.
    pub fn view<'a>(&self, buf: &'a [u8]) -> Option<Connect<'a>> {
        Connect::new(buf, self.seen)
    }

    /// Length of the whole packet in bytes with its fixed header, once known.
    pub fn packet_len(&self) -> Option<usize> {
        self.end
    }

    /// Reads the field of `step`; gives the step behind it and its offset.
    fn walk(&mut self, buf: &[u8]) -> Result<(Step, usize), Stop> {
        let flags = self.seen.flags;
        let cursor = Cursor {
            buf,
            at: self.at,
            end: self.end.unwrap_or(usize::MAX),
        };
        Ok(match self.step {
            Step::FirstByte => match buf.first() {
                None => return Err(Stop::Short),
                Some(&CONNECT) => (Step::RemainingLength, 1),
                Some(_) => return Err(foreign::name(buf).map_or(Stop::Short, Stop::Refused)),
            },
            Step::RemainingLength => {
                let (remaining, at) = cursor.length("remaining length")?;
                self.end = Some(at + remaining);
                (Step::ProtocolName, at)
            }
            Step::ProtocolName => {
                let name = cursor.string("protocol name")?;
                if !matches!(name.len(), 4 | 6) {
                    return Err(Stop::Refused(Refusal::ProtocolName));
                }
                self.seen.isdp = match name.of(buf).ok_or(Stop::Short)? {
                    b"MQTT" => false,
                    b"MQIsdp" => true,
                    _ => return Err(Stop::Refused(Refusal::ProtocolName)),
                };
                (Step::Level, name.end)
            }
            Step::Level => {
                let [level, flags, high, low] = cursor.bytes("variable header")?;
                self.seen.level = level;
                self.seen.flags = Flags(flags);
                self.seen.keepalive = u16::from_be_bytes([high, low]);
                let at = self.at + 4;
                match self.seen.version() {
                    Some(5) => (Step::Properties, at),
                    Some(_) => (Step::ClientId, at),
                    // Where the id of an unknown version lies is unknown too.
                    None => {
                        self.seen.client_id = Some(Span { start: at, end: at });
                        (Step::Done, at)
                    }
                }
            }
            Step::Properties => {
                let properties = cursor.properties("property length")?;
                let (length, limit) = (properties.len(), self.limits.properties);
                if length > limit {
                    return Err(Stop::Refused(Refusal::LongProperties { length, limit }));
                }
                self.seen.properties = properties;
                (Step::ClientId, properties.end)
            }
            Step::ClientId => {
                let id = cursor.string("client id")?;
                let (needed, limit) = (id.end, self.limits.buffer);
                if needed > limit {
                    return Err(Stop::Refused(Refusal::BeyondBuffer { needed, limit }));
                }
                id.of(buf).ok_or(Stop::Short)?;
                self.seen.client_id = Some(id);
                let next = match self.seen.version() {
                    _ if !flags.will() => Step::Username,
                    Some(5) => Step::WillProperties,
                    _ => Step::WillTopic,
                };
                (next, id.end)
            }
            Step::WillProperties => {
                let properties = cursor.properties("will property length")?;
                (Step::WillTopic, properties.end)
            }
            Step::WillTopic => {
                let topic = cursor.string("will topic")?;
                self.seen.will_topic = Some(topic);
                (Step::WillPayload, topic.end)
            }
            Step::WillPayload => (Step::Username, cursor.string("will payload")?.end),
            Step::Username if flags.username() => {
                let username = cursor.string("username")?;
                self.seen.username = Some(username);
                (Step::Password, username.end)
            }
            Step::Username => (Step::Password, self.at),
            Step::Password if flags.password() => (Step::Done, cursor.string("password")?.end),
            Step::Password | Step::Done => (Step::Done, self.at),
        })
    }
}
