//! FORWARD: the packet goes on to the other side, or nowhere. Whatever reached the
//! stack would be answered with a RST.

use core::ptr::addr_of;

use mqtt_lb_ebpf::ends::{Marks, Pair, Sides, marks};
use mqtt_lb_ebpf::sequence::{is_newer, newest};
use mqtt_lb_ebpf::splice_slot::{is_over, seen};
use mqtt_lb_ebpf::splice_stat::Stat;
use mqtt_lb_ebpf::tcp::{Segment, flag};
use mqtt_lb_ebpf::tuple::Place6;
use mqtt_lb_ebpf::window::{Bare, keep, rescale};

use super::flow::seconds;
use super::hook::Hook;
use super::link::Link;
use super::packet::{Flow, IP, count, load, read, save, tcp_at};
use super::translate::{Fields, translate};
use super::verify::verify;
use super::{ecn, parse};

/// Forwards a packet of the flow. Out of line: one call chain has 512 bytes of stack.
#[inline(never)]
pub fn packet<H: Hook, const V6: bool>(
    hook: H,
    packet: *mut u8,
    flow: Flow,
    addresses: *const Place6,
) -> i32 {
    let seen = flow.seen();
    // SAFETY: the headers were seen to be there.
    let flags = unsafe { read::<u8>(packet, tcp_at(V6) + 13) };
    let is_syn = flags & (flag::SYN | flag::ACK) == flag::SYN;
    if is_over(seen) && (is_syn || seen[0] & seen::REBORN != 0) {
        if is_syn
            && parse::segment::<H, V6>(hook, packet)
                .is_some_and(|s| verify::<H, V6>(hook, packet, &s))
        {
            // What follows the SYN is the stack's too.
            flow.mark(seen::REBORN);
        }
        count(Stat::Reborn);
        return ecn::pass::<H, V6>(hook, packet);
    }
    let Some(segment) = parse::segment::<H, V6>(hook, packet) else {
        return drop::<H>(Stat::Malformed);
    };
    // SAFETY: as above.
    let hops = unsafe { read::<u8>(packet, if V6 { IP + 7 } else { IP + 8 }) };
    if hops <= 1 {
        return drop::<H>(Stat::Expired);
    }
    let fields = Fields {
        seq: seq(flow, &segment, seen[1]),
        window: track::<H, V6>(hook, packet, flow, &segment, seen),
    };
    let ifindex = load!(flow.other(), ifindex);
    if ifindex == 0 {
        return drop::<H>(Stat::NoRoute);
    }
    if !translate::<H, V6>(hook, flow, addresses, &segment, fields) {
        return drop::<H>(Stat::RewriteFailed);
    }
    let lane = flow.own();
    save!(lane, last_s, seconds());
    save!(lane, packets, load!(lane, packets).wrapping_add(1));
    save!(
        lane,
        bytes,
        load!(lane, bytes).wrapping_add(u64::from(segment.payload))
    );
    count(Stat::Forwarded);
    hook.send(ifindex)
}

#[inline(always)]
fn drop<H: Hook>(why: Stat) -> i32 {
    count(why);
    H::DROP
}

