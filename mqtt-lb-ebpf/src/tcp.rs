//! What of a TCP header the splice path looks at.

/// Bits of the flags byte (RFC 9293, 3.1).
pub mod flag {
    /// No more data from this side.
    pub const FIN: u8 = 0x01;
    /// Opens a connection.
    pub const SYN: u8 = 0x02;
    /// Ends a connection.
    pub const RST: u8 = 0x04;
    /// The acknowledgement field counts.
    pub const ACK: u8 = 0x10;
    /// ECN echo (RFC 3168).
    pub const ECE: u8 = 0x40;
    /// Congestion window reduced (RFC 3168).
    pub const CWR: u8 = 0x80;
}

/// Protocol number of TCP.
pub const PROTOCOL: u8 = 6;
/// Bytes of a header without options.
pub const HEADER: u32 = 20;
/// Where the checksum is in a header.
pub const CHECKSUM: u32 = 16;

/// A segment, in host byte order and its sender's numbering.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Segment {
    /// Sequence number.
    pub seq: u32,
    /// Acknowledgement; means something with [`flag::ACK`] only.
    pub ack: u32,
    /// Bytes of the header.
    pub header: u32,
    /// Bytes behind the header.
    pub payload: u32,
    /// Window field.
    pub window: u16,
    /// Bits of [`flag`].
    pub flags: u8,
}

impl Segment {
    /// Whether one of `flags` is set.
    #[inline(always)]
    pub const fn has(&self, flags: u8) -> bool {
        self.flags & flags != 0
    }

    /// Whether it asks for a new connection.
    #[inline(always)]
    pub const fn is_opening(&self) -> bool {
        self.flags & (flag::SYN | flag::ACK) == flag::SYN
    }

    /// Sequence number behind it. SYN and FIN count as one each.
    #[inline(always)]
    pub const fn end(&self) -> u32 {
        self.seq
            .wrapping_add(self.payload)
            .wrapping_add(self.has(flag::SYN) as u32)
            .wrapping_add(self.has(flag::FIN) as u32)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn syn_and_fin_take_a_number_each() {
        let segment = |flags| Segment {
            seq: u32::MAX,
            ack: 0,
            header: HEADER,
            payload: 10,
            window: 0,
            flags,
        };
        assert_eq!(segment(flag::ACK).end(), 9);
        assert_eq!(segment(flag::ACK | flag::FIN).end(), 10);
        assert_eq!(segment(flag::SYN).end(), 10);
        assert!(segment(flag::SYN).is_opening());
        assert!(!segment(flag::SYN | flag::ACK).is_opening());
        assert!(!segment(flag::ACK).is_opening());
    }
}
