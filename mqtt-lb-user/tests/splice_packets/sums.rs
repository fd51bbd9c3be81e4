//! Checksums, summed in full. Arithmetic modulo 65535 on big-endian words, where
//! the programs use one's complement updates in native order.

use crate::layers::Layers;

/// Sum of big-endian words, an odd last byte followed by a zero.
pub fn words(bytes: &[u8]) -> u64 {
    let pairs = bytes.chunks_exact(2);
    let last = pairs.remainder().first().map_or(0, |b| u64::from(*b) << 8);
    pairs.fold(last, |sum, pair| {
        sum + u64::from(u16::from_be_bytes([pair[0], pair[1]]))
    })
}

/// The checksum field that makes `sum` right (RFC 1071).
pub fn field(sum: u64) -> [u8; 2] {
    // A sum that is a multiple of 65535, as of a message, is one's complement
    // minus zero and never plus zero, but for all zeros.
    let folded = match sum % 0xffff {
        0 if sum != 0 => 0xffff,
        rest => rest as u16,
    };
    (!folded).to_be_bytes()
}

/// Sum of the pseudo header in front of the last protocol's `length` bytes.
pub fn pseudo(frame: &[u8], layers: &Layers) -> u64 {
    let length = layers.end.saturating_sub(layers.inner);
    words(&frame[layers.addresses.clone()]) + u64::from(layers.protocol) + length as u64
}

/// How far the checksum over the last protocol is from right, modulo 65535: 0 is right.
pub fn error(frame: &[u8], layers: &Layers) -> u64 {
    let pseudo = match layers.protocol {
        crate::layers::ICMP => 0,
        _ => pseudo(frame, layers),
    };
    (pseudo + words(&frame[layers.inner..layers.end])) % 0xffff
}

/// The same of an IPv4 header; 0 for IPv6, which has no checksum.
pub fn header_error(frame: &[u8], layers: &Layers) -> u64 {
    match layers.family {
        4 => words(&frame[layers.ip..layers.ip + layers.header]) % 0xffff,
        _ => 0,
    }
}

/// Whether a TCP checksum field holds no more than the folded pseudo header sum, as
/// a local sender leaves it to a device that sums.
pub fn is_partial(frame: &[u8], layers: &Layers) -> bool {
    let field = &frame[layers.inner + 16..layers.inner + 18];
    field == partial(frame, layers)
}

/// The folded pseudo header sum.
pub fn partial(frame: &[u8], layers: &Layers) -> [u8; 2] {
    let [a, b] = field(pseudo(frame, layers));
    [!a, !b]
}

/// A field whose value modulo 65535 is that of `sum`.
pub fn residue(sum: u64) -> [u8; 2] {
    ((sum % 0xffff) as u16).to_be_bytes()
}

/// Both zeros of one's complement are the same number: the field as 0 if it is one.
pub fn same_zero(field: &mut [u8]) {
    if field == [0xff, 0xff] {
        field.fill(0);
    }
}

#[test]
fn the_sum_of_rfc_1071() {
    let bytes = [0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7];
    assert_eq!(words(&bytes), 0x2_ddf0);
    assert_eq!(field(words(&bytes)), [0x22, 0x0d]);
    assert_eq!(words(&bytes[..7]), 0x2_ddf0 - 0xf7);
}
