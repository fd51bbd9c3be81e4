//! Direct access to packets and to slots.

use core::hint::black_box;
use core::ptr::{addr_of, addr_of_mut, null_mut};

use aya_ebpf::helpers::bpf_csum_diff;
use mqtt_lb_ebpf::checksum;
use mqtt_lb_ebpf::splice_slot::{Lane, SpliceSlot, seen};
use mqtt_lb_ebpf::splice_stat::Stat;

use super::hook::{ETHERNET, Hook};
use crate::SPLICE_STATS;

/// Offset of the IP header.
pub const IP: u32 = ETHERNET;

/// Offset of the TCP header behind an IP header without options.
pub const fn tcp_at(v6: bool) -> u32 {
    if v6 { IP + 40 } else { IP + 20 }
}

/// The start of a packet that has at least `N` bytes to read and write directly.
#[inline(always)]
pub fn linear<H: Hook>(hook: H, n: u32) -> Option<*mut u8> {
    let data = hook.data();
    if data + n as usize > hook.data_end() {
        return None;
    }
    Some(data as *mut u8)
}

/// `len`, of which the verifier can see that it is 1 to `N`, a power of two. The
/// compiler must not see that it is anyway, or it leaves the mask out.
#[inline(always)]
pub fn bounded<const N: u32>(len: u32) -> u32 {
    (black_box(len).wrapping_sub(1) & (N - 1)) + 1
}

/// Reads a field of a packet.
///
/// # Safety
/// The bytes were checked to be there. Headers are aligned as the hardware's receive
/// path leaves them; machines that mind any other alignment have a verifier that does.
#[inline(always)]
pub unsafe fn read<T: Copy>(packet: *const u8, at: u32) -> T {
    // SAFETY: promised by the caller.
    unsafe { packet.add(at as usize).cast::<T>().read() }
}

/// Writes a field of a packet.
///
/// # Safety
/// As [`read`].
#[inline(always)]
pub unsafe fn write<T: Copy>(packet: *mut u8, at: u32, value: T) {
    // SAFETY: promised by the caller.
    unsafe { packet.add(at as usize).cast::<T>().write(value) }
}

/// A flow's slot and the direction of a packet of it. Both halves write it at any
/// time: every access is volatile.
#[derive(Clone, Copy)]
pub struct Flow {
    slot: *mut SpliceSlot,
    /// 0 from client to backend, 1 back.
    pub direction: usize,
}

impl Flow {
    /// # Safety
    /// `slot` is a live map value, `direction` 0 or 1.
    #[inline(always)]
    pub unsafe fn new(slot: *mut SpliceSlot, direction: usize) -> Self {
        Self { slot, direction }
    }

    /// The slot.
    #[inline(always)]
    pub fn slot(self) -> *mut SpliceSlot {
        self.slot
    }

    /// The lane of this direction.
    #[inline(always)]
    pub fn own(self) -> *mut Lane {
        // SAFETY: a live map value; the direction is 0 or 1.
        unsafe {
            addr_of_mut!((*self.slot).lanes)
                .cast::<Lane>()
                .add(self.direction)
        }
    }

    /// The lane of the opposite direction.
    #[inline(always)]
    pub fn other(self) -> *mut Lane {
        // SAFETY: as above.
        unsafe {
            addr_of_mut!((*self.slot).lanes)
                .cast::<Lane>()
                .add(self.direction ^ 1)
        }
    }

    /// Both directions' numbers of a field, own first.
    #[inline(always)]
    pub fn both<T: Copy>(self, field: *const [T; 2]) -> [T; 2] {
        let field = field.cast::<T>();
        // SAFETY: a field of a live map value.
        unsafe {
            [
                field.add(self.direction).read_volatile(),
                field.add(self.direction ^ 1).read_volatile(),
            ]
        }
    }

    /// This direction's number of a field.
    #[inline(always)]
    pub fn one<T: Copy>(self, field: *const [T; 2]) -> T {
        // SAFETY: a field of a live map value.
        unsafe { field.cast::<T>().add(self.direction).read_volatile() }
    }

    /// The other direction's of a pair.
    #[inline(always)]
    pub fn other_one<T: Copy>(self, field: *const [T; 2]) -> T {
        // SAFETY: a field of a live map value.
        unsafe { field.cast::<T>().add(self.direction ^ 1).read_volatile() }
    }

    /// Bits of `seen` of both directions, own first.
    #[inline(always)]
    pub fn seen(self) -> [u8; 2] {
        // SAFETY: a live map value.
        self.both(unsafe { addr_of!((*self.slot).seen) })
    }

    /// `seq_delta` of both directions, own first.
    #[inline(always)]
    pub fn seq_delta(self) -> [u32; 2] {
        // SAFETY: as above.
        self.both(unsafe { addr_of!((*self.slot).seq_delta) })
    }

    /// `ts_delta` of both directions, own first.
    #[inline(always)]
    pub fn ts_delta(self) -> [u32; 2] {
        // SAFETY: as above.
        self.both(unsafe { addr_of!((*self.slot).ts_delta) })
    }

    /// Sets bits of `seen` of this direction. A plain store: packets of one direction
    /// come in on one CPU as a rule, and a bit lost to another is set again by the
    /// next packet that says the same.
    #[inline(always)]
    pub fn mark(self, bits: u8) {
        self.change(self.direction, |seen| seen | bits);
    }

    /// Takes the other side's reset back.
    #[inline(always)]
    pub fn forgive(self) {
        self.change(self.direction ^ 1, |seen| seen & !seen::RST);
    }

    #[inline(always)]
    fn change(self, direction: usize, to: impl Fn(u8) -> u8) {
        // SAFETY: a field of a live map value.
        unsafe {
            let seen = addr_of_mut!((*self.slot).seen).cast::<u8>().add(direction);
            seen.write_volatile(to(seen.read_volatile()));
        }
    }
}

/// Reads a field of a slot.
macro_rules! load {
    ($base:expr, $($field:tt).+) => {
        // SAFETY: a field of a live map value.
        unsafe { core::ptr::addr_of!((*$base).$($field).+).read_volatile() }
    };
}

/// Writes a field of a slot.
macro_rules! save {
    ($base:expr, $($field:tt).+, $value:expr) => {{
        let value = $value;
        // SAFETY: a field of a live map value.
        unsafe { core::ptr::addr_of_mut!((*$base).$($field).+).write_volatile(value) }
    }};
}

pub(super) use {load, save};

/// Counts a packet.
#[inline(always)]
pub fn count(stat: Stat) {
    if let Some(counter) = SPLICE_STATS.get_ptr_mut(stat as u32) {
        // SAFETY: a live map value of this CPU.
        unsafe { *counter += 1 };
    }
}

/// Sum of bytes that begin at an even offset; their number is a multiple of four. The
/// helper does with few instructions and no stack what a loop here would not.
#[inline(always)]
pub fn sum<const N: usize>(bytes: &[u8; N]) -> u16 {
    let bytes = bytes.as_ptr().cast_mut().cast();
    // SAFETY: the helper only reads, as many bytes as there are.
    let sum = unsafe { bpf_csum_diff(null_mut(), 0, bytes, N as u32, 0) };
    checksum::fold(sum as u32)
}
