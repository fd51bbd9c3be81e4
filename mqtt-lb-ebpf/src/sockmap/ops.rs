//! sock_ops: enters a local broker's socket into the map as it is accepted,
//! before it can send its first byte, and takes its entries out at the end.

use core::ptr::addr_of;

use aya_ebpf::EbpfContext as _;
use aya_ebpf::bindings::{
    BPF_NOEXIST, BPF_SOCK_OPS_PASSIVE_ESTABLISHED_CB, BPF_SOCK_OPS_STATE_CB,
    BPF_SOCK_OPS_STATE_CB_FLAG, BPF_TCP_CLOSE,
};
use aya_ebpf::helpers::bpf_get_netns_cookie;
use aya_ebpf::programs::SockOpsContext;
use mqtt_lb_ebpf::local::{LocalCount, LocalKey};

use crate::{LOCAL_ARMS, LOCAL_COUNTS, LOCAL_PORTS, LOCAL_SOCKS};

/// `AF_INET` (linux/socket.h).
pub const AF_INET: u32 = 2;

/// Network namespace of the balancer (`SO_NETNS_COOKIE`): brokers in another one
/// have addresses that mean something else here.
#[unsafe(no_mangle)]
static BALANCER_NETNS: u64 = 0;

/// Watches connections to the ports of local backends.
#[inline(always)]
pub fn observe(ctx: &SockOpsContext) {
    match ctx.op() {
        BPF_SOCK_OPS_PASSIVE_ESTABLISHED_CB => enter(ctx),
        BPF_SOCK_OPS_STATE_CB if ctx.arg(1) == BPF_TCP_CLOSE => {
            let key = key(ctx);
            let _ = LOCAL_COUNTS.remove(key);
            let _ = LOCAL_ARMS.remove(key);
        }
        _ => {}
    }
}

/// A full map leaves the connection on plain TCP, which is always right.
#[inline(always)]
fn enter(ctx: &SockOpsContext) {
    let port = ctx.local_port();
    if LOCAL_PORTS.get_ptr(port).is_none() {
        return;
    }
    let mut key = key(ctx);
    // SAFETY: `.rodata` is initialised.
    if key.netns != unsafe { core::ptr::from_ref(&BALANCER_NETNS).read_volatile() } {
        return;
    }
    if LOCAL_COUNTS.insert(key, LocalCount::default(), 0).is_err() {
        return;
    }
    // SAFETY: the context is valid for the whole run, and nothing else refers to it.
    let ops = unsafe { &mut *ctx.ops };
    let entered = LOCAL_SOCKS
        .update(&mut key, ops, u64::from(BPF_NOEXIST))
        .is_ok();
    if !entered || ctx.set_cb_flags(BPF_SOCK_OPS_STATE_CB_FLAG as i32).is_err() {
        let _ = LOCAL_COUNTS.remove(key);
    }
}

#[inline(always)]
fn key(ctx: &SockOpsContext) -> LocalKey {
    let ops = ctx.ops;
    // SAFETY: plain loads of context fields the verifier knows.
    unsafe {
        let v4 = (*ops).family == AF_INET;
        LocalKey {
            broker: address(v4, addr_of!((*ops).local_ip4), addr_of!((*ops).local_ip6)),
            balancer: address(v4, addr_of!((*ops).remote_ip4), addr_of!((*ops).remote_ip6)),
            broker_port: (*ops).local_port,
            balancer_port: u32::from_be((*ops).remote_port),
            netns: bpf_get_netns_cookie(ctx.as_ptr()),
        }
    }
}

/// An address out of a context; IPv4 becomes v4-mapped (RFC 4291, 2.5.5.2).
///
/// Both fields are read, and volatile: otherwise the compiler chooses between
/// their addresses first, and the verifier knows a context by constants only.
///
/// # Safety
/// Both point into a live context.
#[inline(always)]
pub unsafe fn address(v4: bool, ip4: *const u32, ip6: *const [u32; 4]) -> [u8; 16] {
    // SAFETY: promised by the caller; the words make up the bytes in their order.
    unsafe {
        let ip4 = ip4.read_volatile();
        let word = |i| ip6.cast::<u32>().add(i).read_volatile();
        let ip6 = [word(0), word(1), word(2), word(3)];
        let words = if v4 {
            [0, 0, 0xffff_u32.to_be(), ip4]
        } else {
            ip6
        };
        core::mem::transmute::<[u32; 4], [u8; 16]>(words)
    }
}
