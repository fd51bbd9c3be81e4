//! A stick table as bytes, to survive the process: the format, without any file.
//!
//! Little-endian. A head, then blocks:
//!
//! | part | bytes |
//! |---|---|
//! | head | `MQTTLBST`, version u32, [`Stamp`] (boot 16 bytes, uptime u64, wall u64), the table's clock u64, checksum u32 |
//! | block | kind u8, length u32, the payload, checksum u32 |
//! | kind 1, a backend | its name; numbered from 0 in the order of the file |
//! | kind 2, entries | backend u16, home u16, last match u64 (of the table's clock), length u16, key; again and again |
//! | kind 3, the end | number of entries u64; nothing may follow |
//!
//! A checksum is the CRC-32 of everything in front of it but checksums, so that a
//! block that is cut, changed, doubled or left out shows. Backends have their names,
//! as their numbers are another process's.

mod age;
mod damage;
mod head;
mod newest;
mod read;
mod write;

pub use age::{Passed, Stamp};
pub use damage::Damage;
pub use read::{Revived, Snapshot, read};
pub use write::Writer;

use super::Room;

/// Begins every snapshot.
const MAGIC: [u8; 8] = *b"MQTTLBST";

/// The version that is written, and the only one that is read.
const VERSION: u32 = 1;

/// Bytes of a block's kind and length.
const BLOCK_HEAD: usize = 5;

/// Bytes of a checksum.
const SUM: usize = 4;

/// Bytes of an entry without its key.
const ENTRY_HEAD: usize = 14;

/// Bytes of a payload at most: what a page holds, the longest key on top of it,
/// and the heads of the entries.
const MAX_PAYLOAD: usize = 256 << 10;

/// The kinds of block.
mod kind {
    pub const BACKEND: u8 = 1;
    pub const ENTRIES: u8 = 2;
    pub const END: u8 = 3;
}

/// Bytes that the snapshot of a table may take; one that grows beyond it was written
/// from a table that changed faster than it could be read.
#[must_use]
pub fn most_bytes(room: Room) -> u64 {
    let entries = (room.entries as u64).saturating_mul(ENTRY_HEAD as u64 + 1);
    // Twice, as long keys may come where the writer has not been yet; and room for
    // the heads of the blocks and the names of backends.
    entries
        .saturating_add(room.key_bytes as u64)
        .saturating_mul(2)
        .saturating_add(32 << 20)
}
