//! What the states of a slot mean for a packet.

use aya_ebpf::helpers::{bpf_ktime_get_coarse_ns, bpf_ktime_get_ns};
use mqtt_lb_ebpf::splice_slot::{SpliceSlot, state};
use mqtt_lb_ebpf::splice_stat::Stat;
use mqtt_lb_ebpf::tuple::{Place, Place6};

use super::hook::Hook;
use super::packet::{Flow, count, load};
use super::{ecn, forward, learn};
use crate::SPLICE_SLOTS;

/// A segment of the flow at `place`, if any. `addresses` is IPv6's.
#[inline(always)]
pub fn packet<H: Hook, const V6: bool>(
    hook: H,
    packet: *mut u8,
    place: Option<Place>,
    addresses: *const Place6,
) -> i32 {
    let Some((flow, state)) = place.and_then(find) else {
        return ecn::pass::<H, V6>(hook, packet);
    };
    match state {
        state::FORWARD => forward::packet::<H, V6>(hook, packet, flow, addresses),
        state::LEARN => learn::packet::<H, V6>(hook, packet, flow),
        _ => {
            count(Stat::Held);
            H::DROP
        }
    }
}

/// A live flow, and one of LEARN, HOLD and FORWARD.
#[inline(always)]
pub fn find(place: Place) -> Option<(Flow, u32)> {
    let slot = SPLICE_SLOTS.get_ptr_mut(place.slot())?;
    let state = match load!(slot, state) {
        state::HOLD if has_waited(slot) => state::LEARN,
        state @ (state::LEARN | state::HOLD | state::FORWARD) => state,
        _ => return None,
    };
    // SAFETY: a live map value.
    Some((unsafe { Flow::new(slot, place.direction()) }, state))
}

/// Whether whoever holds the flow has not let go of it in time.
#[inline(always)]
fn has_waited(slot: *const SpliceSlot) -> bool {
    // SAFETY: no arguments.
    let now = unsafe { bpf_ktime_get_ns() } / 1_000_000;
    (now as u32).wrapping_sub(load!(slot, hold_until_ms)) as i32 >= 0
}

/// Seconds of CLOCK_MONOTONIC.
#[inline(always)]
pub fn seconds() -> u32 {
    // SAFETY: no arguments.
    (unsafe { bpf_ktime_get_coarse_ns() } / 1_000_000_000) as u32
}
