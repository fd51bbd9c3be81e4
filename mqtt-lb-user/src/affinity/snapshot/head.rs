//! The head of a snapshot.

use super::{Damage, MAGIC, SUM, Stamp, VERSION};

/// Bytes of a head, with its checksum.
pub(super) const HEAD: usize = 8 + 4 + 16 + 8 + 8 + 8 + SUM;

/// The head as bytes, without its checksum.
pub(super) fn encode(stamp: &Stamp, clock: u64) -> Vec<u8> {
    let mut head = Vec::with_capacity(HEAD);
    head.extend(MAGIC);
    head.extend(VERSION.to_le_bytes());
    head.extend(stamp.boot);
    for number in [stamp.uptime, stamp.wall, clock] {
        head.extend(number.to_le_bytes());
    }
    head
}

/// The stamp and the table's clock out of a head.
pub(super) fn decode(head: &[u8; HEAD]) -> Result<(Stamp, u64), Damage> {
    if head[..8] != MAGIC {
        return Err(Damage::Foreign);
    }
    let version = u32::from_le_bytes(field(head, 8));
    if version != VERSION {
        return Err(Damage::Version(version));
    }
    let stamp = Stamp {
        boot: field(head, 12),
        uptime: u64::from_le_bytes(field(head, 28)),
        wall: u64::from_le_bytes(field(head, 36)),
    };
    Ok((stamp, u64::from_le_bytes(field(head, 44))))
}

/// `N` bytes from `at` on.
fn field<const N: usize>(head: &[u8; HEAD], at: usize) -> [u8; N] {
    std::array::from_fn(|i| head[at + i])
}
