//! sk_msg verdict: a broker on this host writes straight into the client's socket.
//!
//! Runs inside the broker's `send`, so a full client socket blocks the broker
//! (or gives it EAGAIN) as a plain socket would, and nothing is queued between.

use core::ptr::{addr_of, addr_of_mut};

use aya_ebpf::bindings::sk_action::SK_PASS;
use aya_ebpf::helpers::bpf_get_netns_cookie;
use aya_ebpf::programs::SkMsgContext;
use mqtt_lb_ebpf::local::LocalKey;

use super::ops::{mapped_v4, mapped_v6};
use crate::{LOCAL_ARMS, LOCAL_COUNTS, SOCKS};

const AF_INET: u32 = 2;

/// Where this `send` goes.
#[inline(always)]
pub fn verdict(ctx: &SkMsgContext) -> u32 {
    let key = key(ctx);
    let Some(count) = LOCAL_COUNTS.get_ptr_mut(&key) else {
        return SK_PASS;
    };
    let size = u64::from(ctx.size());
    // SAFETY: both are live map values; `count` has one writer, the holder of
    // the broker's socket lock, and `arm` is only ever replaced as a whole.
    unsafe {
        let sent = addr_of_mut!((*count).sent);
        if let Some(arm) = LOCAL_ARMS.get_ptr(&key) {
            let armed = addr_of!((*arm).arm_at).read_volatile() == sent.read_volatile();
            if armed && SOCKS.redirect_msg(ctx, (*arm).client, 0) == i64::from(SK_PASS) {
                let redirected = addr_of_mut!((*count).redirected);
                redirected.write_volatile(redirected.read_volatile() + size);
                let calls = addr_of_mut!((*count).n_redirected);
                calls.write_volatile(calls.read_volatile() + 1);
                return SK_PASS;
            }
        }
        sent.write_volatile(sent.read_volatile() + size);
    }
    SK_PASS
}

#[inline(always)]
fn key(ctx: &SkMsgContext) -> LocalKey {
    // SAFETY: plain loads of context fields the verifier knows.
    unsafe {
        let msg = ctx.msg;
        let v4 = (*msg).family == AF_INET;
        LocalKey {
            broker: if v4 {
                mapped_v4((*msg).local_ip4)
            } else {
                mapped_v6((*msg).local_ip6)
            },
            balancer: if v4 {
                mapped_v4((*msg).remote_ip4)
            } else {
                mapped_v6((*msg).remote_ip6)
            },
            broker_port: (*msg).local_port,
            balancer_port: u32::from_be((*msg).remote_port),
            netns: bpf_get_netns_cookie(msg.cast()),
        }
    }
}
