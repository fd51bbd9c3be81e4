//! The rarer headers in front of TCP, and keys from packets that are not usual.

use crate::tuple::Tuple4;

/// Extension headers (RFC 8200, 4; RFC 4302), by protocol number.
mod extension {
    pub const HOP_BY_HOP: u8 = 0;
    pub const ROUTING: u8 = 43;
    pub const FRAGMENT: u8 = 44;
    pub const AUTHENTICATION: u8 = 51;
    pub const DESTINATION: u8 = 60;
}

/// Most extension headers that are looked through.
pub const EXTENSIONS: u32 = 8;

/// An IPv6 extension header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Extension {
    /// Protocol number of what follows.
    pub next: u8,
    /// Its length, bytes.
    pub len: u32,
    /// It is a fragment header.
    pub is_fragment: bool,
    /// ... of a fragment that does not begin with the packet's next header.
    pub is_later: bool,
}

/// Whether `protocol` is an extension header.
#[inline(always)]
pub const fn is_extension(protocol: u8) -> bool {
    matches!(
        protocol,
        extension::HOP_BY_HOP
            | extension::ROUTING
            | extension::FRAGMENT
            | extension::AUTHENTICATION
            | extension::DESTINATION
    )
}

/// The extension header of number `protocol` that begins with `head`.
#[inline(always)]
pub const fn extension(protocol: u8, head: [u8; 4]) -> Extension {
    let is_fragment = protocol == extension::FRAGMENT;
    let len = if is_fragment {
        8
    } else if protocol == extension::AUTHENTICATION {
        (head[1] as u32 + 2) * 4
    } else {
        (head[1] as u32 + 1) * 8
    };
    Extension {
        next: head[0],
        len,
        is_fragment,
        is_later: is_fragment && u16::from_be_bytes([head[2], head[3]]) & 0xfff8 != 0,
    }
}

/// Whether the third word of an IPv4 header (flags and offset, network byte order)
/// is that of a fragment.
#[inline(always)]
pub const fn is_fragment(word: [u8; 2]) -> bool {
    u16::from_be_bytes(word) & 0x3fff != 0
}

/// Whether it is that of a fragment without the ports.
#[inline(always)]
pub const fn is_later_fragment(word: [u8; 2]) -> bool {
    u16::from_be_bytes(word) & 0x1fff != 0
}

impl Tuple4 {
    /// The tuple of an IPv4 header and the ports behind it.
    #[inline(always)]
    pub const fn of(ip: &[u8; 20], ports: [u8; 4]) -> Self {
        Self {
            source: [ip[12], ip[13], ip[14], ip[15]],
            destination: [ip[16], ip[17], ip[18], ip[19]],
            source_port: [ports[0], ports[1]],
            destination_port: [ports[2], ports[3]],
        }
    }

    /// That of packets the other way.
    #[inline(always)]
    pub const fn reversed(self) -> Self {
        Self {
            source: self.destination,
            destination: self.source,
            source_port: self.destination_port,
            destination_port: self.source_port,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn lengths_of_extension_headers() {
        assert_eq!(extension(0, [6, 0, 0, 0]).len, 8);
        assert_eq!(extension(60, [6, 3, 0, 0]).len, 32);
        assert_eq!(extension(51, [6, 4, 0, 0]).len, 24);
        assert_eq!(extension(44, [6, 99, 0, 1]).len, 8);
        for other in [6, 17, 58, 59] {
            assert!(!is_extension(other));
        }
    }

    #[test]
    fn fragments_of_ipv6() {
        let whole = extension(60, [6, 0, 0xff, 0xff]);
        assert!(!whole.is_fragment && !whole.is_later);
        let first = extension(44, [6, 0, 0, 1]);
        assert!(first.is_fragment && !first.is_later);
        assert!(extension(44, [6, 0, 0, 8]).is_later);
    }

    #[test]
    fn fragments_of_ipv4() {
        assert!(!is_fragment([0x40, 0]));
        assert!(!is_fragment([0, 0]));
        assert!(is_fragment([0x20, 0]) && !is_later_fragment([0x20, 0]));
        assert!(is_fragment([0, 1]) && is_later_fragment([0, 1]));
    }

    proptest! {
        #[test]
        fn a_key_is_the_bytes_of_the_packet(packet: [u8; 24]) {
            let mut ip = [0; 20];
            ip.copy_from_slice(&packet[..20]);
            let mut ports = [0; 4];
            ports.copy_from_slice(&packet[20..]);
            let key = Tuple4::of(&ip, ports);
            prop_assert_eq!(&key.source[..], &packet[12..16]);
            prop_assert_eq!(&key.destination[..], &packet[16..20]);
            prop_assert_eq!(&key.source_port[..], &packet[20..22]);
            prop_assert_eq!(&key.destination_port[..], &packet[22..24]);
            prop_assert_eq!(key.reversed().reversed(), key);
            prop_assert_eq!(key.reversed().source, key.destination);
            prop_assert_eq!(key.reversed().source_port, key.destination_port);
        }
    }
}
