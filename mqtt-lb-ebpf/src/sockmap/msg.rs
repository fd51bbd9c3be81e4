//! sk_msg verdict: a broker on this host writes straight into the client's socket.
//!
//! Runs inside the broker's `send`, so a full client socket blocks the broker
//! (or gives it EAGAIN) as a plain socket would, and nothing is queued between.

use core::ptr::{addr_of, addr_of_mut};

use aya_ebpf::bindings::sk_action::SK_PASS;
use aya_ebpf::helpers::bpf_get_netns_cookie;
use aya_ebpf::programs::SkMsgContext;
use mqtt_lb_ebpf::local::LocalKey;
use mqtt_lb_ebpf::slot::peer;

use super::ops::{AF_INET, address};
use super::verdict::tick;
use crate::{LOCAL_ARMS, LOCAL_COUNTS, SLOTS, SOCKS};

/// Where this `send` goes.
#[inline(always)]
pub fn verdict(ctx: &SkMsgContext) -> u32 {
    let key = key(ctx);
    let Some(count) = LOCAL_COUNTS.get_ptr_mut(key) else {
        return SK_PASS;
    };
    // SAFETY: live map values; `count` has one writer, the holder of the
    // broker's socket lock, and `arm` is only ever replaced as a whole.
    unsafe {
        let sent = addr_of_mut!((*count).sent);
        if let Some(arm) = LOCAL_ARMS.get_ptr(key) {
            let client = (*arm).client;
            let armed = addr_of!((*arm).arm_at).read_volatile() == sent.read_volatile();
            if armed && SOCKS.redirect_msg(ctx, client, 0) == i64::from(SK_PASS) {
                if let Some(slot) = SLOTS.get_ptr_mut(peer(client)) {
                    tick(addr_of_mut!((*slot).n_redirected));
                }
                return SK_PASS;
            }
        }
        sent.write_volatile(sent.read_volatile() + u64::from(ctx.size()));
    }
    SK_PASS
}

#[inline(always)]
fn key(ctx: &SkMsgContext) -> LocalKey {
    let msg = ctx.msg;
    // SAFETY: plain loads of context fields the verifier knows.
    unsafe {
        let v4 = (*msg).family == AF_INET;
        LocalKey {
            broker: address(v4, addr_of!((*msg).local_ip4), addr_of!((*msg).local_ip6)),
            balancer: address(v4, addr_of!((*msg).remote_ip4), addr_of!((*msg).remote_ip6)),
            broker_port: (*msg).local_port,
            balancer_port: u32::from_be((*msg).remote_port),
            netns: bpf_get_netns_cookie(msg.cast()),
        }
    }
}
