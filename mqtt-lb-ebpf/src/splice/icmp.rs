//! ICMP errors about packets of a flow, told to whoever sent them. Without it a path
//! with a small MTU is a black hole.

use core::ptr::addr_of;

use mqtt_lb_ebpf::checksum::{Difference, update};
use mqtt_lb_ebpf::headers::{is_fragment, is_later_fragment};
use mqtt_lb_ebpf::quote::{Original, TCP, header_check, quoted};
use mqtt_lb_ebpf::splice_slot::state;
use mqtt_lb_ebpf::splice_stat::Stat;
use mqtt_lb_ebpf::tcp::PROTOCOL;
use mqtt_lb_ebpf::tuple::{Tuple4, Tuple6};

use super::flow::find;
use super::hook::Hook;
use super::packet::{Flow, IP, count, linear, load, sum, tcp_at};
use super::parse::PLAIN4;
use super::{index, link};
use crate::SPLICE_IDX6;

/// Bytes of an ICMP error in front of the quote.
const HEAD: u32 = 8;

/// Destination unreachable, fragmentation needed included; time exceeded (RFC 792).
const fn is_error4(kind: u8) -> bool {
    kind == 3 || kind == 11
}

/// Destination unreachable, packet too big, time exceeded (RFC 4443).
const fn is_error6(kind: u8) -> bool {
    kind >= 1 && kind <= 3
}

/// An ICMP packet over IPv4.
#[inline(never)]
pub fn v4<H: Hook>(hook: H) -> i32 {
    let at = tcp_at(false);
    let (Some(mut ip), Some(kind)) = (hook.get::<20>(IP), hook.get::<1>(at)) else {
        return H::PASS;
    };
    if ip[0] != PLAIN4 || is_fragment([ip[6], ip[7]]) || !is_error4(kind[0]) {
        return H::PASS;
    }
    let quote = at + HEAD;
    let (Some(mut inner), Some(tcp)) = (hook.get::<20>(quote), hook.get::<TCP>(quote + 20)) else {
        return H::PASS;
    };
    if !is_whole(hook, IP, [ip[2], ip[3]], quote + 20) {
        return H::PASS;
    }
    // What we send has no options and is in one piece.
    if inner[0] != PLAIN4 || inner[9] != PROTOCOL || is_later_fragment([inner[6], inner[7]]) {
        return H::PASS;
    }
    let key = Tuple4::of(&inner, [tcp[0], tcp[1], tcp[2], tcp[3]]).reversed();
    let place = index::find(key.key());
    let Some((flow, state::FORWARD)) = place.and_then(find) else {
        return H::PASS;
    };
    // SAFETY: a field of the slot.
    let [source, destination] =
        unsafe { flow.ends(addr_of!((*flow.slot()).addresses).cast::<[u8; 4]>()) };
    // The quoted packet's addresses change as those of a packet of the flow do.
    let changed = flow.signed(load!(flow.slot(), address_sum));
    let check = header_check(u16::from_ne_bytes([inner[10], inner[11]]), changed);
    [inner[10], inner[11]] = check.to_ne_bytes();
    inner[12..16].copy_from_slice(&destination);
    inner[16..20].copy_from_slice(&source);

    let is_alive = ip[8] > 1;
    let old = sum(&ip);
    ip[8] = ip[8].wrapping_sub(1);
    ip[12..16].copy_from_slice(&source);
    ip[16..20].copy_from_slice(&destination);
    let changed = Difference::none().word(old, sum(&ip)).fold();
    let check = update(u16::from_ne_bytes([ip[10], ip[11]]), changed);
    [ip[10], ip[11]] = check.to_ne_bytes();

    if !is_alive
        || !hook.put(IP, &ip)
        || !hook.put(quote, &inner)
        || !restore(hook, flow, at, quote + 20, tcp, 0)
    {
        return failed::<H>();
    }
    send(hook, flow)
}

