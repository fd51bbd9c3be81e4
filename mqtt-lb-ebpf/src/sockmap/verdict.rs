//! sk_skb verdict: redirect a segment to the other socket, or pass and count it.
//!
//! Runs under the lock of the receiving socket, so the second line of a slot
//! has one writer at a time. Fields are volatile: userspace maps them.

use core::ffi::c_void;
use core::ptr::{addr_of, addr_of_mut};

use aya_ebpf::EbpfContext as _;
use aya_ebpf::bindings::sk_action::{SK_DROP, SK_PASS};
use aya_ebpf::helpers::{
    bpf_get_socket_cookie, bpf_map_lookup_elem, bpf_probe_read_kernel, bpf_sk_release,
    bpf_skb_adjust_room, bpf_skc_to_tcp_sock,
};
use aya_ebpf::programs::SkBuffContext;
use aya_log_ebpf::debug;
use mqtt_lb_ebpf::slot::{
    Event, LOOK_BYTES, LOOK_SEGMENTS, STOP_LIMIT, STOP_MISS, STOP_TORN, Slot, is_full, overlap,
    peer,
};

use crate::{EVENTS, FLOWS, SLOTS, SOCKS};

/// `offsetof(struct sk_buff, cb)`; TCP keeps the segment's `seq` first in it.
#[unsafe(no_mangle)]
static SKB_CB: u64 = 0;
/// `offsetof(struct tcp_sock, copied_seq)`.
#[unsafe(no_mangle)]
static TCP_COPIED_SEQ: u64 = 0;
/// `offsetof(struct tcp_sock, bytes_acked)`.
#[unsafe(no_mangle)]
static TCP_BYTES_ACKED: u64 = 0;
/// `offsetof(struct sock, sk_wmem_queued)`.
#[unsafe(no_mangle)]
static SK_WMEM_QUEUED: u64 = 0;
/// `offsetof(struct sock, sk_sndbuf)`.
#[unsafe(no_mangle)]
static SK_SNDBUF: u64 = 0;

/// `sk_skb_adjust_room` removes at most this many bytes a call.
const ROOM_MAX: u32 = 0xfff;
/// Calls it may take: more than the largest segment GRO builds (BIG TCP, 512 KiB).
const ROOM_CALLS: u32 = 160;

/// What to do with this segment.
#[inline(always)]
pub fn verdict(ctx: &SkBuffContext) -> u32 {
    if ctx.len() == 0 {
        // A bare FIN. The socket already knows: `read` returns 0 and RDHUP fires.
        // Passed or redirected it would be queued behind data and break half-close.
        return SK_DROP;
    }
    // SAFETY: the context is valid for the whole run.
    let cookie = unsafe { bpf_get_socket_cookie(ctx.as_ptr()) };
    // SAFETY: the value is a plain number, copied at once.
    let Some(&index) = (unsafe { FLOWS.get(cookie) }) else {
        return SK_PASS;
    };
    let Some(slot) = SLOTS.get_ptr_mut(index) else {
        return SK_PASS;
    };
    // SAFETY: `slot` is a live map value.
    let torn = unsafe { addr_of_mut!((*slot).torn) };
    // SAFETY: as above.
    if unsafe { torn.read_volatile() } != 0 {
        return SK_DROP;
    }
    if !trim(ctx, slot) {
        // Old bytes may not go on, so the new ones are dropped with them, and
        // nothing may come behind the gap until userspace resets the flow.
        // SAFETY: as above.
        unsafe { torn.write_volatile(1) };
        stop(index, STOP_TORN);
        return SK_DROP;
    }
    let len = u64::from(ctx.len());
    if len == 0 {
        // Nothing new but a FIN, which the socket knows already. Redirected, an
        // empty segment breaks the peer: the worker takes it for EPIPE.
        return SK_DROP;
    }

    // SAFETY: `slot` is a live map value; see the module comment for who writes what.
    unsafe {
        let passed = addr_of!((*slot).passed).read_volatile();
        if passed != addr_of!((*slot).arm_at).read_volatile() {
            return pass(slot, len);
        }
        if is_peer_full(slot, index) {
            tick(addr_of_mut!((*slot).n_limited));
            debug!(ctx, "slot {}: the peer is full", index);
            stop(index, STOP_LIMIT);
            return pass(slot, len);
        }
        if SOCKS.redirect_skb(ctx, peer(index), 0) != i64::from(SK_PASS) {
            // Returning the helper's answer would drop the segment.
            tick(addr_of_mut!((*slot).n_missed));
            debug!(ctx, "slot {}: peer is not in the map", index);
            stop(index, STOP_MISS);
            return pass(slot, len);
        }
        let redirected = addr_of_mut!((*slot).redirected);
        redirected.write_volatile(redirected.read_volatile() + len);
        tick(addr_of_mut!((*slot).n_redirected));
    }
    SK_PASS
}

