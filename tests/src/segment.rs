//! A TCP segment on the wire, taken apart and added up independently of the
//! program under test (RFC 9293, RFC 791, RFC 8200).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// Flags of a segment.
pub mod flag {
    /// The sender has no more to say.
    pub const FIN: u8 = 0x01;
    /// Begin of a connection.
    pub const SYN: u8 = 0x02;
    /// End of a connection, at once.
    pub const RST: u8 = 0x04;
    /// The acknowledgement counts.
    pub const ACK: u8 = 0x10;
    /// Congestion seen (RFC 3168).
    pub const ECE: u8 = 0x40;
}

/// What matters of a segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Segment {
    /// Sender.
    pub from: SocketAddr,
    /// Receiver.
    pub to: SocketAddr,
    /// TTL or hop limit.
    pub hops: u8,
    /// Sequence number.
    pub seq: u32,
    /// Acknowledgement.
    pub ack: u32,
    /// Bits of [`flag`].
    pub flags: u8,
    /// Window, as it is in the header.
    pub window: u16,
    /// Bytes of payload.
    pub len: u32,
    /// Whether it has a timestamp option.
    pub timestamps: bool,
    /// Whether the checksums of IP and TCP are right.
    pub sound: bool,
}

impl Segment {
    /// The segment in an Ethernet frame, when it is TCP over IPv4 or IPv6.
    pub fn parse(frame: &[u8]) -> Option<Self> {
        let packet = frame.get(14..)?;
        let (from, to, hops, tcp, sound) = match frame.get(12..14)? {
            [0x08, 0x00] => v4(packet)?,
            [0x86, 0xdd] => v6(packet)?,
            _ => return None,
        };
        let half = |at: usize| Some(u16::from_be_bytes(tcp.get(at..at + 2)?.try_into().ok()?));
        let word = |at: usize| Some(u32::from_be_bytes(tcp.get(at..at + 4)?.try_into().ok()?));
        let header = usize::from(*tcp.get(12)? >> 4) * 4;
        let options = tcp.get(20..header)?;
        let length = (tcp.len() as u32).to_be_bytes();
        let pseudo = [&octets(from)[..], &octets(to), &length, &[0, 0, 0, 6]];
        let sum = pseudo.iter().map(|part| add_up(part)).sum::<u64>() + add_up(tcp);
        Some(Self {
            from: SocketAddr::new(from, half(0)?),
            to: SocketAddr::new(to, half(2)?),
            hops,
            seq: word(4)?,
            ack: word(8)?,
            flags: *tcp.get(13)?,
            window: half(14)?,
            len: (tcp.len() - header) as u32,
            timestamps: option(options, 8),
            sound: sound && fold(sum) == 0xffff,
        })
    }

    /// Whether all the given bits are set.
    pub fn has(&self, flags: u8) -> bool {
        self.flags & flags == flags
    }

    /// Whether it only acknowledges.
    pub fn is_bare_ack(&self) -> bool {
        self.len == 0 && self.flags & (flag::SYN | flag::FIN | flag::RST) == 0
    }
}

type Parts<'a> = (IpAddr, IpAddr, u8, &'a [u8], bool);

fn v4(packet: &[u8]) -> Option<Parts<'_>> {
    let header = usize::from(packet.first()? & 15) * 4;
    let total = usize::from(u16::from_be_bytes([*packet.get(2)?, *packet.get(3)?]));
    if *packet.get(9)? != 6 {
        return None;
    }
    let address = |at: usize| {
        let octets: [u8; 4] = packet.get(at..at + 4)?.try_into().ok()?;
        Some(IpAddr::V4(Ipv4Addr::from(octets)))
    };
    let sound = fold(add_up(packet.get(..header)?)) == 0xffff;
    let tcp = packet.get(header..total)?;
    Some((address(12)?, address(16)?, packet[8], tcp, sound))
}

fn v6(packet: &[u8]) -> Option<Parts<'_>> {
    let length = usize::from(u16::from_be_bytes([*packet.get(4)?, *packet.get(5)?]));
    if *packet.get(6)? != 6 {
        return None;
    }
    let address = |at: usize| {
        let octets: [u8; 16] = packet.get(at..at + 16)?.try_into().ok()?;
        Some(IpAddr::V6(Ipv6Addr::from(octets)))
    };
    let tcp = packet.get(40..40 + length)?;
    Some((address(8)?, address(24)?, packet[7], tcp, true))
}

fn octets(address: IpAddr) -> Vec<u8> {
    match address {
        IpAddr::V4(v4) => v4.octets().to_vec(),
        IpAddr::V6(v6) => v6.octets().to_vec(),
    }
}

/// Whether an option of that kind is among the options.
fn option(mut options: &[u8], kind: u8) -> bool {
    while let Some(&first) = options.first() {
        let length = match first {
            0 => return false,
            1 => 1,
            _ if first == kind => return true,
            _ => usize::from(options.get(1).copied().unwrap_or(0)).max(2),
        };
        options = options.get(length..).unwrap_or_default();
    }
    false
}

/// Sum of the 16-bit words; an odd byte is the high half of the last.
pub fn add_up(bytes: &[u8]) -> u64 {
    let pairs = bytes.chunks_exact(2);
    let odd = pairs.remainder().first();
    let sum: u64 = pairs.map(|p| u64::from(p[0]) << 8 | u64::from(p[1])).sum();
    sum + odd.map_or(0, |byte| u64::from(*byte) << 8)
}

/// Folds a sum into 16 bits, carries added (RFC 1071).
pub fn fold(mut sum: u64) -> u16 {
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    sum as u16
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A SYN with MSS, SACK-permitted, timestamps and window scale, as Linux sends it.
    fn syn() -> Vec<u8> {
        let mut frame = vec![0; 12];
        frame.extend([0x08, 0x00, 0x45, 0, 0, 60, 0, 0, 0x40, 0, 64, 6, 0, 0]);
        frame.extend([10, 0, 0, 1, 10, 0, 0, 2]);
        frame.extend([0x30, 0x39, 7, 0x5b, 1, 2, 3, 4, 0, 0, 0, 0, 0xa0, 2]);
        frame.extend([0xfa, 0xf0, 0, 0, 0, 0, 2, 4, 5, 0xb4, 4, 2, 8, 10]);
        frame.extend([0, 0, 0, 9, 0, 0, 0, 0, 1, 3, 3, 7]);
        let header = !fold(add_up(&frame[14..34]));
        frame[24..26].copy_from_slice(&header.to_be_bytes());
        let pseudo = add_up(&frame[26..34]) + 6 + 40;
        let sum = !fold(pseudo + add_up(&frame[34..]));
        frame[50..52].copy_from_slice(&sum.to_be_bytes());
        frame
    }

    #[test]
    fn a_segment_is_taken_apart() {
        let segment = Segment::parse(&syn()).expect("TCP");
        assert_eq!(segment.from, "10.0.0.1:12345".parse().expect("address"));
        assert_eq!(segment.seq, 0x0102_0304);
        assert!(segment.has(flag::SYN) && segment.timestamps && segment.sound);
        assert_eq!((segment.len, segment.hops), (0, 64));
    }

    #[test]
    fn any_flipped_bit_is_noticed() {
        for at in 14..syn().len() {
            let mut frame = syn();
            frame[at] ^= 4;
            let whole = Segment::parse(&frame).is_some_and(|s| s.sound);
            assert!(!whole, "byte {at}");
        }
    }
}
