//! Where the headers of a frame are.

use std::ops::Range;

/// Protocol numbers.
pub const TCP: u8 = 6;
/// ICMP over IPv4.
pub const ICMP: u8 = 1;
/// ICMP over IPv6.
pub const ICMP6: u8 = 58;
/// IPv6 fragment header.
pub const FRAGMENT: u8 = 44;

const ETHERNET: usize = 14;

/// What a frame consists of. Only offsets whose headers are inside the frame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layers {
    /// 4 or 6.
    pub family: u8,
    /// Offset of the IP header.
    pub ip: usize,
    /// Bytes of the IPv4 header with options, or of the fixed IPv6 header.
    pub header: usize,
    /// Source and destination address.
    pub addresses: Range<usize>,
    /// Whether the version is the one that the frame's type says.
    pub is_honest: bool,
    /// Whether there are IPv4 options or IPv6 extension headers.
    pub extended: bool,
    /// Whether there are more extension headers than anybody has to look through.
    pub is_endless: bool,
    /// Whether it is a fragment.
    pub fragment: bool,
    /// Whether it is a fragment that does not begin with the last protocol's header.
    pub later: bool,
    /// Last protocol.
    pub protocol: u8,
    /// Offset of the last protocol's header.
    pub inner: usize,
    /// End of the packet as IP says; may be behind the frame's end.
    pub end: usize,
}

impl Layers {
    /// The layers of an untagged IP packet in an Ethernet frame; `None` for
    /// everything else, and where the IP headers are cut.
    pub fn of(frame: &[u8]) -> Option<Self> {
        match frame.get(12..ETHERNET)? {
            [0x08, 0x00] => Self::v4(frame, ETHERNET),
            [0x86, 0xdd] => Self::v6(frame, ETHERNET),
            _ => None,
        }
    }

    /// The layers of an IPv4 packet at `ip`.
    pub fn v4(frame: &[u8], ip: usize) -> Option<Self> {
        let fixed = frame.get(ip..ip + 20)?;
        let header = usize::from(fixed[0] & 15) * 4;
        if header < 20 {
            return None;
        }
        let fragment = u16::from_be_bytes([fixed[6], fixed[7]]);
        Some(Self {
            family: 4,
            ip,
            header,
            addresses: ip + 12..ip + 20,
            is_honest: fixed[0] >> 4 == 4,
            extended: header > 20,
            is_endless: false,
            fragment: fragment & 0x3fff != 0,
            later: fragment & 0x1fff != 0,
            protocol: fixed[9],
            inner: ip + header,
            end: ip + usize::from(u16::from_be_bytes([fixed[2], fixed[3]])),
        })
    }

    /// The layers of an IPv6 packet at `ip`.
    pub fn v6(frame: &[u8], ip: usize) -> Option<Self> {
        let fixed = frame.get(ip..ip + 40)?;
        let mut layers = Self {
            family: 6,
            ip,
            header: 40,
            addresses: ip + 8..ip + 40,
            is_honest: fixed[0] >> 4 == 6,
            extended: false,
            is_endless: false,
            fragment: false,
            later: false,
            protocol: fixed[6],
            inner: ip + 40,
            end: ip + 40 + usize::from(u16::from_be_bytes([fixed[4], fixed[5]])),
        };
        for number in 0.. {
            if layers.later {
                break;
            }
            let length = |unit: usize, more: usize| {
                let length = frame.get(layers.inner + 1)?;
                Some((usize::from(*length) + more) * unit)
            };
            let length = match layers.protocol {
                0 | 43 | 60 => length(8, 1)?,
                51 => length(4, 2)?,
                FRAGMENT => {
                    let at = layers.inner + 2;
                    let offset = frame.get(at..at + 2)?;
                    layers.fragment = true;
                    layers.later = u16::from_be_bytes([offset[0], offset[1]]) >> 3 != 0;
                    8
                }
                _ => break,
            };
            layers.extended = true;
            layers.is_endless = number >= 8;
            layers.protocol = *frame.get(layers.inner)?;
            layers.inner += length;
        }
        Some(layers)
    }

    /// Both ports, where the frame has them.
    pub fn ports(&self, frame: &[u8]) -> Option<[u8; 4]> {
        frame.get(self.inner..self.inner + 4)?.try_into().ok()
    }

    /// Bytes of the TCP header if it and the packet lie inside of each other and of
    /// the frame as they should.
    pub fn tcp_header(&self, frame: &[u8]) -> Option<usize> {
        let fixed = frame.get(self.inner..self.inner + 20)?;
        let header = usize::from(fixed[12] >> 4) * 4;
        let fits = header >= 20 && self.inner + header <= self.end && self.end <= frame.len();
        fits.then_some(header)
    }
}
