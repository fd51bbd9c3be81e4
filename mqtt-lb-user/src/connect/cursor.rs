//! Reading one field of a packet of which only the first bytes may be there.

use super::Refusal;
use super::length::{self, Length};

/// Why a field cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stop {
    /// Its bytes have not arrived.
    Short,
    /// They never will, or make no sense.
    Refused(Refusal),
}

/// Offsets of a field in the client's bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Span {
    pub(super) start: usize,
    pub(super) end: usize,
}

impl Span {
    pub(super) fn len(self) -> usize {
        self.end - self.start
    }

    /// The field's bytes, if all of them are in `buf`.
    pub(super) fn of(self, buf: &[u8]) -> Option<&[u8]> {
        buf.get(self.start..self.end)
    }
}

/// The bytes at hand, and the place of the next field in them.
///
/// Every answer is the same whether the bytes behind the field are there or
/// not: a field is held against the end of the packet before the bytes at hand.
#[derive(Clone, Copy)]
pub(super) struct Cursor<'a> {
    pub(super) buf: &'a [u8],
    pub(super) at: usize,
    /// Offset behind the packet; `usize::MAX` until it is known.
    pub(super) end: usize,
}

impl<'a> Cursor<'a> {
    /// `N` bytes.
    pub(super) fn bytes<const N: usize>(self, field: &'static str) -> Result<[u8; N], Stop> {
        self.span(self.at, N, field)?
            .of(self.buf)
            .and_then(|bytes| bytes.try_into().ok())
            .ok_or(Stop::Short)
    }

    /// A variable byte integer and the offset behind it.
    pub(super) fn length(self, field: &'static str) -> Result<(usize, usize), Stop> {
        let at_hand = self.buf.len().min(self.end);
        match length::read(self.buf.get(self.at..at_hand).unwrap_or_default()) {
            Length::Known { value, size } => Ok((value, self.at + size)),
            Length::TooLong => Err(Stop::Refused(Refusal::LongLength(field))),
            Length::NeedMore if at_hand == self.end => {
                Err(Stop::Refused(Refusal::BeyondPacket(field)))
            }
            Length::NeedMore => Err(Stop::Short),
        }
    }

    /// A field behind its two-byte length (MQTT 3.1.1 §1.5.3, MQTT 5.0 §1.5.4
    /// and §1.5.6); its own bytes may still be on their way.
    pub(super) fn string(self, field: &'static str) -> Result<Span, Stop> {
        let length = u16::from_be_bytes(self.bytes(field)?);
        self.span(self.at + 2, usize::from(length), field)
    }

    /// Properties behind their length (MQTT 5.0 §2.2.2); their own bytes may
    /// still be on their way.
    pub(super) fn properties(self, field: &'static str) -> Result<Span, Stop> {
        let (length, start) = self.length(field)?;
        self.span(start, length, field)
    }

    fn span(self, start: usize, length: usize, field: &'static str) -> Result<Span, Stop> {
        let end = start + length;
        if end > self.end {
            return Err(Stop::Refused(Refusal::BeyondPacket(field)));
        }
        Ok(Span { start, end })
    }
}
