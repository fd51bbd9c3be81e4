//! The beginning of a packet that an ICMP error quotes, told to the packet's sender.
//!
//! The quoted packet is one that the programs have sent; who sent it first knows it
//! by other addresses, ports and numbers. Only what RFC 792 promises to be there is
//! translated: the IP header and eight bytes of TCP, up to the sequence number.

use crate::checksum::{Difference, difference, update};

/// Bytes of TCP that are translated.
pub const TCP: usize = 8;

/// What the packet was when its sender sent it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Original {
    /// The sender's port, network byte order.
    pub source_port: [u8; 2],
    /// The port it sent to, network byte order.
    pub destination_port: [u8; 2],
    /// What was added to the sequence number on the way.
    pub seq_delta: u32,
}

impl Original {
    /// The quoted bytes of TCP as the sender sent them.
    #[inline(always)]
    pub const fn tcp(&self, quoted: [u8; TCP]) -> [u8; TCP] {
        let seq = u32::from_be_bytes([quoted[4], quoted[5], quoted[6], quoted[7]]);
        let seq = seq.wrapping_sub(self.seq_delta).to_be_bytes();
        let (from, to) = (self.source_port, self.destination_port);
        [
            from[0], from[1], to[0], to[1], seq[0], seq[1], seq[2], seq[3],
        ]
    }
}

/// Checksum of a quoted IPv4 header whose addresses change by `addresses`.
#[inline(always)]
pub const fn header_check(quoted: u16, addresses: u16) -> u16 {
    update(quoted, addresses)
}

/// What the ICMP checksum changes by when the quoted TCP does. `addresses` is the
/// difference of IPv6's; IPv4's are made up for by their header's own checksum.
#[inline(always)]
pub const fn quoted(addresses: u16, old: &[u8; TCP], new: &[u8; TCP]) -> Difference {
    Difference::none()
        .plus(addresses)
        .plus(difference(old, new))
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

    /// A checksum field updated natively, in network byte order.
    fn updated(check: u16, difference: u16) -> u16 {
        let native = u16::from_ne_bytes(check.to_be_bytes());
        u16::from_be_bytes(update(native, difference).to_ne_bytes())
    }

    fn original(ports: [u8; 4], seq_delta: u32) -> Original {
        Original {
            source_port: [ports[0], ports[1]],
            destination_port: [ports[2], ports[3]],
            seq_delta,
        }
    }

    proptest! {
        #[test]
        fn the_sender_sees_its_own_numbers(seq: u32, seq_delta: u32, ports: [u8; 4]) {
            let sent = seq.wrapping_add(seq_delta).to_be_bytes();
            let quoted = [9, 9, 9, 9, sent[0], sent[1], sent[2], sent[3]];
            let restored = original(ports, seq_delta).tcp(quoted);
            prop_assert_eq!(&restored[..4], &ports[..]);
            prop_assert_eq!(&restored[4..], &seq.to_be_bytes()[..]);
        }

        #[test]
        fn ipv4_stays_right(
            mut quote: [u8; 28], addresses: [u8; 8], ports: [u8; 4], seq_delta: u32,
        ) {
            quote[10..12].fill(0);
            let check = checksum(&quote[..20]);
            quote[10..12].copy_from_slice(&check.to_be_bytes());
            let icmp = checksum(&quote);

            let old: [u8; TCP] = quote[20..].try_into().expect("eight bytes");
            let new = original(ports, seq_delta).tcp(old);
            let check = u16::from_ne_bytes(quote[10..12].try_into().expect("two bytes"));
            let check = header_check(check, difference(&quote[12..20], &addresses));
            quote[10..12].copy_from_slice(&check.to_ne_bytes());
            quote[12..20].copy_from_slice(&addresses);
            quote[20..].copy_from_slice(&new);

            prop_assert!(is_same(checksum(&quote[..20]), 0));
            let icmp = updated(icmp, super::quoted(0, &old, &new).fold());
            prop_assert!(is_same(icmp, checksum(&quote)));
        }

        #[test]
        fn ipv6_stays_right(
            before: [[u8; 16]; 2], after: [[u8; 16]; 2], old: [u8; TCP], ports: [u8; 4],
            seq_delta: u32,
        ) {
            let new = original(ports, seq_delta).tcp(old);
            let icmp = checksum(&[&before.concat()[..], &old].concat());
            let changed = difference(&before.concat(), &after.concat());
            let icmp = updated(icmp, super::quoted(changed, &old, &new).fold());
            prop_assert!(is_same(icmp, checksum(&[&after.concat()[..], &new].concat())));
        }
    }
}
