//! TCP options (RFC 9293, 3.2), one at a time: what a connection's options say, and
//! their translation to the other connection.
//!
//! One step a call, because the verifier accepts a walk only as a `bpf_loop`. It does
//! not follow why an option is in bounds either: where one begins is masked, and the
//! buffer is longer by an option.

use core::hint::black_box;

/// Bytes of options in the longest header.
pub const MAX: u32 = 40;
/// Options begin in front of this, a power of two.
const STARTS: usize = 64;
/// Bytes of the buffer options are copied to.
pub const AREA: usize = STARTS + MAX as usize;

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
const BLOCKS: usize = 4;

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
    let start = start(at);
    let (kind, len) = match option(area, start, end) {
        Some(option) => option,
        None => return end,
    };
    if kind == kind::TIMESTAMPS && len == TIMESTAMPS {
        found.tsval = get(area, start + 2);
        found.has_timestamps = true;
        put(area, start + 2, found.tsval.wrapping_add(shift.tsval));
        let tsecr = get(area, start + 6);
        put(area, start + 6, tsecr.wrapping_sub(shift.tsecr));
    } else if kind == kind::SACK {
        let mut block = 0;
        while block < BLOCKS {
            let at = 2 + 8 * block;
            if at + 8 > len as usize {
                break;
            }
            let left = get(area, start + at);
            put(area, start + at, left.wrapping_sub(shift.sack));
            let right = get(area, start + at + 4);
            put(area, start + at + 4, right.wrapping_sub(shift.sack));
            block += 1;
        }
    } else if kind == kind::MSS && len == MSS {
        found.mss = u16::from_be_bytes([area[start + 2], area[start + 3]]);
    }
    start as u32 + len
}

/// What of a SYN's options is not wanted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Unwanted {
    /// Timestamps.
    pub timestamps: bool,
    /// SACK-permitted.
    pub sack: bool,
}

/// Overwrites the option at `at` by NOPs if it is `unwanted`, and says so in
/// `has_changed`; returns as [`translate`] does.
#[inline(always)]
pub fn erase(
    area: &mut [u8; AREA],
    at: u32,
    end: u32,
    unwanted: Unwanted,
    has_changed: &mut bool,
) -> u32 {
    let start = start(at);
    let (kind, len) = match option(area, start, end) {
        Some(option) => option,
        None => return end,
    };
    if (unwanted.timestamps && kind == kind::TIMESTAMPS)
        || (unwanted.sack && kind == kind::SACK_PERMITTED)
    {
        *has_changed = true;
        let mut done = 0;
        while done < TIMESTAMPS {
            if done < len {
                area[start + done as usize] = kind::NOP;
            }
            done += 1;
        }
    }
    start as u32 + len
}

/// Where the option at `at` begins. Not even the compiler may know that it is in
/// bounds, or it leaves the mask out.
#[inline(always)]
fn start(at: u32) -> usize {
    black_box(at) as usize % STARTS
}

/// Kind and length of the option that begins at `start`.
#[inline(always)]
fn option(area: &[u8; AREA], start: usize, end: u32) -> Option<(u8, u32)> {
    let left = end.wrapping_sub(start as u32);
    if start as u32 >= end {
        return None;
    }
    let kind = area[start];
    if kind == kind::END {
        return None;
    }
    if kind == kind::NOP {
        return Some((kind, 1));
    }
    let len = area[start + 1] as u32;
    if left < 2 || len < 2 || len > left {
        return None;
    }
    Some((kind, len))
}

#[inline(always)]
fn get(area: &[u8; AREA], at: usize) -> u32 {
    u32::from_be_bytes([area[at], area[at + 1], area[at + 2], area[at + 3]])
}

#[inline(always)]
fn put(area: &mut [u8; AREA], at: usize, value: u32) {
    let bytes = value.to_be_bytes();
    area[at] = bytes[0];
    area[at + 1] = bytes[1];
    area[at + 2] = bytes[2];
    area[at + 3] = bytes[3];
}

#[cfg(test)]
mod tests;