/// Removes the bytes at the front that the stream has already delivered; false
/// when the kernel could not.
#[inline(always)]
fn trim(ctx: &SkBuffContext, slot: *mut Slot) -> bool {
    // SAFETY: reading kernel memory goes through the faulting helper; the slot
    // is a live map value with one writer.
    unsafe {
        let Some(seq) = read_at::<u32>(ctx.as_ptr(), &SKB_CB) else {
            return false;
        };
        let next = addr_of_mut!((*slot).next_seq);
        if addr_of!((*slot).started).read_volatile() == 0 {
            let sock = (*ctx.skb.skb).__bindgen_anon_2.sk;
            if sock.is_null() {
                return false;
            }
            let tcp = bpf_skc_to_tcp_sock(sock.cast());
            if tcp.is_null() {
                return false;
            }
            let Some(copied) = read_at::<u32>(tcp.cast(), &TCP_COPIED_SEQ) else {
                return false;
            };
            next.write_volatile(copied);
            addr_of_mut!((*slot).started).write_volatile(1);
        }
        let end = seq.wrapping_add(ctx.len());
        let mut extra = overlap(next.read_volatile(), seq);
        if extra > 0 {
            tick(addr_of_mut!((*slot).n_trimmed));
            for _ in 0..ROOM_CALLS {
                let step = if extra > ROOM_MAX { ROOM_MAX } else { extra };
                if step == 0 || bpf_skb_adjust_room(ctx.skb.skb, -(step as i32), 0, 0) != 0 {
                    break;
                }
                extra -= step;
            }
        }
        next.write_volatile(end);
        extra == 0
    }
}

/// Whether the peer cannot take more now. Looks at it once in a while only.
///
/// # Safety
/// `slot` is a live map value.
#[inline(always)]
unsafe fn is_peer_full(slot: *mut Slot, index: u32) -> bool {
    // SAFETY: promised by the caller.
    unsafe {
        let sent =
            addr_of!((*slot).base).read_volatile() + addr_of!((*slot).redirected).read_volatile();
        let look_at = addr_of_mut!((*slot).look_at);
        let segments = addr_of!((*slot).n_redirected).read_volatile();
        if sent < look_at.read_volatile() && !segments.is_multiple_of(LOOK_SEGMENTS) {
            return false;
        }
        let key = peer(index);
        let sock = bpf_map_lookup_elem(addr_of!(SOCKS).cast_mut().cast(), addr_of!(key).cast());
        if sock.is_null() {
            // Redirecting will miss, and say so.
            return false;
        }
        let tcp: *const c_void = bpf_skc_to_tcp_sock(sock).cast();
        let seen = if tcp.is_null() { None } else { Peer::look(tcp) };
        bpf_sk_release(sock);
        let Some(seen) = seen else { return true };
        let limit = addr_of!((*slot).limit).read_volatile();
        let in_flight = sent.saturating_sub(seen.acked);
        if is_full(in_flight, limit, seen.queued, seen.buffer) {
            return true;
        }
        let room = limit - in_flight;
        look_at.write_volatile(sent + if room < LOOK_BYTES { room } else { LOOK_BYTES });
        false
    }
}

/// What of the peer's socket tells whether it can take more.
struct Peer {
    acked: u64,
    queued: u32,
    buffer: u32,
}

impl Peer {
    /// # Safety
    /// `tcp` is a `struct tcp_sock` that is held.
    #[inline(always)]
    unsafe fn look(tcp: *const c_void) -> Option<Self> {
        // SAFETY: promised by the caller.
        unsafe {
            Some(Self {
                acked: read_at(tcp, &TCP_BYTES_ACKED)?,
                queued: read_at(tcp, &SK_WMEM_QUEUED)?,
                buffer: read_at(tcp, &SK_SNDBUF)?,
            })
        }
    }
}

/// Counts the segment as handed to userspace.
///
/// # Safety
/// `slot` is a live map value.
#[inline(always)]
unsafe fn pass(slot: *mut Slot, len: u64) -> u32 {
    // SAFETY: promised by the caller.
    unsafe {
        let passed = addr_of_mut!((*slot).passed);
        passed.write_volatile(passed.read_volatile() + len);
        tick(addr_of_mut!((*slot).n_passed));
    }
    SK_PASS
}

/// Adds one to a wrapping counter.
///
/// # Safety
/// `counter` points into a live map value.
#[inline(always)]
pub unsafe fn tick(counter: *mut u32) {
    // SAFETY: promised by the caller.
    unsafe { counter.write_volatile(counter.read_volatile().wrapping_add(1)) }
}

/// Tells userspace that it has to read this slot's socket. A full ring is not
/// fatal: userspace also compares `passed` with `arm_at` once a second.
#[inline(always)]
fn stop(slot: u32, reason: u32) {
    if let Some(mut record) = EVENTS.reserve::<Event>(0) {
        record.write(Event { slot, reason });
        record.submit(0);
    }
}

/// Reads a field of a kernel structure at an offset that userspace took from BTF.
///
/// # Safety
/// `T` is a plain number.
#[inline(always)]
unsafe fn read_at<T>(base: *const c_void, offset: &u64) -> Option<T> {
    // SAFETY: `.rodata` is initialised; the helper checks the address itself.
    unsafe {
        let offset = core::ptr::from_ref(offset).read_volatile() as usize;
        bpf_probe_read_kernel(base.byte_add(offset).cast::<T>()).ok()
    }
}
