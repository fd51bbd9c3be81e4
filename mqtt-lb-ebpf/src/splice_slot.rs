//! The state of a spliced flow: two TCP connections that are one on packet level.
//!
//! Direction 0 is client to backend, 1 backend to client. Both are described by
//! the same numbers: what is added to a sequence number of one direction is taken
//! from an acknowledgement of the other.

/// What the programs do with packets of a flow ([`SpliceSlot::state`]).
pub mod state {
    /// Nobody's.
    pub const FREE: u32 = 0;
    /// Packets pass to the stack; the programs learn from them.
    pub const LEARN: u32 = 1;
    /// Packets are dropped until [`super::SpliceSlot::hold_until_ms`], then they pass.
    pub const HOLD: u32 = 2;
    /// Packets are translated and forwarded; none reaches the stack, but for a SYN
    /// of a new connection once the flow is over.
    pub const FORWARD: u32 = 3;
}

/// Bits of [`SpliceSlot::flags`], written by userspace.
pub mod flag {
    /// Both connections use timestamps (RFC 7323).
    pub const TIMESTAMPS: u8 = 1;
}

/// Bits of [`SpliceSlot::seen`], written by the programs on packets of that direction.
pub mod seen {
    /// LEARN: [`super::Lane::edge`] holds a verified TSval.
    pub const TSVAL: u8 = 1;
    /// FORWARD: the receiver's own right edge has passed the promised one.
    pub const EDGE: u8 = 2;
    /// This side's FIN has been forwarded; it ends at [`super::Lane::fin_end`].
    pub const FIN: u8 = 4;
    /// This side sent its FIN before the other did.
    pub const FIRST: u8 = 8;
    /// This side has acknowledged the other's FIN, and nothing newer was sent.
    pub const PEER_FIN: u8 = 16;
    /// This side has sent a valid RST: the flow is over, unless the other side speaks on.
    pub const RST: u8 = 32;
    /// This side has begun a new connection on the 4-tuple of the flow that is over.
    pub const REBORN: u8 = 64;
}

/// One direction: packets that arrive from one peer. Written by the programs but
/// where it says otherwise.
#[repr(C)]
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Lane {
    /// MAC address of the next hop to this direction's sender, learned from its packets.
    pub peer_mac: [u8; 6],
    /// Our MAC address on that link.
    pub own_mac: [u8; 6],
    /// Interface its packets arrive on; 0 until one has.
    pub ifindex: u32,
    /// Newest sequence number this side has sent, plus one (its own numbering). A hint: a
    /// packet that follows the one before is taken at its word, any other must be verified.
    pub seq_end: u32,
    /// Newest acknowledgement this side has sent (its own numbering). A hint: what the
    /// other side has not sent is not believed.
    pub ack: u32,
    /// LEARN: newest TSval of a verified packet, with [`seen::TSVAL`].
    /// FORWARD: right edge that our dissolved socket has promised this direction's
    /// receiver (the receiver's numbering), valid until [`seen::EDGE`];
    /// written by userspace before the state.
    pub edge: u32,
    /// LEARN: MSS option of a SYN or SYN-ACK of this side, bytes; 0 when none was seen.
    /// FORWARD: sequence number behind this side's FIN, with [`seen::FIN`].
    pub fin_end: u32,
    /// When the last packet came: seconds of CLOCK_MONOTONIC.
    pub last_s: u32,
    /// Packets forwarded; wraps. A GSO packet counts once.
    pub packets: u32,
    /// TCP payload bytes forwarded, retransmissions included.
    pub bytes: u64,
}

