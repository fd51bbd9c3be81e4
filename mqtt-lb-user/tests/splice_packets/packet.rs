//! Builds frames.

use crate::layers::{ICMP, Layers, TCP};
use crate::sums;

/// TCP flags.
pub const FIN: u8 = 0x01;
/// Synchronise.
pub const SYN: u8 = 0x02;
/// Reset.
pub const RST: u8 = 0x04;
/// Push.
pub const PSH: u8 = 0x08;
/// Acknowledgement.
pub const ACK: u8 = 0x10;
/// Urgent pointer.
pub const URG: u8 = 0x20;
/// ECN echo.
pub const ECE: u8 = 0x40;
/// Congestion window reduced.
pub const CWR: u8 = 0x80;
/// Accurate ECN: of the byte before the flags.
pub const AE: u8 = 0x01;

/// What stands in the TCP checksum field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sum {
    /// The right one.
    Right,
    /// The right one with a bit turned.
    Wrong,
    /// The folded pseudo header sum, for a device to complete.
    Partial,
}

/// A TCP segment and everything around it.
#[derive(Debug, Clone)]
pub struct Segment {
    /// 4 or 6.
    pub family: u8,
    /// Destination and source.
    pub macs: [[u8; 6]; 2],
    /// Tag after the MAC addresses.
    pub vlan: Option<u16>,
    /// Source and destination; the first 4 bytes with IPv4.
    pub addresses: [[u8; 16]; 2],
    /// Source and destination.
    pub ports: [u16; 2],
    /// TTL or hop limit.
    pub hops: u8,
    /// IPv4: flags and fragment offset as in the header.
    pub fragment: u16,
    /// IPv4 options, a multiple of 4 bytes.
    pub ip_options: Vec<u8>,
    /// IPv6 extension headers: kind, and bytes whose first is filled in.
    pub extensions: Vec<(u8, Vec<u8>)>,
    /// Sequence number.
    pub seq: u32,
    /// Acknowledgement number.
    pub ack: u32,
    /// The flag byte.
    pub flags: u8,
    /// Window field.
    pub window: u16,
    /// TCP options, filled up to a multiple of 4 with zeros.
    pub options: Vec<u8>,
    /// Data.
    pub payload: Vec<u8>,
    /// The checksum.
    pub sum: Sum,
    /// Bytes behind the IP packet, as Ethernet fills short frames.
    pub trailer: usize,
}

impl Segment {
    /// The frame.
    pub fn frame(&self) -> Vec<u8> {
        let tcp = self.tcp();
        let mut frame = self.ethernet();
        let ip = frame.len();
        self.ip(&mut frame, TCP, tcp.len());
        frame.extend_from_slice(&tcp);
        self.finish_tcp(&mut frame, ip);
        frame.extend(std::iter::repeat_n(0, self.trailer));
        frame
    }

    /// Data bytes, and one for SYN and FIN each.
    pub fn length(&self) -> u32 {
        let ends = u32::from(self.flags & SYN != 0) + u32::from(self.flags & FIN != 0);
        self.payload.len() as u32 + ends
    }

    /// An ICMP error about this segment, from `router` to the segment's source, that
    /// quotes `quoted` bytes of it; MAC addresses and hops are this segment's.
    pub fn icmp_error(&self, router: [u8; 16], kind: u8, code: u8, quoted: usize) -> Vec<u8> {
        let mut inner = self.frame();
        inner.drain(..self.ethernet().len());
        inner.truncate(quoted);
        let outer = Self {
            addresses: [router, self.addresses[0]],
            ip_options: Vec::new(),
            extensions: Vec::new(),
            fragment: 0,
            ..self.clone()
        };
        let mut frame = outer.ethernet();
        let ip = frame.len();
        let protocol = if self.family == 4 {
            ICMP
        } else {
            crate::layers::ICMP6
        };
        outer.ip(&mut frame, protocol, 8 + inner.len());
        let at = frame.len();
        // The MTU of "fragmentation needed" and "packet too big".
        frame.extend_from_slice(&[kind, code, 0, 0, 0, 0, 0x05, 0x14]);
        frame.extend_from_slice(&inner);
        let layers = outer.layers(&frame, ip);
        let pseudo = if self.family == 4 {
            0
        } else {
            sums::pseudo(&frame, &layers)
        };
        let sum = sums::field(pseudo + sums::words(&frame[at..]));
        frame[at + 2..at + 4].copy_from_slice(&sum);
        frame
    }

    fn ethernet(&self) -> Vec<u8> {
        let mut frame = Vec::with_capacity(256);
        frame.extend_from_slice(&self.macs[0]);
        frame.extend_from_slice(&self.macs[1]);
        if let Some(tag) = self.vlan {
            frame.extend_from_slice(&[0x81, 0]);
            frame.extend_from_slice(&tag.to_be_bytes());
        }
        frame.extend_from_slice(if self.family == 4 {
            &[0x08, 0x00]
        } else {
            &[0x86, 0xdd]
        });
        frame
    }

