//! The slots as userspace sees them: the kernel's array, mapped into memory.

use std::os::fd::BorrowedFd;
use std::ptr::addr_of_mut;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use mqtt_lb_ebpf::slot::{NEVER, Slot};

use crate::datapath::mapped::Mapped;

/// All slots, shared with the verdict program.
pub struct Slots(Mapped<Slot>);

impl Slots {
    /// Maps the array of `2 * flows` slots.
    pub fn map(fd: BorrowedFd<'_>, flows: u32) -> anyhow::Result<Self> {
        Ok(Self(Mapped::new(fd, 2 * flows)?))
    }

    fn at(&self, slot: u32) -> *mut Slot {
        self.0.at(slot)
    }

    /// Makes a slot ready for a new socket: not redirecting, nothing counted.
    /// Nothing in the kernel refers to it yet.
    pub fn reset(&self, slot: u32, limit: u64) {
        let fresh = Slot {
            arm_at: NEVER,
            base: 0,
            limit,
            reserved: [0; 5],
            passed: 0,
            redirected: 0,
            next_seq: 0,
            started: 0,
            n_redirected: 0,
            n_passed: 0,
            n_limited: 0,
            n_missed: 0,
            n_trimmed: 0,
            torn: 0,
            reserved_bpf: [0; 2],
            look_at: 0,
        };
        // SAFETY: in bounds; no program has the index of a slot that is being reset.
        unsafe { self.at(slot).write_volatile(fresh) }
    }

    /// Lets the verdict redirect once it has passed `at` bytes, to a peer that
    /// userspace has written `base` bytes to.
    pub fn arm(&self, slot: u32, at: u64, base: u64) {
        let slot = self.at(slot);
        // SAFETY: in bounds and aligned; the kernel half reads these words only.
        unsafe {
            AtomicU64::from_ptr(addr_of_mut!((*slot).base)).store(base, Ordering::SeqCst);
            AtomicU64::from_ptr(addr_of_mut!((*slot).arm_at)).store(at, Ordering::SeqCst);
        }
    }

    /// Stops the verdict from redirecting. A run that has begun may still redirect
    /// one segment; taking the socket's lock once waits for it.
    pub fn disarm(&self, slot: u32) {
        let slot = self.at(slot);
        // SAFETY: in bounds and aligned.
        unsafe { AtomicU64::from_ptr(addr_of_mut!((*slot).arm_at)).store(NEVER, Ordering::SeqCst) }
    }

    /// Bytes redirected since the last reset.
    pub fn redirected(&self, slot: u32) -> u64 {
        let slot = self.at(slot);
        // SAFETY: in bounds and aligned.
        unsafe { AtomicU64::from_ptr(addr_of_mut!((*slot).redirected)).load(Ordering::SeqCst) }
    }

    /// Bytes handed to userspace since the last reset.
    pub fn passed(&self, slot: u32) -> u64 {
        let slot = self.at(slot);
        // SAFETY: in bounds and aligned.
        unsafe { AtomicU64::from_ptr(addr_of_mut!((*slot).passed)).load(Ordering::SeqCst) }
    }

    /// Whether the verdict had to drop bytes of the stream.
    pub fn is_torn(&self, slot: u32) -> bool {
        let slot = self.at(slot);
        // SAFETY: in bounds and aligned.
        unsafe { AtomicU32::from_ptr(addr_of_mut!((*slot).torn)).load(Ordering::SeqCst) != 0 }
    }

    /// Segments redirected since the last reset; wraps.
    pub fn segments(&self, slot: u32) -> u32 {
        let slot = self.at(slot);
        // SAFETY: in bounds and aligned.
        unsafe { AtomicU32::from_ptr(addr_of_mut!((*slot).n_redirected)).load(Ordering::SeqCst) }
    }

    /// Whether the slot is armed and yet does not redirect: it has stopped by itself.
    pub fn has_stopped(&self, index: u32) -> bool {
        let slot = self.at(index);
        // SAFETY: in bounds and aligned.
        unsafe {
            let arm_at = AtomicU64::from_ptr(addr_of_mut!((*slot).arm_at)).load(Ordering::SeqCst);
            let passed = AtomicU64::from_ptr(addr_of_mut!((*slot).passed)).load(Ordering::SeqCst);
            arm_at != NEVER && (passed != arm_at || self.is_torn(index))
        }
    }
}