/// A flow on the splice path. The first cache line is written by userspace (but for
/// `seen`), the lanes by the programs.
#[repr(C)]
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SpliceSlot {
    /// One of [`state`]; the word that opens and closes both directions at once.
    pub state: u32,
    /// Counts uses of the slot; wraps.
    pub generation: u16,
    /// 4 or 6.
    pub family: u8,
    /// Bits of [`flag`].
    pub flags: u8,
    /// HOLD: milliseconds of CLOCK_MONOTONIC, modulo 2^32, at which packets pass again.
    pub hold_until_ms: u32,
    /// Bits of [`seen`], by direction.
    pub seen: [u8; 2],
    /// Reserved, zero.
    pub reserved: u16,
    /// IPv4 addresses of client, our address it connected to, our address towards
    /// the backend, backend; zero with IPv6 (see `Place6`). Network byte order.
    pub addresses: [[u8; 4]; 4],
    /// TCP ports of the same four, network byte order.
    pub ports: [[u8; 2]; 4],
    /// Added to sequence numbers of the direction, taken from acknowledgements of the other.
    pub seq_delta: [u32; 2],
    /// Added to TSval of the direction, taken from TSecr of the other.
    pub ts_delta: [u32; 2],
    /// One's complement difference new - old of the addresses of direction 0, folded, in
    /// the byte order of the checksum field as read natively; that of direction 1 is its complement.
    pub address_sum: u16,
    /// The same of the ports.
    pub port_sum: u16,
    /// Window scale of the direction's sender, and the one its receiver was told (RFC 7323).
    pub scales: [[u8; 2]; 2],
    /// By direction.
    pub lanes: [Lane; 2],
}

const _: () = assert!(size_of::<Lane>() == 48);
const _: () = assert!(size_of::<SpliceSlot>() == 160);
const _: () = assert!(core::mem::offset_of!(SpliceSlot, lanes) == 64);

/// Index into [`SpliceSlot::addresses`] and [`SpliceSlot::ports`].
pub mod end {
    /// The client.
    pub const CLIENT: usize = 0;
    /// Our address the client connected to.
    pub const FRONT: usize = 1;
    /// Our address towards the backend.
    pub const SOURCE: usize = 2;
    /// The backend.
    pub const BACKEND: usize = 3;
}

/// Mask of the socket mark that tells the SYN editor it is meant.
pub const MARK_MASK: u32 = 0xffff_fff0;
/// The mark, without its bits.
pub const MARK: u32 = 0x6d71_6c00;
/// Bit of the mark: the client has no timestamps, our SYN must not offer them.
pub const MARK_NO_TIMESTAMPS: u32 = 1;
/// Bit of the mark: the client has no SACK, our SYN must not offer it.
pub const MARK_NO_SACK: u32 = 2;

/// Whether both sides are done: a new SYN of the same 4-tuple belongs to the stack.
#[inline(always)]
pub const fn is_over(seen: [u8; 2]) -> bool {
    let both = seen[0] & seen[1];
    (seen[0] | seen[1]) & seen::RST != 0 || both & seen::PEER_FIN != 0
}

/// What userspace notes of a flow, for whoever adopts it. The programs never read it.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Note {
    /// [`SpliceSlot::generation`] it belongs to.
    pub generation: u16,
    /// Keepalive of the CONNECT, seconds; 0 means none (MQTT 3.1.1, 3.1.2.10).
    pub keepalive: u16,
    /// Protocol level of the CONNECT.
    pub level: u8,
    /// Bytes of the client id in `id`; [`Note::LONG`] when it does not fit.
    pub id_len: u8,
    /// Code of the CONNACK.
    pub connack: u8,
    /// What the stick table answered.
    pub sticky: u8,
    /// When the client was accepted, seconds since 1970.
    pub accepted_s: u32,
    /// Hash of `pool/backend`.
    pub backend: u32,
    /// Hash of the listener's name.
    pub listener: u32,
    /// Accept to CONNECT, milliseconds, saturated.
    pub waited_ms: u16,
    /// CONNECT to the backend's connection, milliseconds, saturated.
    pub connecting_ms: u16,
    /// The client id, or its beginning.
    pub id: [u8; Self::ID],
}

impl Note {
    /// Bytes of a client id that are kept.
    pub const ID: usize = 40;
    /// `id_len` of a client id that is longer.
    pub const LONG: u8 = u8::MAX;
}

const _: () = assert!(size_of::<Note>() == 64);

#[cfg(feature = "user")]
mod pod {
    use super::{Note, SpliceSlot};

    // SAFETY: `repr(C)`, integers only, no padding.
    unsafe impl aya::Pod for SpliceSlot {}
    // SAFETY: as above.
    unsafe impl aya::Pod for Note {}
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flow_is_over_by_two_fins_or_one_rst() {
        assert!(!is_over([0, 0]));
        assert!(!is_over([seen::PEER_FIN | seen::FIN, seen::FIN]));
        assert!(is_over([seen::PEER_FIN, seen::PEER_FIN | seen::FIN]));
        assert!(is_over([0, seen::RST]));
    }
}