    fn ip(&self, frame: &mut Vec<u8>, protocol: u8, length: usize) {
        let ip = frame.len();
        if self.family == 4 {
            let header = 20 + self.ip_options.len();
            let total = (header + length) as u16;
            frame.extend_from_slice(&[0x40 | (header / 4) as u8, 0x02]);
            frame.extend_from_slice(&total.to_be_bytes());
            frame.extend_from_slice(&[0x12, 0x34]);
            frame.extend_from_slice(&self.fragment.to_be_bytes());
            frame.extend_from_slice(&[self.hops, protocol, 0, 0]);
            frame.extend_from_slice(&self.addresses[0][..4]);
            frame.extend_from_slice(&self.addresses[1][..4]);
            frame.extend_from_slice(&self.ip_options);
            let sum = sums::field(sums::words(&frame[ip..]));
            frame[ip + 10..ip + 12].copy_from_slice(&sum);
            return;
        }
        let extra: usize = self.extensions.iter().map(|(_, bytes)| bytes.len()).sum();
        let first = self.extensions.first().map_or(protocol, |(kind, _)| *kind);
        frame.extend_from_slice(&[0x60, 0x21, 0x43, 0x65]);
        frame.extend_from_slice(&((extra + length) as u16).to_be_bytes());
        frame.extend_from_slice(&[first, self.hops]);
        frame.extend_from_slice(&self.addresses[0]);
        frame.extend_from_slice(&self.addresses[1]);
        for (i, (_, bytes)) in self.extensions.iter().enumerate() {
            let next = self
                .extensions
                .get(i + 1)
                .map_or(protocol, |(kind, _)| *kind);
            frame.push(next);
            frame.extend_from_slice(&bytes[1..]);
        }
    }

    fn tcp(&self) -> Vec<u8> {
        let header = 20 + self.options.len().next_multiple_of(4);
        let mut tcp = Vec::with_capacity(header + self.payload.len());
        tcp.extend_from_slice(&self.ports[0].to_be_bytes());
        tcp.extend_from_slice(&self.ports[1].to_be_bytes());
        tcp.extend_from_slice(&self.seq.to_be_bytes());
        tcp.extend_from_slice(&self.ack.to_be_bytes());
        tcp.extend_from_slice(&[(header << 2) as u8, self.flags]);
        tcp.extend_from_slice(&self.window.to_be_bytes());
        tcp.extend_from_slice(&[0, 0, 0, 0]);
        tcp.extend_from_slice(&self.options);
        tcp.resize(header, 0);
        tcp.extend_from_slice(&self.payload);
        tcp
    }

    fn finish_tcp(&self, frame: &mut [u8], ip: usize) {
        let layers = self.layers(frame, ip);
        // A later fragment has no header, and so no checksum.
        if layers.later {
            return;
        }
        let at = layers.inner + 16;
        let mut sum = match self.sum {
            Sum::Partial => sums::partial(frame, &layers),
            _ => sums::field(sums::pseudo(frame, &layers) + sums::words(&frame[layers.inner..])),
        };
        if self.sum == Sum::Wrong {
            sum[1] ^= 4;
        }
        frame[at..at + 2].copy_from_slice(&sum);
    }

    fn layers(&self, frame: &[u8], ip: usize) -> Layers {
        let layers = if self.family == 4 {
            Layers::v4(frame, ip)
        } else {
            Layers::v6(frame, ip)
        };
        layers.expect("it was built to have them")
    }
}

/// TCP options.
pub mod option {
    /// No operation.
    pub const NOP: u8 = 1;

    /// Timestamps as Linux sends them: `NOP NOP TS`.
    pub fn timestamps(value: u32, echo: u32) -> Vec<u8> {
        let mut bytes = vec![NOP, NOP];
        bytes.extend_from_slice(&bare_timestamps(value, echo));
        bytes
    }

    /// Timestamps without anything in front.
    pub fn bare_timestamps(value: u32, echo: u32) -> Vec<u8> {
        let mut bytes = vec![8, 10];
        bytes.extend_from_slice(&value.to_be_bytes());
        bytes.extend_from_slice(&echo.to_be_bytes());
        bytes
    }

    /// SACK blocks without anything in front.
    pub fn sack(edges: &[u32]) -> Vec<u8> {
        let mut bytes = vec![5, 2 + 4 * edges.len() as u8];
        edges
            .iter()
            .for_each(|edge| bytes.extend_from_slice(&edge.to_be_bytes()));
        bytes
    }

    /// Maximum segment size.
    pub fn mss(size: u16) -> Vec<u8> {
        let [a, b] = size.to_be_bytes();
        vec![2, 4, a, b]
    }
}