/// An ICMP packet over IPv6.
#[inline(never)]
pub fn v6<H: Hook>(hook: H) -> i32 {
    let at = tcp_at(true);
    let (Some(ip), Some(kind)) = (hook.get::<4>(IP + 4), hook.get::<1>(at)) else {
        return H::PASS;
    };
    let quote = at + HEAD;
    if !is_error6(kind[0]) || !is_whole(hook, at, [ip[0], ip[1]], quote + 40) {
        return H::PASS;
    }
    let hops = [ip[2], ip[3]];
    let Some(inner) = hook.get::<8>(quote) else {
        return H::PASS;
    };
    if inner[0] >> 4 != 6 || inner[6] != PROTOCOL {
        return H::PASS;
    }
    let Some(tcp) = hook.get::<TCP>(quote + 40) else {
        return H::PASS;
    };
    // The key of packets the other way.
    let mut key = Tuple6 {
        source: [0; 16],
        destination: [0; 16],
        source_port: [tcp[2], tcp[3]],
        destination_port: [tcp[0], tcp[1]],
    };
    if !hook.fill(quote + 8, &mut key.destination) || !hook.fill(quote + 24, &mut key.source) {
        return H::PASS;
    }
    // SAFETY: a live map value, written before the flow and not after.
    let Some(found) = (unsafe { SPLICE_IDX6.get(key) }) else {
        return H::PASS;
    };
    let Some((flow, state::FORWARD)) = find(found.place) else {
        return H::PASS;
    };
    let mut old = [0; 32];
    if !hook.fill(IP + 8, &mut old) {
        return failed::<H>();
    }
    // SAFETY: both addresses stand one behind the other.
    let new = unsafe { &*addr_of!(found.source).cast::<[u8; 32]>() };
    // The outer addresses are in the pseudo header; the quoted ones change as those of
    // a packet of the flow do.
    let changed = Difference::none()
        .word(sum(&old), sum(new))
        .plus(flow.signed(load!(flow.slot(), address_sum)))
        .fold();
    let less = [hops[0], hops[1].wrapping_sub(1)];
    if hops[1] <= 1
        || !hook.put(IP + 6, &less)
        || !hook.put(IP + 8, new)
        || !hook.put(quote + 8, &found.destination)
        || !hook.put(quote + 24, &found.source)
        || !restore(hook, flow, at, quote + 40, tcp, changed)
    {
        return failed::<H>();
    }
    let hops = u16::from_ne_bytes(hops);
    let less = u16::from_ne_bytes(less);
    hook.changed(Difference::none().word(hops, less).fold());
    send(hook, flow)
}

/// Whether the `len` bytes that begin at `from` are in the frame, and hold as much of
/// the quoted TCP at `tcp_at` as is translated.
#[inline(always)]
fn is_whole<H: Hook>(hook: H, from: u32, len: [u8; 2], tcp_at: u32) -> bool {
    let end = from + u32::from(u16::from_be_bytes(len));
    end <= hook.frame_len() && tcp_at + TCP as u32 <= end
}

/// Restores the quoted TCP at `tcp_at` and updates the checksum of the ICMP message at
/// `icmp`, whose addresses have changed by `addresses`. A sender computes it in full,
/// so it is never only begun.
#[inline(always)]
fn restore<H: Hook>(
    hook: H,
    flow: Flow,
    icmp: u32,
    tcp_at: u32,
    tcp: [u8; TCP],
    addresses: u16,
) -> bool {
    // The packet was one of the direction that is not the flow's.
    // SAFETY: a field of the slot.
    let [own_port, peer_port] =
        unsafe { flow.ends(addr_of!((*flow.slot()).ports).cast::<[u8; 2]>()) };
    let original = Original {
        source_port: peer_port,
        destination_port: own_port,
        seq_delta: flow.seq_delta()[1],
    };
    let restored = original.tcp(tcp);
    let Some(check) = hook.get::<2>(icmp + 2) else {
        return false;
    };
    let changed = quoted(addresses, &tcp, &restored).fold();
    let check = update(u16::from_ne_bytes(check), changed);
    hook.put(tcp_at, &restored) && hook.put(icmp + 2, &check.to_ne_bytes())
}

#[inline(always)]
fn send<H: Hook>(hook: H, flow: Flow) -> i32 {
    let ifindex = load!(flow.other(), ifindex);
    let Some(packet) = linear(hook, link::MACS) else {
        return failed::<H>();
    };
    if ifindex == 0 {
        return failed::<H>();
    }
    link::address(packet, flow.other());
    count(Stat::IcmpTranslated);
    hook.send(ifindex)
}

#[inline(always)]
fn failed<H: Hook>() -> i32 {
    count(Stat::IcmpDropped);
    H::DROP
}
