//! MQTT 5.0 properties (§2.2.2.2).

use super::length::{self, Length};

/// One property, as far as anyone here asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Property<'a> {
    /// User Property (0x26): name and value.
    User(&'a [u8], &'a [u8]),
    /// Assigned Client Identifier (0x12).
    AssignedClientId(&'a [u8]),
    /// Any other property of the specification.
    Other,
}

/// Iterator over whole properties; ends at the first that is cut or unknown.
#[derive(Debug, Clone)]
pub(super) struct Properties<'a> {
    rest: &'a [u8],
}

impl<'a> Properties<'a> {
    /// Reads the properties that `bytes` hold, without their length in front.
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    fn take(&mut self, n: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.rest.split_at_checked(n)?;
        self.rest = rest;
        Some(taken)
    }

    fn string(&mut self) -> Option<&'a [u8]> {
        let length = self.take(2)?.try_into().ok()?;
        self.take(usize::from(u16::from_be_bytes(length)))
    }

    fn read(&mut self) -> Option<Property<'a>> {
        match *self.take(1)?.first()? {
            0x26 => return Some(Property::User(self.string()?, self.string()?)),
            0x12 => return Some(Property::AssignedClientId(self.string()?)),
            // Byte.
            0x01 | 0x17 | 0x19 | 0x24 | 0x25 | 0x28 | 0x29 | 0x2a => self.take(1)?,
            // Two byte integer.
            0x13 | 0x21 | 0x22 | 0x23 => self.take(2)?,
            // Four byte integer.
            0x02 | 0x11 | 0x18 | 0x27 => self.take(4)?,
            // Variable byte integer.
            0x0b => match length::read(self.rest) {
                Length::Known { size, .. } => self.take(size)?,
                Length::NeedMore | Length::TooLong => return None,
            },
            // UTF-8 string or binary data.
            0x03 | 0x08 | 0x09 | 0x15 | 0x16 | 0x1a | 0x1c | 0x1f => self.string()?,
            _ => return None,
        };
        Some(Property::Other)
    }
}

impl<'a> Iterator for Properties<'a> {
    type Item = Property<'a>;

    fn next(&mut self) -> Option<Self::Item> {
        let property = self.read();
        if property.is_none() {
            self.rest = &[];
        }
        property
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One property of each type the specification knows, the asked ones last.
    const ALL: &[u8] = b"\x01\x01\x17\x01\x19\x01\x24\x01\x25\x01\x28\x01\x29\x01\x2a\x01\
        \x13\0\x01\x21\0\x01\x22\0\x01\x23\0\x01\
        \x02\0\0\0\x01\x11\0\0\0\x01\x18\0\0\0\x01\x27\0\0\0\x01\
        \x0b\x80\x01\
        \x03\0\x01c\x08\0\x01r\x09\0\x01d\x15\0\x01m\x16\0\x01a\x1a\0\x01i\x1c\0\x01s\x1f\0\0\
        \x12\0\x02id\x26\0\x01k\0\x02vv";

    #[test]
    fn every_property_is_passed() {
        let read: Vec<_> = Properties::new(ALL).collect();
        assert_eq!(read.len(), 27);
        assert!(
            read[..25]
                .iter()
                .all(|property| *property == Property::Other)
        );
        assert_eq!(read[25], Property::AssignedClientId(b"id"));
        assert_eq!(read[26], Property::User(b"k", b"vv"));
    }

    #[test]
    fn a_cut_property_ends_the_list() {
        for cut in 0..ALL.len() {
            let whole = Properties::new(&ALL[..cut]).count();
            assert!(whole < 27, "cut at {cut}");
        }
        assert_eq!(
            Properties::new(&[0x0b, 0x80, 0x80, 0x80, 0x80, 0x01]).count(),
            0
        );
    }

    #[test]
    fn an_unknown_property_ends_the_list() {
        let bytes = b"\x26\0\x01a\0\x01b\x7f\x26\0\x01c\0\x01d";
        let read: Vec<_> = Properties::new(bytes).collect();
        assert_eq!(read, [Property::User(b"a", b"b")]);
    }
}
