//! The flow slots as userspace writes them: the state word last.

use std::ptr::addr_of_mut;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use mqtt_lb_ebpf::splice_slot::{Lane, Note, SpliceSlot, flag, seen, state};

use crate::datapath::mapped::Mapped;

/// What makes two connections one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Translation {
    /// See [`SpliceSlot::seq_delta`].
    pub seq_delta: [u32; 2],
    /// See [`SpliceSlot::ts_delta`].
    pub ts_delta: [u32; 2],
    /// See [`SpliceSlot::scales`].
    pub scales: [[u8; 2]; 2],
    /// Both connections use timestamps.
    pub timestamps: bool,
    /// By direction: the edge promised to its receiver.
    pub edges: [u32; 2],
    /// By direction: where its sender is, and what it has acknowledged.
    pub sent: [u32; 2],
    /// See above.
    pub acked: [u32; 2],
    /// By direction: bytes forwarded before.
    pub bytes: [u64; 2],
}

/// A copy of a slot. Programs may write to it meanwhile: every word is right, not all
/// of them need be of the same moment.
pub fn read(slots: &Mapped<SpliceSlot>, slot: u32) -> SpliceSlot {
    // SAFETY: in bounds and aligned, plain numbers.
    unsafe { slots.at(slot).read_volatile() }
}

/// Writes a slot whole, in a state in which no program writes to it. `state` comes last.
pub fn write(slots: &Mapped<SpliceSlot>, slot: u32, value: &SpliceSlot) {
    let closed = SpliceSlot {
        state: state::FREE,
        ..*value
    };
    // SAFETY: in bounds and aligned; no index entry leads to the slot.
    unsafe { slots.at(slot).write_volatile(closed) };
    set_state(slots, slot, value.state);
}

/// Opens or closes both directions at once.
pub fn set_state(slots: &Mapped<SpliceSlot>, slot: u32, state: u32) {
    // SAFETY: in bounds and aligned; the programs only read the word.
    let word = unsafe { AtomicU32::from_ptr(addr_of_mut!((*slots.at(slot)).state)) };
    word.store(state, Ordering::SeqCst);
}

/// Drops the flow's packets, for `time` at most.
pub fn hold(slots: &Mapped<SpliceSlot>, slot: u32, time: Duration) {
    let until = now_ms().wrapping_add(time.as_millis() as u32);
    // SAFETY: in bounds and aligned; the programs only read the word.
    unsafe { addr_of_mut!((*slots.at(slot)).hold_until_ms).write_volatile(until) };
    set_state(slots, slot, state::HOLD);
}

/// Writes a translation into a slot in HOLD, and opens it.
pub fn forward(slots: &Mapped<SpliceSlot>, slot: u32, by: &Translation) {
    let at = slots.at(slot);
    let before = read(slots, slot);
    let lane = |i: usize| Lane {
        seq_end: by.sent[i],
        ack: by.acked[i],
        edge: by.edges[i],
        fin_end: 0,
        last_s: now_s(),
        packets: 0,
        bytes: by.bytes[i],
        ..before.lanes[i]
    };
    // SAFETY: in bounds and aligned; in HOLD no program that begins writes to the slot.
    unsafe {
        addr_of_mut!((*at).seq_delta).write_volatile(by.seq_delta);
        addr_of_mut!((*at).ts_delta).write_volatile(by.ts_delta);
        addr_of_mut!((*at).scales).write_volatile(by.scales);
        let flags = if by.timestamps { flag::TIMESTAMPS } else { 0 };
        addr_of_mut!((*at).flags).write_volatile(flags);
        addr_of_mut!((*at).lanes).write_volatile([lane(0), lane(1)]);
        addr_of_mut!((*at).seen).write_volatile([0; 2]);
    }
    set_state(slots, slot, state::FORWARD);
}

/// Puts the promised edges right again, should a program that began before HOLD have
/// written what it had learned over them.
pub fn mend_edges(slots: &Mapped<SpliceSlot>, slot: u32, edges: [u32; 2]) {
    let now = read(slots, slot);
    for (i, edge) in edges.into_iter().enumerate() {
        if now.seen[i] & seen::EDGE == 0 && now.lanes[i].edge != edge {
            // SAFETY: in bounds and aligned; in FORWARD no program writes the word.
            unsafe { addr_of_mut!((*slots.at(slot)).lanes[i].edge).write_volatile(edge) };
        }
    }
}

/// Notes what is known of a flow.
pub fn set_note(notes: &Mapped<Note>, slot: u32, note: &Note) {
    // SAFETY: in bounds and aligned; no program reads or writes it.
    unsafe { notes.at(slot).write_volatile(*note) }
}

/// What was noted of a flow.
pub fn note(notes: &Mapped<Note>, slot: u32) -> Note {
    // SAFETY: as above.
    unsafe { notes.at(slot).read_volatile() }
}

/// Bytes of both directions.
pub fn bytes(slots: &Mapped<SpliceSlot>, slot: u32) -> [u64; 2] {
    let at = slots.at(slot);
    [0, 1].map(|i| {
        // SAFETY: in bounds and aligned.
        let word = unsafe { AtomicU64::from_ptr(addr_of_mut!((*at).lanes[i].bytes)) };
        word.load(Ordering::Relaxed)
    })
}

/// Seconds of CLOCK_MONOTONIC, the clock of the programs (`bpf_ktime_get_ns`).
pub fn now_s() -> u32 {
    monotonic().as_secs() as u32
}

/// Milliseconds of the same clock, modulo 2^32.
pub fn now_ms() -> u32 {
    monotonic().as_millis() as u32
}

fn monotonic() -> Duration {
    let mut now = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: one valid structure.
    unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &mut now) };
    Duration::new(now.tv_sec as u64, now.tv_nsec as u32)
}
