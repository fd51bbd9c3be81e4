//! TCP options other than the usual, walked on a copy.

use core::ffi::c_void;
use core::ptr::addr_of_mut;

use aya_ebpf::helpers::bpf_loop;
use mqtt_lb_ebpf::checksum::Difference;
use mqtt_lb_ebpf::tcp_options::{self, AREA, Found, MAX, Shift};

use super::hook::Hook;
use super::packet::{bounded, sum};

/// Bytes that the verifier lets go into an [`AREA`].
pub const ROOM: u32 = 64;

/// Options and how far they have been walked.
#[repr(C, align(8))]
struct Walk {
    area: [u8; AREA],
    shift: Shift,
    found: Found,
    at: u32,
    end: u32,
}

/// More than any difference: the options could not be read or written.
const FAILED: u32 = u32::MAX;

/// Translates the `len` bytes of options at `at` and returns their difference; none
/// if they cannot be read or written.
#[inline(always)]
pub fn translate<H: Hook>(hook: H, at: u32, len: u32, shift: &Shift) -> Option<u16> {
    let difference = rewrite(hook, at, len, shift);
    (difference != FAILED).then_some(difference as u16)
}

/// What the `len` bytes of options at `at` say; nothing if they cannot be read.
#[inline(always)]
pub fn look<H: Hook>(hook: H, at: u32, len: u32) -> Found {
    let mut found = Found::default();
    find(hook, at, len, &mut found);
    found
}

/// [`translate`], out of line: its buffers do not fit the caller's stack. The kernel
/// refuses BTF with Rust's enums in it, so there is none in the signature.
#[inline(never)]
fn rewrite<H: Hook>(hook: H, at: u32, len: u32, shift: &Shift) -> u32 {
    let mut walk = Walk::new(len, *shift);
    if !walk.load(hook, at) {
        return FAILED;
    }
    let old = options_sum(&walk.area);
    walk.run();
    // SAFETY: `load` has filled as many.
    if !unsafe { hook.store(at, walk.area.as_ptr(), bounded::<ROOM>(len)) } {
        return FAILED;
    }
    let changed = Difference::none().word(old, options_sum(&walk.area));
    changed.fold().into()
}

/// [`look`], out of line as [`rewrite`] is.
#[inline(never)]
fn find<H: Hook>(hook: H, at: u32, len: u32, found: &mut Found) {
    let mut walk = Walk::new(len, Shift::default());
    if walk.load(hook, at) {
        walk.run();
        *found = walk.found;
    }
}

impl Walk {
    #[inline(always)]
    fn new(len: u32, shift: Shift) -> Self {
        Self {
            area: [0; AREA],
            shift,
            found: Found::default(),
            at: 0,
            end: len,
        }
    }

    /// Reads the options at `at`; false if they cannot be.
    #[inline(always)]
    fn load<H: Hook>(&mut self, hook: H, at: u32) -> bool {
        let len = self.end;
        if len == 0 || len > MAX {
            return false;
        }
        // SAFETY: `area` has room for the longest options.
        unsafe { hook.load(at, self.area.as_mut_ptr(), bounded::<ROOM>(len)) }
    }

    /// Translates them all.
    #[inline(always)]
    fn run(&mut self) {
        let step: unsafe extern "C" fn(u32, *mut Self) -> i64 = step;
        // SAFETY: the callback gets the walk, which outlives the loop.
        unsafe {
            bpf_loop(MAX, step as *mut c_void, addr_of_mut!(*self).cast(), 0);
        }
    }
}

/// Sum of the options of an area; what is behind them is zero.
#[inline(always)]
pub fn options_sum(area: &[u8; AREA]) -> u16 {
    // SAFETY: an area is longer.
    sum(unsafe { &*area.as_ptr().cast::<[u8; MAX as usize]>() })
}

/// Translates the next option; 1 ends the loop.
///
/// # Safety
/// `walk` is live.
unsafe extern "C" fn step(_: u32, walk: *mut Walk) -> i64 {
    // SAFETY: promised by the caller.
    let walk = unsafe { &mut *walk };
    let (at, end) = (walk.at, walk.end);
    if at >= end {
        return 1;
    }
    walk.at = tcp_options::translate(&mut walk.area, at, end, &walk.shift, &mut walk.found);
    0
}
