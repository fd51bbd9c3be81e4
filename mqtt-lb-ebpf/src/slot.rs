//! A direction of a flow on the sockmap path, and when its bytes may be redirected.
//!
//! Slot `2 * flow` is the client's socket (client to broker), slot
//! `2 * flow + 1` the backend's socket; [`peer`] is the other one. The same
//! number is the socket's place in the SOCKMAP.

/// `arm_at` of a slot that must not redirect.
pub const NEVER: u64 = u64::MAX;

/// One direction of a flow. The first cache line is written by userspace, the
/// second by the verdict program; each has exactly one writer.
#[repr(C, align(64))]
#[derive(Debug, Clone, Copy)]
pub struct Slot {
    /// The verdict redirects while `passed` equals this: everything it has ever
    /// passed to userspace has been written on. [`NEVER`] while userspace reads.
    pub arm_at: u64,
    /// Bytes userspace has written to the peer socket since it was opened.
    pub base: u64,
    /// Bytes that may be in flight to the peer (not acknowledged by it).
    pub limit: u64,
    /// Reserved, zero.
    pub reserved: [u64; 5],

    /// Bytes handed to userspace since the socket was inserted.
    pub passed: u64,
    /// Bytes redirected to the peer since the socket was inserted.
    pub redirected: u64,
    /// Sequence number of the next byte of the stream, when `started`.
    pub next_seq: u32,
    /// 1 once `next_seq` has been learned from the socket.
    pub started: u32,
    /// Segments redirected; wraps.
    pub n_redirected: u32,
    /// Segments handed to userspace; wraps.
    pub n_passed: u32,
    /// Times the in-flight limit stopped redirecting; wraps.
    pub n_limited: u32,
    /// Times the peer was not in the map; wraps.
    pub n_missed: u32,
    /// Segments that began with bytes already delivered and were trimmed; wraps.
    pub n_trimmed: u32,
    /// 1 once bytes of the stream had to be dropped: the flow has to be reset.
    pub torn: u32,
    /// Reserved, zero.
    pub reserved_bpf: [u32; 2],
    /// Value of `base + redirected` at which to look at the peer again.
    pub look_at: u64,
}

const _: () = assert!(size_of::<Slot>() == 128);
const _: () = assert!(core::mem::offset_of!(Slot, passed) == 64);

/// Slot and SOCKMAP index of the other socket of the same flow.
#[inline(always)]
pub const fn peer(slot: u32) -> u32 {
    slot ^ 1
}

/// Bytes at the front of a segment that the stream has already delivered.
///
/// TCP queues a retransmission that overlaps `rcv_nxt` whole
/// (`tcp_data_queue`, "Partial packet") and leaves the trimming to `recvmsg`;
/// a verdict program sees the segment before that and must trim it itself.
/// Sequence numbers compare modulo 2^32 (RFC 9293, 3.4).
#[inline(always)]
pub const fn overlap(next_seq: u32, segment_seq: u32) -> u32 {
    let ahead = next_seq.wrapping_sub(segment_seq) as i32;
    if ahead > 0 { ahead as u32 } else { 0 }
}

/// Bytes that may be redirected between two looks at the peer.
pub const LOOK_BYTES: u64 = 64 * 1024;
/// Segments that may be redirected between two looks at the peer.
pub const LOOK_SEGMENTS: u32 = 32;

/// Whether the peer cannot take more now.
///
/// `in_flight` of `limit` bytes are not acknowledged; the TCP queue uses `queued`
/// of `buffer` bytes of memory (`sk_wmem_queued`, `sk_sndbuf`). Half of the buffer
/// is kept free for what is redirected until the next look.
#[inline(always)]
pub const fn is_full(in_flight: u64, limit: u64, queued: u32, buffer: u32) -> bool {
    in_flight > limit || queued > buffer / 2
}

/// What a verdict tells userspace about a slot it has stopped redirecting.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Event {
    /// The slot.
    pub slot: u32,
    /// One of the `STOP_*` numbers.
    pub reason: u32,
}

/// The peer cannot take more: the in-flight limit, or its send buffer.
pub const STOP_LIMIT: u32 = 1;
/// The peer socket is not in the map.
pub const STOP_MISS: u32 = 2;
/// Bytes of the stream had to be dropped.
pub const STOP_TORN: u32 = 3;

#[cfg(feature = "user")]
// SAFETY: `repr(C)`, integers only, no padding.
unsafe impl aya::Pod for Slot {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_segment_in_order_has_no_overlap() {
        assert_eq!(overlap(1000, 1000), 0);
        assert_eq!(overlap(0, 0), 0);
    }

    #[test]
    fn a_segment_from_the_past_overlaps_across_the_wrap() {
        assert_eq!(overlap(1000, 900), 100);
        assert_eq!(overlap(5, 0xffff_fffb), 10);
    }

    #[test]
    fn a_segment_from_the_future_has_no_overlap() {
        assert_eq!(overlap(900, 1000), 0);
        assert_eq!(overlap(0xffff_fffb, 5), 0);
    }

    #[test]
    fn a_peer_is_full_by_bytes_or_by_memory() {
        assert!(!is_full(100, 100, 0, 1000));
        assert!(is_full(101, 100, 0, 1000));
        assert!(!is_full(0, 100, 500, 1000));
        assert!(is_full(0, 100, 501, 1000));
    }

    #[test]
    fn peers_are_each_others() {
        assert_eq!(peer(6), 7);
        assert_eq!(peer(7), 6);
    }
}
