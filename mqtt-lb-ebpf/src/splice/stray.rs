//! Packets of a flow that are not plain: fragments, IP options, IPv6 extension
//! headers. They cannot be translated and must not reach the stack.

use mqtt_lb_ebpf::headers::{EXTENSIONS, extension, is_extension, is_fragment, is_later_fragment};
use mqtt_lb_ebpf::splice_slot::state;
use mqtt_lb_ebpf::splice_stat::Stat;
use mqtt_lb_ebpf::tcp::PROTOCOL;
use mqtt_lb_ebpf::tuple::{Place, Tuple4, Tuple6};

use super::flow::find;
use super::hook::Hook;
use super::index;
use super::packet::{IP, count, tcp_at};
use crate::SPLICE_IDX6;

/// A TCP packet over IPv4 that has options or is a fragment.
#[inline(never)]
pub fn v4<H: Hook>(hook: H) -> i32 {
    let Some(ip) = hook.get::<20>(IP) else {
        return H::PASS;
    };
    let fragment = [ip[6], ip[7]];
    let len = u32::from(ip[0] & 15) * 4;
    if len < 20 || is_later_fragment(fragment) {
        return H::PASS;
    }
    let Some(ports) = hook.get(IP + len) else {
        return H::PASS;
    };
    let place = index::find(Tuple4::of(&ip, ports).key());
    verdict::<H>(place, is_fragment(fragment))
}

/// A packet over IPv6 whose first extension header is of number `next`.
#[inline(never)]
pub fn v6<H: Hook>(hook: H, next: u8) -> i32 {
    let mut next = next;
    let mut at = tcp_at(true);
    let mut is_fragment = false;
    for _ in 0..EXTENSIONS {
        if !is_extension(next) {
            break;
        }
        let Some(head) = hook.get(at) else {
            return H::PASS;
        };
        let header = extension(next, head);
        if header.is_later {
            return H::PASS;
        }
        is_fragment |= header.is_fragment;
        next = header.next;
        at += header.len;
    }
    if next != PROTOCOL {
        return H::PASS;
    }
    let Some(ports) = hook.get::<4>(at) else {
        return H::PASS;
    };
    let mut key = Tuple6 {
        source: [0; 16],
        destination: [0; 16],
        source_port: [ports[0], ports[1]],
        destination_port: [ports[2], ports[3]],
    };
    if !hook.fill(IP + 8, &mut key.source) || !hook.fill(IP + 24, &mut key.destination) {
        return H::PASS;
    }
    // SAFETY: the value is a plain number, copied at once.
    let place = unsafe { SPLICE_IDX6.get(key) }.map(|found| found.place);
    verdict::<H>(place, is_fragment)
}

#[inline(always)]
fn verdict<H: Hook>(place: Option<Place>, is_fragment: bool) -> i32 {
    match place.and_then(find) {
        Some((_, state::FORWARD | state::HOLD)) => {
            count(if is_fragment {
                Stat::Fragment
            } else {
                Stat::IpOptions
            });
            H::DROP
        }
        _ => H::PASS,
    }
}
