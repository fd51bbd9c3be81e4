//! The PROXY protocol header: tells a broker who the client is.
//!
//! Specification: `proxy-protocol.txt` of HAProxy, sections 2.1 (text, v1) and
//! 2.2 (binary, v2).

use std::net::{IpAddr, SocketAddr};

use ppp::{v1, v2};

use crate::config::ProxyProtocol;

/// The header for a connection from `src` to `dst`; empty when the pool sends none.
///
/// A v4 client of a dual-stack listener (`::ffff:192.0.2.1`) is announced as v4.
/// Both versions have room for one address family only: when the two differ, the
/// v4 one is written as a v4-mapped v6 address. The binary header has 28 bytes
/// (v4) or 52 bytes (v6), the text one at most 107.
pub fn header(version: ProxyProtocol, src: SocketAddr, dst: SocketAddr) -> Vec<u8> {
    let pair = one_family(src, dst);
    match version {
        ProxyProtocol::Off => Vec::new(),
        ProxyProtocol::V1 => v1::Addresses::from(pair).to_string().into_bytes(),
        ProxyProtocol::V2 => v2::Builder::with_addresses(
            v2::Version::Two | v2::Command::Proxy,
            v2::Protocol::Stream,
            pair,
        )
        .build()
        .expect("two addresses fit a header"),
    }
}

fn one_family(src: SocketAddr, dst: SocketAddr) -> (SocketAddr, SocketAddr) {
    let (src_ip, dst_ip) = (src.ip().to_canonical(), dst.ip().to_canonical());
    let (src_ip, dst_ip) = match (src_ip, dst_ip) {
        (IpAddr::V4(src), IpAddr::V6(dst)) => (src.to_ipv6_mapped().into(), dst.into()),
        (IpAddr::V6(src), IpAddr::V4(dst)) => (src.into(), dst.to_ipv6_mapped().into()),
        same => same,
    };
    (
        SocketAddr::new(src_ip, src.port()),
        SocketAddr::new(dst_ip, dst.port()),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIGNATURE: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";

    fn addr(text: &str) -> SocketAddr {
        text.parse().unwrap()
    }

    fn v2(src: &str, dst: &str) -> Vec<u8> {
        header(ProxyProtocol::V2, addr(src), addr(dst))
    }

    fn v1(src: &str, dst: &str) -> String {
        String::from_utf8(header(ProxyProtocol::V1, addr(src), addr(dst))).unwrap()
    }

    #[test]
    fn binary_v4() {
        let expected = [
            SIGNATURE,
            &[0x21, 0x11, 0, 12],
            &[192, 0, 2, 1, 198, 51, 100, 7],
            &[0xc0, 0x01, 0x07, 0x5b],
        ]
        .concat();
        assert_eq!(v2("192.0.2.1:49153", "198.51.100.7:1883"), expected);
        assert_eq!(expected.len(), 28);
    }

    #[test]
    fn binary_v6() {
        let mut expected = [SIGNATURE, &[0x21, 0x21, 0, 36]].concat();
        expected.extend([0x20, 0x01, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]);
        expected.extend([0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2]);
        expected.extend([0xff, 0xff, 0x22, 0xb3]);
        assert_eq!(v2("[2001:db8::1]:65535", "[fd00::2]:8883"), expected);
        assert_eq!(expected.len(), 52);
    }

    #[test]
    fn binary_mixed_families_become_v6() {
        let mut expected = [SIGNATURE, &[0x21, 0x21, 0, 36]].concat();
        expected.extend([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 192, 0, 2, 1]);
        expected.extend([0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2]);
        expected.extend([0, 1, 0, 2]);
        assert_eq!(v2("192.0.2.1:1", "[fd00::2]:2"), expected);

        let (head, addresses) = expected.split_at(16);
        let swapped = [head, &addresses[16..32], &addresses[..16], &[0, 2, 0, 1]].concat();
        assert_eq!(v2("[fd00::2]:2", "192.0.2.1:1"), swapped);
    }

    #[test]
    fn mapped_addresses_are_v4() {
        assert_eq!(
            v2("[::ffff:192.0.2.1]:1", "[::ffff:198.51.100.7]:2"),
            v2("192.0.2.1:1", "198.51.100.7:2")
        );
        assert_eq!(
            v1("[::ffff:192.0.2.1]:1", "198.51.100.7:2"),
            "PROXY TCP4 192.0.2.1 198.51.100.7 1 2\r\n"
        );
    }

    #[test]
    fn text_v4_and_v6() {
        assert_eq!(
            v1("192.0.2.1:49153", "198.51.100.7:1883"),
            "PROXY TCP4 192.0.2.1 198.51.100.7 49153 1883\r\n"
        );
        assert_eq!(
            v1("[2001:db8::1]:49153", "[fd00::2]:1883"),
            "PROXY TCP6 2001:db8::1 fd00::2 49153 1883\r\n"
        );
        assert_eq!(
            v1("192.0.2.1:49153", "[fd00::2]:1883"),
            "PROXY TCP6 ::ffff:192.0.2.1 fd00::2 49153 1883\r\n"
        );
    }

    #[test]
    fn text_never_exceeds_what_the_specification_allows() {
        let widest = "[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:65535";
        assert_eq!(v1(widest, widest).len(), 104);
    }

    #[test]
    fn off_is_empty() {
        let any = addr("192.0.2.1:1");
        assert!(header(ProxyProtocol::Off, any, any).is_empty());
    }
}
