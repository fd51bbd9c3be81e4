//! Hand-made TCP segments without payload: the acknowledgement at a hand-over, the
//! reset at an end. Sans-IO.

use std::net::{IpAddr, SocketAddr};

use mqtt_lb_ebpf::checksum::{fold, sum};

/// `RST` and `ACK` (RFC 9293, 3.1).
const RST: u8 = 0x04;
const ACK: u8 = 0x10;
const TCP: u8 = 6;
const HOPS: u8 = 64;

/// What a segment says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Segment {
    /// Who it is from, for its receiver.
    pub from: SocketAddr,
    /// Its receiver.
    pub to: SocketAddr,
    /// Sequence number.
    pub seq: u32,
    /// Acknowledgement.
    pub ack: u32,
    /// Window as it stands in the header, scaled already.
    pub window: u16,
    /// TSval and TSecr (RFC 7323, 3.2).
    pub timestamps: Option<[u32; 2]>,
    /// It resets the connection.
    pub reset: bool,
}

impl Segment {
    /// The packet, from the IP header on. The kernel fills in the IPv4 identification
    /// and checksum of a raw socket (raw(7)); both addresses are of one family.
    pub fn packet(&self) -> Vec<u8> {
        let tcp = self.tcp();
        let mut packet = Vec::with_capacity(40 + tcp.len());
        match (self.from.ip(), self.to.ip()) {
            (IpAddr::V4(from), IpAddr::V4(to)) => {
                let total = (20 + tcp.len()) as u16;
                packet.extend_from_slice(&[0x45, 0]);
                packet.extend_from_slice(&total.to_be_bytes());
                packet.extend_from_slice(&[0, 0, 0x40, 0, HOPS, TCP, 0, 0]);
                packet.extend_from_slice(&from.octets());
                packet.extend_from_slice(&to.octets());
            }
            (from, to) => {
                packet.extend_from_slice(&[0x60, 0, 0, 0]);
                packet.extend_from_slice(&(tcp.len() as u16).to_be_bytes());
                packet.extend_from_slice(&[TCP, HOPS]);
                packet.extend_from_slice(&octets(from));
                packet.extend_from_slice(&octets(to));
            }
        }
        packet.extend_from_slice(&tcp);
        packet
    }

    fn tcp(&self) -> Vec<u8> {
        let mut tcp = Vec::with_capacity(32);
        tcp.extend_from_slice(&self.from.port().to_be_bytes());
        tcp.extend_from_slice(&self.to.port().to_be_bytes());
        tcp.extend_from_slice(&self.seq.to_be_bytes());
        tcp.extend_from_slice(&self.ack.to_be_bytes());
        let words = if self.timestamps.is_some() { 8 } else { 5 };
        tcp.extend_from_slice(&[words << 4, if self.reset { RST | ACK } else { ACK }]);
        tcp.extend_from_slice(&self.window.to_be_bytes());
        tcp.extend_from_slice(&[0; 4]);
        if let Some([value, echo]) = self.timestamps {
            tcp.extend_from_slice(&[1, 1, 8, 10]);
            tcp.extend_from_slice(&value.to_be_bytes());
            tcp.extend_from_slice(&echo.to_be_bytes());
        }
        let check = !fold(u32::from(self.pseudo(tcp.len())) + u32::from(sum(&tcp)));
        tcp[16..18].copy_from_slice(&check.to_ne_bytes());
        tcp
    }

    /// Sum of the pseudo header (RFC 9293, 3.1; RFC 8200, 8.1).
    fn pseudo(&self, len: usize) -> u16 {
        let words = [0, TCP, (len >> 8) as u8, len as u8];
        let addresses = [self.from.ip(), self.to.ip()].map(|ip| match ip {
            IpAddr::V4(ip) => sum(&ip.octets()),
            IpAddr::V6(ip) => sum(&ip.octets()),
        });
        fold(u32::from(addresses[0]) + u32::from(addresses[1]) + u32::from(sum(&words)))
    }
}

fn octets(ip: IpAddr) -> [u8; 16] {
    match ip {
        IpAddr::V4(ip) => ip.to_ipv6_mapped().octets(),
        IpAddr::V6(ip) => ip.octets(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn segment(from: &str, to: &str) -> Segment {
        Segment {
            from: from.parse().unwrap(),
            to: to.parse().unwrap(),
            seq: 0x0102_0304,
            ack: 0xfffe_fdfc,
            window: 502,
            timestamps: Some([7, 9]),
            reset: false,
        }
    }

    fn checks(packet: &[u8], header: usize, addresses: &[u8]) {
        let tcp = &packet[header..];
        let mut whole = addresses.to_vec();
        whole.extend_from_slice(&[0, 0, 0, tcp.len() as u8, 0, 0, 0, TCP]);
        whole.extend_from_slice(tcp);
        assert_eq!(sum(&whole), 0xffff);
    }

    #[test]
    fn an_acknowledgement_over_ipv4() {
        let packet = segment("10.0.0.1:1883", "10.0.0.2:40000").packet();
        assert_eq!(packet.len(), 52);
        assert_eq!(packet[2..4], [0, 52]);
        assert_eq!(packet[20..24], [0x07, 0x5b, 0x9c, 0x40]);
        assert_eq!(packet[24..32], [1, 2, 3, 4, 0xff, 0xfe, 0xfd, 0xfc]);
        assert_eq!(packet[32..34], [0x80, ACK]);
        checks(&packet, 20, &packet[12..20]);
    }

    #[test]
    fn a_reset_over_ipv6_without_options() {
        let reset = Segment {
            timestamps: None,
            reset: true,
            ..segment("[2001:db8::1]:1883", "[2001:db8::2]:40000")
        };
        let packet = reset.packet();
        assert_eq!(packet.len(), 60);
        assert_eq!(packet[4..7], [0, 20, TCP]);
        assert_eq!(packet[52..54], [0x50, RST | ACK]);
        checks(&packet, 40, &packet[8..40]);
    }
}
