//! Whether a segment's checksum is right. Looked at only where something depends on it.

use core::ffi::c_void;
use core::ptr::{addr_of_mut, null_mut};

use aya_ebpf::helpers::{bpf_csum_diff, bpf_loop};
use mqtt_lb_ebpf::checksum::{fold, fold_long};
use mqtt_lb_ebpf::tcp::{CHECKSUM, PROTOCOL, Segment};

use super::hook::Hook;
use super::packet::{IP, bounded, linear, read, tcp_at, write};

/// Bytes summed at a time.
const CHUNK: u32 = 128;

/// Whether to believe the segment: the kernel vouches for it, a local sender has
/// left the checksum to the hardware, or the sum is right.
#[inline(always)]
pub fn verify<H: Hook, const V6: bool>(hook: H, packet: *const u8, segment: &Segment) -> bool {
    if hook.is_trusted() || is_begun::<V6>(packet, segment) {
        return true;
    }
    let len = segment.header + segment.payload;
    let seed = pseudo::<V6>(packet, len);
    len <= H::SUM_MAX && sum(hook, tcp_at(V6), len, seed) == 0xffff
}

/// Whether the checksum field holds the pseudo header's sum only (CHECKSUM_PARTIAL).
/// One right checksum in 65536 looks the same, which harms nobody.
#[inline(always)]
pub fn is_begun<const V6: bool>(packet: *const u8, segment: &Segment) -> bool {
    // SAFETY: the headers were seen to be there.
    let check = unsafe { read::<u16>(packet, tcp_at(V6) + CHECKSUM) };
    check == pseudo::<V6>(packet, segment.header + segment.payload)
}

/// Puts the checksum of the whole segment in; false if it cannot be read.
#[inline(always)]
pub fn complete<H: Hook, const V6: bool>(hook: H, segment: &Segment) -> bool {
    let at = tcp_at(V6);
    let Some(packet) = linear(hook, at + CHECKSUM + 2) else {
        return false;
    };
    let len = segment.header + segment.payload;
    // SAFETY: the bytes are there.
    unsafe { write(packet, at + CHECKSUM, 0u16) };
    let sum = sum(hook, at, len, pseudo::<V6>(packet, len));
    if sum > 0xffff {
        return false;
    }
    let Some(packet) = linear(hook, at + CHECKSUM + 2) else {
        return false;
    };
    // SAFETY: as above.
    unsafe { write(packet, at + CHECKSUM, !(sum as u16)) };
    true
}

/// Sum of the pseudo header (RFC 9293, 3.1; RFC 8200, 8.1) of a segment of `len` bytes.
#[inline(always)]
fn pseudo<const V6: bool>(packet: *const u8, len: u32) -> u16 {
    let (at, words) = if V6 { (IP + 8, 8) } else { (IP + 12, 2) };
    let mut sum = u64::from(u32::from(PROTOCOL).to_be()) + u64::from(len.to_be());
    for word in 0..words {
        // SAFETY: the headers were seen to be there.
        sum += u64::from(unsafe { read::<u32>(packet, at + 4 * word) });
    }
    fold_long(sum)
}

/// How far a sum has come.
struct Sum<H> {
    hook: H,
    at: u32,
    left: u32,
    sum: u32,
}

/// Sum of `len` bytes at `at`, added to `seed`; more than 16 bits when they cannot
/// be read. A function of its own, because it is needed in many places.
#[inline(never)]
fn sum<H: Hook>(hook: H, at: u32, len: u32, seed: u16) -> u32 {
    let mut state = Sum {
        hook,
        at,
        left: len,
        sum: seed.into(),
    };
    let chunks = len.div_ceil(CHUNK);
    let step: unsafe extern "C" fn(u32, *mut Sum<H>) -> i64 = step::<H>;
    // SAFETY: the callback gets the state, which outlives the loop.
    unsafe {
        bpf_loop(chunks, step as *mut c_void, addr_of_mut!(state).cast(), 0);
    }
    if state.left != 0 {
        return u32::MAX;
    }
    fold(state.sum).into()
}

/// Adds the next chunk; 1 ends the loop.
///
/// # Safety
/// `state` is live.
unsafe extern "C" fn step<H: Hook>(_: u32, state: *mut Sum<H>) -> i64 {
    let mut chunk = [0u64; CHUNK as usize / 8];
    // SAFETY: promised by the caller; the length is that of the chunk at most.
    unsafe {
        let left = (*state).left;
        let len = if left > CHUNK { CHUNK } else { left };
        if len == 0 {
            return 1;
        }
        let known = bounded::<CHUNK>(len);
        if !(*state)
            .hook
            .load((*state).at, chunk.as_mut_ptr().cast(), known)
        {
            return 1;
        }
        let sum = (*state).sum;
        (*state).sum = bpf_csum_diff(null_mut(), 0, chunk.as_mut_ptr().cast(), CHUNK, sum) as u32;
        (*state).at += len;
        (*state).left = left - len;
    }
    0
}
