//! LEARN: the packet belongs to the stack; note what the hand-over will need.

use mqtt_lb_ebpf::sequence::{hinted, is_newer};
use mqtt_lb_ebpf::splice_slot::seen;
use mqtt_lb_ebpf::splice_stat::Stat;
use mqtt_lb_ebpf::tcp::{HEADER, Segment, flag};
use mqtt_lb_ebpf::tcp_options::Found;

use super::flow::seconds;
use super::hook::Hook;
use super::link::Link;
use super::packet::{Flow, count, load, save, tcp_at};
use super::verify::verify;
use super::{ecn, options, parse};

/// Learns from a packet and lets it pass. Out of line: one call chain has 512 bytes of
/// stack.
#[inline(never)]
pub fn packet<H: Hook, const V6: bool>(hook: H, packet: *mut u8, flow: Flow) -> i32 {
    count(Stat::Learned);
    let lane = flow.own();
    save!(lane, last_s, seconds());
    if let Some(segment) = parse::segment::<H, V6>(hook, packet)
        && !segment.has(flag::RST)
    {
        learn::<H, V6>(hook, packet, flow, &segment);
    }
    ecn::pass::<H, V6>(hook, packet)
}

#[inline(always)]
fn learn<H: Hook, const V6: bool>(hook: H, packet: *mut u8, flow: Flow, segment: &Segment) {
    let lane = flow.own();
    save!(lane, seq_end, hinted(load!(lane, seq_end), segment.end()));
    if segment.has(flag::ACK) {
        save!(lane, ack, hinted(load!(lane, ack), segment.ack));
    }

    let said = said::<H, V6>(hook, segment);
    let is_timed = flow.seen()[0] & seen::TSVAL != 0;
    let has_tsval = said.has_timestamps && (!is_timed || is_newer(said.tsval, load!(lane, edge)));
    let has_mss =
        segment.has(flag::SYN) && said.mss != 0 && load!(lane, fin_end) != u32::from(said.mss);
    let link = Link::of(hook, packet);
    let has_moved = link != Link::known(lane);

    let is_news = has_tsval || has_mss || has_moved;
    if !is_news || !verify::<H, V6>(hook, packet, segment) {
        return;
    }
    if has_moved {
        link.keep(lane);
    }
    if has_mss {
        save!(lane, fin_end, u32::from(said.mss));
    }
    if has_tsval {
        save!(lane, edge, said.tsval);
        flow.mark(seen::TSVAL);
    }
}

/// What the segment's options say.
#[inline(always)]
fn said<H: Hook, const V6: bool>(hook: H, segment: &Segment) -> Found {
    if segment.header == HEADER {
        return Found::default();
    }
    options::look(hook, tcp_at(V6) + HEADER, segment.header - HEADER)
}
