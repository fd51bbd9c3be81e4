//! Where a flow's packets come from: learned again from every packet that can be
//! believed, because a next hop that changes must not end sessions.

use mqtt_lb_ebpf::splice_slot::Lane;

use super::hook::Hook;
use super::packet::{read, write};

/// Bytes of both MAC addresses of a frame.
pub const MACS: u32 = 12;

/// What a frame says of its link.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Link {
    own: (u16, u32),
    peer: (u32, u16),
    ifindex: u32,
}

impl Link {
    /// That of the packet.
    #[inline(always)]
    pub fn of<H: Hook>(hook: H, packet: *const u8) -> Self {
        // SAFETY: more than an Ethernet header was seen to be there.
        unsafe {
            Self {
                own: (read(packet, 0), read(packet, 2)),
                peer: (read(packet, 6), read(packet, 10)),
                ifindex: hook.ifindex(),
            }
        }
    }

    /// That of the lane.
    #[inline(always)]
    pub fn known(lane: *const Lane) -> Self {
        // SAFETY: a live map value; the addresses are its first twelve bytes.
        unsafe {
            let bytes = lane.cast::<u8>();
            let at = |at: usize| bytes.add(at);
            Self {
                own: (
                    at(6).cast::<u16>().read_volatile(),
                    at(8).cast::<u32>().read_volatile(),
                ),
                peer: (
                    at(0).cast::<u32>().read_volatile(),
                    at(4).cast::<u16>().read_volatile(),
                ),
                ifindex: core::ptr::addr_of!((*lane).ifindex).read_volatile(),
            }
        }
    }

    /// Keeps it in the lane.
    #[inline(always)]
    pub fn keep(self, lane: *mut Lane) {
        // SAFETY: as above.
        unsafe {
            let bytes = lane.cast::<u8>();
            let at = |at: usize| bytes.add(at);
            at(0).cast::<u32>().write_volatile(self.peer.0);
            at(4).cast::<u16>().write_volatile(self.peer.1);
            at(6).cast::<u16>().write_volatile(self.own.0);
            at(8).cast::<u32>().write_volatile(self.own.1);
            core::ptr::addr_of_mut!((*lane).ifindex).write_volatile(self.ifindex);
        }
    }
}

/// Addresses a frame to the peer of `lane`: its MAC addresses stand in the order of
/// a frame to it.
#[inline(always)]
pub fn address(packet: *mut u8, lane: *const Lane) {
    // SAFETY: as above.
    unsafe {
        let words = lane.cast::<u32>();
        write(packet, 0, words.read_volatile());
        write(packet, 4, words.add(1).read_volatile());
        write(packet, 8, words.add(2).read_volatile());
    }
}
