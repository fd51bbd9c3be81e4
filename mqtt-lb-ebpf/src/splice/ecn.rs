//! SYNs to our listeners do not ask for ECN: our connection to the backend will not
//! have it, and both must be equal.

use mqtt_lb_ebpf::checksum::Difference;
use mqtt_lb_ebpf::splice_stat::Stat;
use mqtt_lb_ebpf::tcp::flag;

use super::hook::{Change, Hook};
use super::packet::{count, read, tcp_at, write};
use super::parse;
use super::verify::is_begun;
use crate::SPLICE_LISTENERS;

/// Bit of the byte before the flags that AccECN asks with (RFC 9768).
const AE: u8 = 1;

/// Lets a segment pass to the stack.
#[inline(always)]
pub fn pass<H: Hook, const V6: bool>(hook: H, packet: *mut u8) -> i32 {
    let at = tcp_at(V6);
    // SAFETY: the headers were seen to be there.
    unsafe {
        let flags = read::<u8>(packet, at + 13);
        let is_opening = flags & (flag::SYN | flag::ACK) == flag::SYN;
        if is_opening
            && flags & (flag::ECE | flag::CWR) != 0
            && SPLICE_LISTENERS
                .get_ptr(read::<u16>(packet, at + 2))
                .is_some()
        {
            strip::<H, V6>(hook, packet, at);
        }
    }
    H::PASS
}

/// # Safety
/// A TCP header is at `at`.
#[inline(always)]
unsafe fn strip<H: Hook, const V6: bool>(hook: H, packet: *mut u8, at: u32) {
    // SAFETY: promised by the caller.
    unsafe {
        let old = read::<u16>(packet, at + 12);
        let asks = u16::from_ne_bytes([AE, flag::ECE | flag::CWR]);
        // One that is only begun stays so: the stack knows.
        let is_begun = H::COMPLETES
            && parse::segment::<H, V6>(hook, packet)
                .is_some_and(|segment| is_begun::<V6>(packet, &segment));
        write(packet, at + 12, old & !asks);
        if !is_begun {
            hook.update::<V6>(Change {
                tcp: at,
                segment: Difference::none().word(old, old & !asks).fold(),
                pseudo: 0,
            });
        }
    }
    count(Stat::EcnStripped);
}
