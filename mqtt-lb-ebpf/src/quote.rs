//! The beginning of a packet that an ICMP error quotes, told to the packet's sender.
//!
//! The quoted packet is one that the programs have sent; who sent it first knows it
//! by other addresses, ports and numbers. Only what RFC 792 promises to be there is
//! translated: the IP header and eight bytes of TCP, up to the sequence number.

use crate::checksum::{difference, sum, update};

/// Bytes of TCP that are translated.
pub const TCP: usize = 8;
/// Bytes of a quote of IPv4 without options.
pub const LEN4: usize = 20 + TCP;
/// Bytes of a quote of IPv6 without extension headers.
pub const LEN6: usize = 40 + TCP;

/// What the packet was when its sender sent it; network byte order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Original<A> {
    /// The sender.
    pub source: A,
    /// Whom it sent to.
    pub destination: A,
    /// The sender's port.
    pub source_port: [u8; 2],
    /// The port it sent to.
    pub destination_port: [u8; 2],
    /// What was added to the sequence number on the way.
    pub seq_delta: u32,
}

/// Translates a quote of IPv4 back. Returns its difference for the ICMP checksum.
#[inline(always)]
pub fn restore4(quote: &mut [u8; LEN4], original: &Original<[u8; 4]>) -> u16 {
    let old = *quote;
    let mut addresses = [0; 8];
    addresses[..4].copy_from_slice(&original.source);
    addresses[4..].copy_from_slice(&original.destination);
    let changed = difference(
        &[
            old[12], old[13], old[14], old[15], old[16], old[17], old[18], old[19],
        ],
        &addresses,
    );
    let check = update(u16::from_ne_bytes([old[10], old[11]]), changed);
    quote[10..12].copy_from_slice(&check.to_ne_bytes());
    quote[12..20].copy_from_slice(&addresses);
    let tcp = tcp(
        [
            old[20], old[21], old[22], old[23], old[24], old[25], old[26], old[27],
        ],
        original,
    );
    quote[20..].copy_from_slice(&tcp);
    crate::checksum::fold(sum(quote) as u32 + !sum(&old) as u32)
}

/// Translates a quote of IPv6 back. Returns its difference for the ICMP checksum.
#[inline(always)]
pub fn restore6(quote: &mut [u8; LEN6], original: &Original<[u8; 16]>) -> u16 {
    let old = sum(quote);
    quote[8..24].copy_from_slice(&original.source);
    quote[24..40].copy_from_slice(&original.destination);
    let tcp = tcp(
        [
            quote[40], quote[41], quote[42], quote[43], quote[44], quote[45], quote[46], quote[47],
        ],
        original,
    );
    quote[40..].copy_from_slice(&tcp);
    crate::checksum::fold(sum(quote) as u32 + !old as u32)
}

/// The first bytes of the TCP header as the sender sent them.
#[inline(always)]
fn tcp<A>(old: [u8; TCP], original: &Original<A>) -> [u8; TCP] {
    let seq = u32::from_be_bytes([old[4], old[5], old[6], old[7]]);
    let seq = seq.wrapping_sub(original.seq_delta).to_be_bytes();
    let (from, to) = (original.source_port, original.destination_port);
    [
        from[0], from[1], to[0], to[1], seq[0], seq[1], seq[2], seq[3],
    ]
}

#[cfg(test)]
mod tests {
    extern crate std;

    use super::*;
    use proptest::prelude::*;

    /// RFC 1071 by the book, in network byte order.
    fn checksum(bytes: &[u8]) -> u16 {
        let mut sum = 0u64;
        for pair in bytes.chunks(2) {
            sum += u64::from(pair[0]) << 8 | u64::from(*pair.get(1).unwrap_or(&0));
        }
        while sum > 0xffff {
            sum = (sum & 0xffff) + (sum >> 16);
        }
        !(sum as u16)
    }

    /// Zero has two forms in one's complement; a receiver takes both.
    fn is_same(a: u16, b: u16) -> bool {
        a == b || (a == 0 && b == 0xffff) || (a == 0xffff && b == 0)
    }

    proptest! {
        #[test]
        fn ipv4(mut quote: [u8; LEN4], source: [u8; 4], destination: [u8; 4],
            source_port: [u8; 2], destination_port: [u8; 2], seq_delta: u32) {
            quote[10..12].fill(0);
            let check = checksum(&quote[..20]);
            quote[10..12].copy_from_slice(&check.to_be_bytes());
            let before = quote;
            let original = Original { source, destination, source_port, destination_port, seq_delta };
            let difference = restore4(&mut quote, &original);
            prop_assert_eq!(&quote[..10], &before[..10]);
            prop_assert_eq!(&quote[12..16], &source[..]);
            prop_assert_eq!(&quote[16..20], &destination[..]);
            prop_assert_eq!(&quote[20..22], &source_port[..]);
            prop_assert_eq!(&quote[22..24], &destination_port[..]);
            let seq = |quote: &[u8; LEN4]| {
                u32::from_be_bytes([quote[24], quote[25], quote[26], quote[27]])
            };
            prop_assert_eq!(seq(&quote).wrapping_add(seq_delta), seq(&before));
            prop_assert!(is_same(checksum(&quote[..20]), 0));
            let icmp = u16::from_ne_bytes(checksum(&before).to_be_bytes());
            let updated = u16::from_be_bytes(update(icmp, difference).to_ne_bytes());
            prop_assert!(is_same(updated, checksum(&quote)));
        }

        #[test]
        fn ipv6(head: [u8; 16], middle: [u8; 16], tail: [u8; 16], source: [u8; 16],
            destination: [u8; 16], ports: [u8; 4], seq_delta: u32) {
            let mut quote = [0; LEN6];
            quote[..16].copy_from_slice(&head);
            quote[16..32].copy_from_slice(&middle);
            quote[32..].copy_from_slice(&tail);
            let before = quote;
            let original = Original {
                source,
                destination,
                source_port: [ports[0], ports[1]],
                destination_port: [ports[2], ports[3]],
                seq_delta,
            };
            let difference = restore6(&mut quote, &original);
            prop_assert_eq!(&quote[..8], &before[..8]);
            prop_assert_eq!(&quote[8..24], &source[..]);
            prop_assert_eq!(&quote[24..40], &destination[..]);
            prop_assert_eq!(&quote[40..44], &ports[..]);
            let seq = |quote: &[u8; LEN6]| {
                u32::from_be_bytes([quote[44], quote[45], quote[46], quote[47]])
            };
            prop_assert_eq!(seq(&quote).wrapping_add(seq_delta), seq(&before));
            let icmp = u16::from_ne_bytes(checksum(&before).to_be_bytes());
            let updated = u16::from_be_bytes(update(icmp, difference).to_ne_bytes());
            prop_assert!(is_same(updated, checksum(&quote)));
        }
    }
}
