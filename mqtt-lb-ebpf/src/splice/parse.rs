//! Finds the flow of a packet. What belongs to none leaves here, after one look at
//! its headers and one into the index.

use core::ptr::null;

use mqtt_lb_ebpf::headers::{is_extension, is_fragment};
use mqtt_lb_ebpf::tcp::{self, Segment};
use mqtt_lb_ebpf::tuple::Tuple6;

use super::hook::Hook;
use super::packet::{IP, linear, read, tcp_at};
use super::{flow, icmp, index, stray};
use crate::SPLICE_IDX6;

/// EtherType of IPv4.
const IPV4: u16 = 0x0800u16.to_be();
/// EtherType of IPv6.
const IPV6: u16 = 0x86ddu16.to_be();
/// Version and length of an IPv4 header without options.
pub const PLAIN4: u8 = 0x45;
/// Protocol number of ICMP.
const ICMP: u8 = 1;
/// Protocol number of ICMP for IPv6.
const ICMP6: u8 = 58;

/// What to do with the packet.
#[inline(always)]
pub fn packet<H: Hook>(hook: H) -> i32 {
    let Some(packet) = linear(hook, IP + 20) else {
        return H::PASS;
    };
    // SAFETY: the bytes are there.
    match unsafe { read::<u16>(packet, 12) } {
        IPV4 => v4(hook, packet),
        IPV6 => v6(hook),
        _ => H::PASS,
    }
}

#[inline(always)]
fn v4<H: Hook>(hook: H, packet: *mut u8) -> i32 {
    // SAFETY: the caller has seen the header's bytes; TCP's are looked for.
    unsafe {
        let protocol = read::<u8>(packet, IP + 9);
        if protocol != tcp::PROTOCOL {
            return if protocol == ICMP {
                icmp::v4(hook)
            } else {
                H::PASS
            };
        }
        if read::<u8>(packet, IP) != PLAIN4 || is_fragment(read(packet, IP + 6)) {
            return stray::v4(hook);
        }
        let Some(packet) = linear(hook, tcp_at(false) + tcp::HEADER) else {
            return H::PASS;
        };
        // Addresses and ports stand in the packet as they do in the key.
        let place = index::find(read(packet, IP + 12));
        flow::packet::<H, false>(hook, packet, place, null())
    }
}

#[inline(always)]
fn v6<H: Hook>(hook: H) -> i32 {
    let Some(packet) = linear(hook, tcp_at(true)) else {
        return H::PASS;
    };
    // SAFETY: the bytes are there; TCP's are looked for.
    unsafe {
        let next = read::<u8>(packet, IP + 6);
        if next != tcp::PROTOCOL {
            return if next == ICMP6 {
                icmp::v6(hook)
            } else if is_extension(next) {
                stray::v6(hook, next)
            } else {
                H::PASS
            };
        }
        let Some(packet) = linear(hook, tcp_at(true) + tcp::HEADER) else {
            return H::PASS;
        };
        let key = &*packet.add(IP as usize + 8).cast::<Tuple6>();
        match SPLICE_IDX6.get_ptr(key) {
            Some(found) => flow::packet::<H, true>(hook, packet, Some((*found).place), found),
            None => flow::packet::<H, true>(hook, packet, None, null()),
        }
    }
}

/// The segment in a packet whose headers are plain; none when its lengths do not
/// fit together.
#[inline(always)]
pub fn segment<H: Hook, const V6: bool>(hook: H, packet: *const u8) -> Option<Segment> {
    let at = tcp_at(V6);
    // SAFETY: the headers were seen to be there.
    unsafe {
        let said = u16::from_be(read(packet, if V6 { IP + 4 } else { IP + 2 })) as u32;
        let len = if said == 0 && hook.is_gso() {
            // Longer than the field can say (BIG TCP).
            hook.frame_len() - at
        } else if V6 {
            said
        } else {
            said.wrapping_sub(at - IP)
        };
        let header = u32::from(read::<u8>(packet, at + 12) >> 4) * 4;
        if header < tcp::HEADER || len < header || len > hook.frame_len() - at {
            return None;
        }
        Some(Segment {
            seq: u32::from_be(read(packet, at + 4)),
            ack: u32::from_be(read(packet, at + 8)),
            header,
            payload: len - header,
            window: u16::from_be(read(packet, at + 14)),
            flags: read(packet, at + 13),
        })
    }
}