/// Keeps up with what the packet says about its side. Returns the window it gets.
#[inline(always)]
fn track<H: Hook, const V6: bool>(
    hook: H,
    packet: *mut u8,
    flow: Flow,
    segment: &Segment,
    seen: [u8; 2],
) -> u16 {
    let lane = flow.own();
    let (window, has_met) = window(flow, segment, seen[0]);
    let marks = ends(flow, segment, seen);
    let link = Link::of(hook, packet);
    let has_moved = link != Link::known(lane);
    let is_leap = is_leap(segment, load!(lane, seq_end));
    let is_alive = is_alive(segment, seen);

    let is_news = has_moved || has_met || is_leap || is_alive || marks.seen != 0;
    let is_proven = is_news && verify::<H, V6>(hook, packet, segment);
    if is_proven {
        if has_moved {
            link.keep(lane);
        }
        if marks.is_fin {
            save!(lane, fin_end, segment.end());
        }
        if is_alive {
            flow.forgive();
        }
        let bits = marks.seen | if has_met { seen::EDGE } else { 0 };
        if bits != 0 {
            flow.mark(bits);
        }
    }
    if marks.is_doubted || (marks.seen & seen::RST != 0 && !is_proven) {
        count(Stat::RstDoubted);
    }
    // Neither the numbers of a new connection nor those of a reset that nobody has
    // checked are this flow's.
    if !segment.has(flag::SYN | flag::RST) {
        if !is_leap || is_proven {
            let seq_end = load!(lane, seq_end);
            save!(lane, seq_end, newest(segment.end(), seq_end));
        }
        let sent = load!(flow.other(), seq_end);
        if segment.has(flag::ACK) && !is_newer(segment.ack.wrapping_sub(flow.seq_delta()[1]), sent)
        {
            let ack = load!(lane, ack);
            save!(lane, ack, newest(segment.ack, ack));
        }
    }
    window
}

/// Whether a side speaks that was reset: the reset was forged, which its challenge ACK
/// says (RFC 5961, 3.2), or it has not come yet. Then the other side's stack will repeat it.
#[inline(always)]
fn is_alive(segment: &Segment, seen: [u8; 2]) -> bool {
    let is_reborn = (seen[0] | seen[1]) & seen::REBORN != 0;
    seen[1] & seen::RST != 0 && !is_reborn && !segment.has(flag::SYN | flag::RST)
}

/// Whether the segment leaves a gap behind what its side has sent so far: by loss, or
/// because its number is damaged, which the hint would never recover from.
#[inline(always)]
fn is_leap(segment: &Segment, seq_end: u32) -> bool {
    segment.seq != seq_end && is_newer(segment.end(), seq_end)
}

/// The sequence number as the other side counts.
#[inline(always)]
fn seq(flow: Flow, segment: &Segment, seen_other: u8) -> u32 {
    let seq = segment.seq.wrapping_add(flow.seq_delta()[0]);
    if segment.payload != 0 || segment.has(flag::SYN | flag::FIN | flag::RST) {
        return seq;
    }
    let rules = Bare {
        is_promised: seen_other & seen::EDGE == 0,
        // SAFETY: a live map value.
        scales: flow.other_one(unsafe { addr_of!((*flow.slot()).scales) }),
    };
    rules.seq(seq, load!(flow.other(), ack))
}

/// The window field as the other side reads it, and whether it meets the promise
/// for the first time.
#[inline(always)]
fn window(flow: Flow, segment: &Segment, seen: u8) -> (u16, bool) {
    if segment.has(flag::SYN) {
        // Never scaled (RFC 7323, 2.2).
        return (segment.window, false);
    }
    // SAFETY: a live map value.
    let scales = flow.one(unsafe { addr_of!((*flow.slot()).scales) });
    let window = rescale(segment.window, scales);
    if seen & seen::EDGE != 0 || !segment.has(flag::ACK) {
        return (window, false);
    }
    let ack = segment.ack.wrapping_sub(flow.seq_delta()[1]);
    let promise = keep(window, scales[1], ack, load!(flow.own(), edge));
    (promise.field, promise.is_met)
}

/// What the packet says about the end of the flow.
#[inline(always)]
fn ends(flow: Flow, segment: &Segment, seen: [u8; 2]) -> Marks {
    let is_closing = seen[1] & seen::FIN != 0 && seen[0] & seen::PEER_FIN == 0;
    if !is_closing && !segment.has(flag::FIN | flag::RST) {
        return Marks::default();
    }
    let (own, other) = (flow.own(), flow.other());
    let pair = |[own, other]: [u32; 2]| Pair { own, other };
    marks(
        segment,
        &Sides {
            seen: Pair {
                own: seen[0],
                other: seen[1],
            },
            seq_end: pair([load!(own, seq_end), load!(other, seq_end)]),
            fin_end: pair([load!(own, fin_end), load!(other, fin_end)]),
            seq_delta: pair(flow.seq_delta()),
            other_ack: load!(other, ack),
        },
    )
}
