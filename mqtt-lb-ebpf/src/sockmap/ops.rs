//! sock_ops: enters a local broker's socket into the map as it is accepted,
//! before it can send its first byte, and takes its entries out at the end.

use aya_ebpf::EbpfContext as _;
use aya_ebpf::bindings::{
    BPF_NOEXIST, BPF_SOCK_OPS_PASSIVE_ESTABLISHED_CB, BPF_SOCK_OPS_STATE_CB,
    BPF_SOCK_OPS_STATE_CB_FLAG, BPF_TCP_CLOSE,
};
use aya_ebpf::helpers::bpf_get_netns_cookie;
use aya_ebpf::programs::SockOpsContext;
use mqtt_lb_ebpf::local::{LocalCount, LocalKey};

use crate::{LOCAL_ARMS, LOCAL_COUNTS, LOCAL_PORTS, LOCAL_SOCKS};

const AF_INET: u32 = 2;

/// Watches connections to the ports of local backends.
#[inline(always)]
pub fn observe(ctx: &SockOpsContext) {
    match ctx.op() {
        BPF_SOCK_OPS_PASSIVE_ESTABLISHED_CB => enter(ctx),
        BPF_SOCK_OPS_STATE_CB => {
            if ctx.arg(1) == BPF_TCP_CLOSE {
                let key = key(ctx);
                let _ = LOCAL_COUNTS.remove(&key);
                let _ = LOCAL_ARMS.remove(&key);
            }
        }
        _ => {}
    }
}

/// A full map leaves the connection on plain TCP, which is always right.
#[inline(always)]
fn enter(ctx: &SockOpsContext) {
    let port = ctx.local_port();
    if LOCAL_PORTS.get_ptr(&port).is_none() {
        return;
    }
    let mut key = key(ctx);
    if LOCAL_COUNTS
        .insert(&key, &LocalCount::default(), 0)
        .is_err()
    {
        return;
    }
    // SAFETY: the context is valid for the whole run, and nothing else refers to it.
    let ops = unsafe { &mut *ctx.ops };
    let entered = LOCAL_SOCKS
        .update(&mut key, ops, u64::from(BPF_NOEXIST))
        .is_ok();
    if !entered || ctx.set_cb_flags(BPF_SOCK_OPS_STATE_CB_FLAG as i32).is_err() {
        let _ = LOCAL_COUNTS.remove(&key);
    }
}

#[inline(always)]
fn key(ctx: &SockOpsContext) -> LocalKey {
    let v4 = ctx.family() == AF_INET;
    LocalKey {
        broker: if v4 {
            mapped_v4(ctx.local_ip4())
        } else {
            mapped_v6(ctx.local_ip6())
        },
        balancer: if v4 {
            mapped_v4(ctx.remote_ip4())
        } else {
            mapped_v6(ctx.remote_ip6())
        },
        broker_port: ctx.local_port(),
        balancer_port: u32::from_be(ctx.remote_port()),
        // SAFETY: the context is valid for the whole run.
        netns: unsafe { bpf_get_netns_cookie(ctx.as_ptr()) },
    }
}

/// An IPv4 address in network order as a v4-mapped IPv6 address (RFC 4291, 2.5.5.2).
#[inline(always)]
pub fn mapped_v4(address: u32) -> [u8; 16] {
    words([0, 0, 0xffff_u32.to_be(), address])
}

/// An IPv6 address given as four words in network order.
#[inline(always)]
pub fn mapped_v6(address: [u32; 4]) -> [u8; 16] {
    words(address)
}

#[inline(always)]
fn words(words: [u32; 4]) -> [u8; 16] {
    // SAFETY: same size, no invalid values.
    unsafe { core::mem::transmute(words) }
}
