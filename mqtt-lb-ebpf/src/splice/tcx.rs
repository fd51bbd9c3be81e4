//! The splice path on tcx: skbs on their way in, GRO's super-packets included.

use aya_ebpf::bindings::{__sk_buff, BPF_CSUM_LEVEL_QUERY, BPF_F_PSEUDO_HDR};
use aya_ebpf::helpers::{
    bpf_csum_level, bpf_csum_update, bpf_l4_csum_replace, bpf_redirect, bpf_skb_load_bytes,
    bpf_skb_pull_data, bpf_skb_store_bytes,
};
use aya_ebpf::programs::TcContext;
use mqtt_lb_ebpf::tcp;

use super::hook::{Change, ETHERNET, Hook};
use super::parse;

/// The next program, or the stack.
const TCX_NEXT: i32 = -1;
/// Drop.
const TCX_DROP: i32 = 2;
/// The longest headers that are looked at: IPv6 and TCP with all its options.
const HEADERS: u32 = ETHERNET + 40 + 60;
/// `BPF_F_IPV6`, since Linux 6.16: the pseudo header is IPv6's, whose addresses no
/// checksum of their own makes up for.
const F_IPV6: u64 = 128;

/// An skb.
#[derive(Clone, Copy)]
pub struct Skb(*mut __sk_buff);

/// Forwards a packet of a spliced flow; all others go on untouched.
#[inline(always)]
pub fn classify(ctx: &TcContext) -> i32 {
    let skb = Skb::of(ctx);
    // SAFETY: a load of a context field the verifier knows.
    if unsafe { (*skb.0).vlan_present } != 0 {
        return TCX_NEXT;
    }
    let linear = skb.data_end() - skb.data();
    if linear < HEADERS as usize && (linear as u32) < skb.frame_len() {
        let len = skb.frame_len();
        let len = if len < HEADERS { len } else { HEADERS };
        // What cannot be read will not be matched.
        // SAFETY: the context is valid for the whole run.
        unsafe { bpf_skb_pull_data(skb.0, len) };
    }
    parse::packet(skb)
}

impl Skb {
    /// The packet of a program.
    #[inline(always)]
    pub fn of(ctx: &TcContext) -> Self {
        Self(ctx.skb.skb)
    }
}

impl Hook for Skb {
    const PASS: i32 = TCX_NEXT;
    const DROP: i32 = TCX_DROP;
    const SUM_MAX: u32 = 2048;
    const COMPLETES: bool = false;

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
        // SAFETY: as above.
        unsafe { (*self.0).len }
    }

    #[inline(always)]
    fn ifindex(self) -> u32 {
        // SAFETY: as above.
        unsafe { (*self.0).ifindex }
    }

    #[inline(always)]
    fn is_gso(self) -> bool {
        // SAFETY: as above.
        unsafe { (*self.0).gso_size != 0 }
    }

    #[inline(always)]
    fn is_trusted(self) -> bool {
        // SAFETY: the context is valid for the whole run.
        self.is_gso() || unsafe { bpf_csum_level(self.0, BPF_CSUM_LEVEL_QUERY.into()) } >= 0
    }

    #[inline(always)]
    unsafe fn load(self, at: u32, to: *mut u8, len: u32) -> bool {
        // SAFETY: promised by the caller.
        unsafe { bpf_skb_load_bytes(self.0.cast(), at, to.cast(), len) == 0 }
    }

    #[inline(always)]
    unsafe fn store(self, at: u32, from: *const u8, len: u32) -> bool {
        // SAFETY: promised by the caller.
        unsafe { bpf_skb_store_bytes(self.0, at, from.cast(), len, 0) == 0 }
    }

    #[inline(always)]
    fn update<const V6: bool>(self, change: Change) -> bool {
        // Two calls, because the kernel knows what each kind of change means for the
        // checksum's state: begun only, verified, or a sum over the whole packet.
        let at = change.tcp + tcp::CHECKSUM;
        let replace = |difference: u16, flags: u64| {
            // SAFETY: the context is valid for the whole run.
            unsafe { bpf_l4_csum_replace(self.0, at, 0, difference.into(), flags) == 0 }
        };
        let pseudo = u64::from(BPF_F_PSEUDO_HDR);
        if !replace(change.segment, 0) {
            return false;
        }
        // Kernels that do not know the flag refuse it.
        (V6 && replace(change.pseudo, pseudo | F_IPV6)) || replace(change.pseudo, pseudo)
    }

    #[inline(always)]
    fn changed(self, difference: u16) {
        // SAFETY: the context is valid for the whole run.
        unsafe { bpf_csum_update(self.0, difference.into()) };
    }

    #[inline(always)]
    fn send(self, ifindex: u32) -> i32 {
        // SAFETY: plain numbers.
        unsafe { bpf_redirect(ifindex, 0) as i32 }
    }
}
