//! Rewrites a segment of one connection into one of the other.

use core::ptr::addr_of;

use mqtt_lb_ebpf::checksum::{self, Difference};
use mqtt_lb_ebpf::splice_slot::end;
use mqtt_lb_ebpf::splice_stat::Stat;
use mqtt_lb_ebpf::tcp::{HEADER, Segment, flag};
use mqtt_lb_ebpf::tcp_options::{Shift, USUAL};
use mqtt_lb_ebpf::tuple::Place6;

use super::hook::{Change, Hook};
use super::packet::{Flow, IP, count, linear, load, read, tcp_at, write};
use super::verify::{complete, is_begun};
use super::{link, options};

/// Bytes of a header with the usual options.
const USUAL_HEADER: u32 = HEADER + 12;

/// Fields of the header that are more than a difference.
#[derive(Clone, Copy)]
pub struct Fields {
    /// Sequence number.
    pub seq: u32,
    /// Window.
    pub window: u16,
}

/// Rewrites the packet; false if it cannot be.
#[inline(always)]
pub fn translate<H: Hook, const V6: bool>(
    hook: H,
    flow: Flow,
    addresses: *const Place6,
    segment: &Segment,
    fields: Fields,
) -> bool {
    let tcp = tcp_at(V6);
    let acked = flow.seq_delta()[1];
    let shift = shift(flow, segment, acked);
    let Some(difference) = translate_options(hook, tcp, segment.header, &shift) else {
        return false;
    };
    let Some(packet) = linear(hook, tcp + HEADER) else {
        return false;
    };
    let mut is_partial = false;
    if H::COMPLETES {
        is_partial = is_begun::<V6>(packet, segment);
    }
    // SAFETY: the bytes are there.
    let (segment_sum, hop_sum) = unsafe {
        link::address(packet, flow.other());
        let hop_sum = ip::<V6>(packet, flow, addresses);
        (
            numbers(packet, tcp, flow, segment, acked, fields, difference),
            hop_sum,
        )
    };
    if V6 {
        hook.changed(hop_sum);
    }
    if is_partial {
        count(Stat::ChecksumCompleted);
        return complete::<H, V6>(hook, segment);
    }
    hook.update::<V6>(Change {
        tcp,
        segment: segment_sum,
        pseudo: flow.signed(load!(flow.slot(), address_sum)),
    })
}

/// How the options change. What answers the other side does only count with ACK.
#[inline(always)]
fn shift(flow: Flow, segment: &Segment, acked: u32) -> Shift {
    let ts = flow.ts_delta();
    let is_ack = segment.has(flag::ACK);
    Shift {
        tsval: ts[0],
        tsecr: if is_ack { ts[1] } else { 0 },
        sack: if is_ack { acked } else { 0 },
    }
}

/// Rewrites the options and returns their difference; none if it cannot be.
#[inline(always)]
fn translate_options<H: Hook>(hook: H, tcp: u32, header: u32, shift: &Shift) -> Option<Difference> {
    let none = Difference::none();
    if header == HEADER {
        return Some(none);
    }
    let at = tcp + HEADER;
    if header == USUAL_HEADER
        && let Some(packet) = linear(hook, tcp + USUAL_HEADER)
    {
        // SAFETY: the bytes are there.
        unsafe {
            if read::<u32>(packet, at) == u32::from_ne_bytes(USUAL) {
                let (val, ecr) = (read::<u32>(packet, at + 4), read::<u32>(packet, at + 8));
                let new_val = u32::from_be(val).wrapping_add(shift.tsval).to_be();
                let new_ecr = u32::from_be(ecr).wrapping_sub(shift.tsecr).to_be();
                write(packet, at + 4, new_val);
                write(packet, at + 8, new_ecr);
                return Some(none.long(val, new_val).long(ecr, new_ecr));
            }
        }
    }
    options::translate(hook, at, header - HEADER, shift).map(|changed| none.plus(changed))
}

/// Rewrites the IP header. Returns the hop limit's difference.
///
/// # Safety
/// The header is there; with `V6` `addresses` is a live map value.
#[inline(always)]
unsafe fn ip<const V6: bool>(packet: *mut u8, flow: Flow, addresses: *const Place6) -> u16 {
    let address_sum = flow.signed(load!(flow.slot(), address_sum));
    // SAFETY: promised by the caller; a slot is a live map value.
    unsafe {
        let at = if V6 { IP + 6 } else { IP + 8 };
        let old = read::<u16>(packet, at);
        let step = u16::from_ne_bytes(if V6 { [0, 1] } else { [1, 0] });
        let new = old - step;
        write(packet, at, new);
        let hops = Difference::none().word(old, new);
        if V6 {
            let from = addr_of!((*addresses).source).cast::<u32>();
            for word in 0..8 {
                let value = from.add(word).read();
                write(packet, IP + 8 + 4 * word as u32, value);
            }
        } else {
            let [source, destination] = flow.ends(addr_of!((*flow.slot()).addresses).cast::<u32>());
            write(packet, IP + 12, source);
            write(packet, IP + 16, destination);
            let changed = hops.plus(address_sum);
            let check = read::<u16>(packet, IP + 10);
            write(packet, IP + 10, checksum::update(check, changed.fold()));
        }
        hops.fold()
    }
}

/// Rewrites ports and numbers. Returns the segment's difference, `so_far` included.
///
/// # Safety
/// A header without options is there.
#[inline(always)]
unsafe fn numbers(
    packet: *mut u8,
    tcp: u32,
    flow: Flow,
    segment: &Segment,
    acked: u32,
    Fields { seq, window }: Fields,
    so_far: Difference,
) -> u16 {
    let port_sum = flow.signed(load!(flow.slot(), port_sum));
    // SAFETY: promised by the caller; a slot is a live map value.
    unsafe {
        let [source, destination] = flow.ends(addr_of!((*flow.slot()).ports).cast::<u16>());
        write(packet, tcp, source);
        write(packet, tcp + 2, destination);
        write(packet, tcp + 4, seq.to_be());
        write(packet, tcp + 14, window.to_be());
        let mut difference = so_far
            .plus(port_sum)
            .long(segment.seq.to_be(), seq.to_be())
            .word(segment.window.to_be(), window.to_be());
        if segment.has(flag::ACK) {
            let ack = segment.ack.wrapping_sub(acked);
            write(packet, tcp + 8, ack.to_be());
            difference = difference.long(segment.ack.to_be(), ack.to_be());
        }
        difference.fold()
    }
}

impl Flow {
    /// Source and destination of packets of this direction that go out, from the
    /// four of [`end`].
    ///
    /// # Safety
    /// `four` is a field of the slot.
    #[inline(always)]
    pub unsafe fn ends<T>(self, four: *const T) -> [T; 2] {
        let (source, destination) = if self.direction == 0 {
            (end::SOURCE, end::BACKEND)
        } else {
            (end::FRONT, end::CLIENT)
        };
        // SAFETY: promised by the caller; a slot is a live map value.
        unsafe {
            [
                four.add(source).read_volatile(),
                four.add(destination).read_volatile(),
            ]
        }
    }

    /// A difference of direction 0 as one of this direction.
    #[inline(always)]
    pub fn signed(self, difference: u16) -> u16 {
        if self.direction == 0 {
            difference
        } else {
            checksum::reverse(difference)
        }
    }
}
