//! The splice path on XDP: frames as the driver hands them over.

use aya_ebpf::bindings::xdp_action::{XDP_DROP, XDP_PASS, XDP_TX};
use aya_ebpf::bindings::xdp_md;
use aya_ebpf::helpers::{bpf_redirect, bpf_xdp_load_bytes, bpf_xdp_store_bytes};
use aya_ebpf::programs::XdpContext;
use mqtt_lb_ebpf::{checksum, tcp};

use super::hook::{Change, Hook};
use super::packet::{linear, read, write};
use super::parse;

/// A frame.
#[derive(Clone, Copy)]
pub struct Frame(*mut xdp_md);

/// Forwards a packet of a spliced flow; all others go on untouched.
#[inline(always)]
pub fn process(ctx: &XdpContext) -> u32 {
    parse::packet(Frame::of(ctx)) as u32
}

impl Frame {
    /// The frame of a program.
    #[inline(always)]
    pub fn of(ctx: &XdpContext) -> Self {
        Self(ctx.ctx)
    }
}

impl Hook for Frame {
    const PASS: i32 = XDP_PASS as i32;
    const DROP: i32 = XDP_DROP as i32;
    const SUM_MAX: u32 = 4096;
    const COMPLETES: bool = true;

    #[inline(always)]
    fn data(self) -> usize {
        // SAFETY: a load of a context field the verifier knows; so below.
        unsafe { (*self.0).data as usize }
    }

    #[inline(always)]
    fn data_end(self) -> usize {
        // SAFETY: as above.
        unsafe { (*self.0).data_end as usize }
    }

    #[inline(always)]
    fn frame_len(self) -> u32 {
        (self.data_end() - self.data()) as u32
    }

    #[inline(always)]
    fn ifindex(self) -> u32 {
        // SAFETY: as above.
        unsafe { (*self.0).ingress_ifindex }
    }

    #[inline(always)]
    fn is_gso(self) -> bool {
        false
    }

    #[inline(always)]
    fn is_trusted(self) -> bool {
        false
    }

    #[inline(always)]
    unsafe fn load(self, at: u32, to: *mut u8, len: u32) -> bool {
        // SAFETY: promised by the caller.
        unsafe { bpf_xdp_load_bytes(self.0, at, to.cast(), len) == 0 }
    }

    #[inline(always)]
    unsafe fn store(self, at: u32, from: *const u8, len: u32) -> bool {
        // SAFETY: promised by the caller.
        unsafe { bpf_xdp_store_bytes(self.0, at, from.cast_mut().cast(), len) == 0 }
    }

    #[inline(always)]
    fn update<const V6: bool>(self, change: Change) -> bool {
        let at = change.tcp + tcp::CHECKSUM;
        let Some(packet) = linear(self, at + 2) else {
            return false;
        };
        let difference = checksum::Difference::none()
            .plus(change.segment)
            .plus(change.pseudo)
            .fold();
        // SAFETY: the bytes are there.
        unsafe {
            let check = read::<u16>(packet, at);
            write(packet, at, checksum::update(check, difference));
        }
        true
    }

    #[inline(always)]
    fn changed(self, _difference: u16) {}

    #[inline(always)]
    fn send(self, ifindex: u32) -> i32 {
        if ifindex == self.ifindex() {
            return XDP_TX as i32;
        }
        // SAFETY: plain numbers.
        unsafe { bpf_redirect(ifindex, 0) as i32 }
    }
}
