//! Reading a PROXY protocol header as a broker does (haproxy proxy-protocol.txt).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

const SIGNATURE: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";

/// Length of the header in front of `bytes` and the source address in it;
/// `(0, None)` when there is no header, `None` while one is incomplete.
pub fn parse(bytes: &[u8]) -> Option<(usize, Option<SocketAddr>)> {
    match bytes.first()? {
        b'\r' => v2(bytes),
        b'P' => v1(bytes),
        _ => Some((0, None)),
    }
}

fn v2(bytes: &[u8]) -> Option<(usize, Option<SocketAddr>)> {
    let head = bytes.get(..16)?;
    assert_eq!(&head[..12], SIGNATURE, "not a PROXY v2 header");
    let len = 16 + usize::from(u16::from_be_bytes([head[14], head[15]]));
    let body = bytes.get(16..len)?;
    let port = |at: usize| Some(u16::from_be_bytes([*body.get(at)?, *body.get(at + 1)?]));
    let source = match head[13] >> 4 {
        1 => {
            let ip: [u8; 4] = body.get(..4)?.try_into().ok()?;
            Some(SocketAddr::new(IpAddr::V4(Ipv4Addr::from(ip)), port(8)?))
        }
        2 => {
            let ip: [u8; 16] = body.get(..16)?.try_into().ok()?;
            Some(SocketAddr::new(IpAddr::V6(Ipv6Addr::from(ip)), port(32)?))
        }
        _ => None,
    };
    Some((len, source))
}

fn v1(bytes: &[u8]) -> Option<(usize, Option<SocketAddr>)> {
    let end = bytes.windows(2).position(|w| w == b"\r\n")?;
    let line = std::str::from_utf8(&bytes[..end]).expect("PROXY v1 is ASCII");
    let words: Vec<&str> = line.split(' ').collect();
    let source = match words.as_slice() {
        ["PROXY", "TCP4" | "TCP6", source, _, port, _] => Some(SocketAddr::new(
            source.parse().expect("address"),
            port.parse().expect("port"),
        )),
        _ => None,
    };
    Some((end + 2, source))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_are_read_whole() {
        let mut v2 = SIGNATURE.to_vec();
        v2.extend([
            0x21, 0x11, 0, 12, 10, 0, 0, 9, 10, 0, 0, 1, 0x30, 0x39, 7, 0x5b, 0x10,
        ]);
        let client = "10.0.0.9:12345".parse().ok();
        assert_eq!(parse(&v2), Some((28, client)));
        assert_eq!(parse(&v2[..20]), None);
        let v1 = b"PROXY TCP4 10.0.0.9 10.0.0.1 12345 1883\r\n\x10";
        assert_eq!(parse(v1), Some((v1.len() - 1, client)));
        assert_eq!(parse(&[0x10, 0]), Some((0, None)));
    }
}
