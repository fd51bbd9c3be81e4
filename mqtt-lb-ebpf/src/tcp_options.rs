//! TCP options (RFC 9293, 3.2), one at a time: what a connection's options say, and
//! their translation to the other connection.
//!
//! One step a call, because the verifier accepts a walk only as a `bpf_loop`. Every
//! index is masked: it cannot follow why they are in bounds.

/// Bytes of the buffer options are copied to: those of the longest header (40), up
/// to a power of two.
pub const AREA: usize = 64;
/// Bytes of options in the longest header.
pub const MAX: u32 = 40;

/// Kinds (IANA TCP parameters).
mod kind {
    pub const END: u8 = 0;
    pub const NOP: u8 = 1;
    pub const MSS: u8 = 2;
    pub const SACK_PERMITTED: u8 = 4;
    pub const SACK: u8 = 5;
    pub const TIMESTAMPS: u8 = 8;
}

/// Length of the timestamps option (RFC 7323, 3.2).
const TIMESTAMPS: u32 = 10;
/// Length of the MSS option.
const MSS: u32 = 4;
/// Blocks that fit a SACK option (RFC 2018, 3).
const BLOCKS: u32 = 4;

/// The first word of the only options that established connections with timestamps
/// carry as a rule: NOP, NOP, timestamps of 10 bytes (RFC 7323, appendix A).
pub const USUAL: [u8; 4] = [kind::NOP, kind::NOP, kind::TIMESTAMPS, TIMESTAMPS as u8];

/// What to change.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Shift {
    /// Added to TSval.
    pub tsval: u32,
    /// Taken from TSecr.
    pub tsecr: u32,
    /// Taken from both edges of SACK blocks.
    pub sack: u32,
}

/// What the options said, before any change.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Found {
    /// TSval, if [`Self::has_timestamps`].
    pub tsval: u32,
    /// Maximum segment size, bytes; 0 without the option.
    pub mss: u16,
    /// Whether there was a timestamps option.
    pub has_timestamps: bool,
}

/// Translates the option at `at` of the `end` bytes in `area` and returns where the
/// next one begins; `end` behind the last, or where they make no sense.
#[inline(always)]
pub fn translate(
    area: &mut [u8; AREA],
    at: u32,
    end: u32,
    shift: &Shift,
    found: &mut Found,
) -> u32 {
    let (kind, len) = match option(area, at, end) {
        Some(option) => option,
        None => return end,
    };
    if kind == kind::TIMESTAMPS && len == TIMESTAMPS {
        found.tsval = get(area, at + 2);
        found.has_timestamps = true;
        put(area, at + 2, found.tsval.wrapping_add(shift.tsval));
        let tsecr = get(area, at + 6);
        put(area, at + 6, tsecr.wrapping_sub(shift.tsecr));
    } else if kind == kind::SACK {
        let mut block = 0;
        while block < BLOCKS {
            let edge = at + 2 + 8 * block;
            if edge + 8 > at + len {
                break;
            }
            let left = get(area, edge);
            put(area, edge, left.wrapping_sub(shift.sack));
            let right = get(area, edge + 4);
            put(area, edge + 4, right.wrapping_sub(shift.sack));
            block += 1;
        }
    } else if kind == kind::MSS && len == MSS {
        found.mss = u16::from_be_bytes([byte(area, at + 2), byte(area, at + 3)]);
    }
    at + len
}

/// Overwrites the option at `at` by NOPs if it is one of those not wanted; returns
/// as [`translate`] does.
#[inline(always)]
pub fn erase(area: &mut [u8; AREA], at: u32, end: u32, timestamps: bool, sack: bool) -> u32 {
    let (kind, len) = match option(area, at, end) {
        Some(option) => option,
        None => return end,
    };
    if (timestamps && kind == kind::TIMESTAMPS) || (sack && kind == kind::SACK_PERMITTED) {
        let mut done = 0;
        while done < TIMESTAMPS {
            if done < len {
                area[(at + done) as usize % AREA] = kind::NOP;
            }
            done += 1;
        }
    }
    at + len
}

/// Kind and length of the option at `at`.
#[inline(always)]
fn option(area: &[u8; AREA], at: u32, end: u32) -> Option<(u8, u32)> {
    if at >= end {
        return None;
    }
    let kind = byte(area, at);
    if kind == kind::END {
        return None;
    }
    if kind == kind::NOP {
        return Some((kind, 1));
    }
    if at + 1 >= end {
        return None;
    }
    let len = byte(area, at + 1) as u32;
    if len < 2 || at + len > end {
        return None;
    }
    Some((kind, len))
}

#[inline(always)]
fn byte(area: &[u8; AREA], at: u32) -> u8 {
    area[at as usize % AREA]
}

#[inline(always)]
fn get(area: &[u8; AREA], at: u32) -> u32 {
    u32::from_be_bytes([
        byte(area, at),
        byte(area, at + 1),
        byte(area, at + 2),
        byte(area, at + 3),
    ])
}

#[inline(always)]
fn put(area: &mut [u8; AREA], at: u32, value: u32) {
    let bytes = value.to_be_bytes();
    area[at as usize % AREA] = bytes[0];
    area[(at + 1) as usize % AREA] = bytes[1];
    area[(at + 2) as usize % AREA] = bytes[2];
    area[(at + 3) as usize % AREA] = bytes[3];
}

#[cfg(test)]
mod tests;
