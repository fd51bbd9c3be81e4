//! A flow that may be spliced: from before its backend is dialled to the hand-over.

use std::io;
use std::net::TcpStream;
use std::os::fd::BorrowedFd;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use mqtt_lb_ebpf::splice_slot::{
    MARK, MARK_NO_SACK, MARK_NO_TIMESTAMPS, SpliceSlot, state,
};
use tracing::{debug, error};

use super::corners::Corners;
use super::handoff::{self, Handed, acknowledge, hand_over, is_quiet};
use super::info::TcpInfo;
use super::residents::Found;
use super::{Splice, note, repair, slots};
use crate::backend::dial::Tuning;
use crate::datapath::{
    Departure, Directions, Ends, Entry, Fate, Memo, Offload, Refusal, Resident, Return, Route,
};

/// Bytes of the timestamp option in every segment (RFC 7323, appendix A).
const TIMESTAMP_BYTES: u32 = 12;
/// Largest value of TCP_MAXSEG (`MAX_TCP_WINDOW`, net/tcp.h); a client that takes more
/// is on this host.
const MAX_MAXSEG: u32 = 32_767;
/// How long dissolved sockets are kept, to see that nothing has reached them.
const LINGER: Duration = Duration::from_millis(20);

/// A connection with a slot, index entries and a source port of its own.
pub struct Candidate {
    path: Arc<Splice>,
    /// Given away with the flow when it is handed over.
    seat: Option<Seat>,
    tuning: Tuning,
}

/// What a flow occupies.
struct Seat {
    slot: u32,
    corners: Corners,
    /// The index leads to the slot.
    entered: bool,
}

impl Candidate {
    /// Takes a slot and a port for the flow, and lets the programs learn of it.
    pub fn prepare(path: &Arc<Splice>, route: &Route<'_>) -> Result<Self, Refusal> {
        let info = TcpInfo::of(&route.socket).map_err(|e| refused("TCP_INFO", &e))?;
        let mut candidate = Self {
            path: path.clone(),
            seat: None,
            tuning: tuning(&info),
        };
        let slot = path.pool().take(Instant::now()).ok_or(Refusal::TableFull)?;
        match candidate.sit(route, slot) {
            Ok(()) => Ok(candidate),
            Err(refusal) => {
                path.pool().release(slot, Instant::now());
                Err(refusal)
            }
        }
    }

    fn sit(&mut self, route: &Route<'_>, slot: u32) -> Result<(), Refusal> {
        let source = self.path.sources.take(route.backend).ok_or(Refusal::NoPort)?;
        let corners = Corners::new(route.client, route.front, source, route.backend)?;
        let mut seat = Seat {
            slot,
            corners,
            entered: false,
        };
        let entered = self.enter(&mut seat);
        if entered.is_err() {
            self.path.sources.give_back(&seat.corners);
        }
        entered?;
        self.tuning.source = Some(source);
        self.seat = Some(seat);
        Ok(())
    }

    /// Opens the slot for learning, and the way to it.
    fn enter(&self, seat: &mut Seat) -> Result<(), Refusal> {
        let path = &self.path;
        let before = slots::read(path.kernel.slots(), seat.slot);
        let mut slot = SpliceSlot {
            state: state::LEARN,
            generation: before.generation.wrapping_add(1),
            ..SpliceSlot::default()
        };
        seat.corners.describe(&mut slot);
        slots::write(path.kernel.slots(), seat.slot, &slot);
        let entered = path.enter(&seat.corners, seat.slot).or_else(|error| {
            // The client comes from the address and port of a flow that it has forgotten.
            match path.find(&seat.corners) {
                Some(stale) if error.kind() == io::ErrorKind::AlreadyExists => {
                    path.replace(stale);
                    path.enter(&seat.corners, seat.slot)
                }
                _ => Err(error),
            }
        });
        entered.map_err(|error| {
            slots::set_state(path.kernel.slots(), seat.slot, state::FREE);
            refused("the index", &error)
        })?;
        seat.entered = true;
        Ok(())
    }

    fn withdraw(&mut self) {
        let Some(seat) = self.seat.as_mut().filter(|seat| seat.entered) else {
            return;
        };
        seat.entered = false;
        self.path.withdraw(&seat.corners);
        slots::set_state(self.path.kernel.slots(), seat.slot, state::FREE);
        self.path.pool().release(seat.slot, Instant::now());
    }
}

/// What the connection to the backend needs to be like for its handshake to end as the
/// client's did.
fn tuning(client: &TcpInfo) -> Tuning {
    let options = if client.timestamps { TIMESTAMP_BYTES } else { 0 };
    let takes = client.snd_mss + options;
    let lacks = |has: bool, bit: u32| if has { 0 } else { bit };
    let bits = lacks(client.timestamps, MARK_NO_TIMESTAMPS) | lacks(client.sack, MARK_NO_SACK);
    Tuning {
        source: None,
        max_segment: u16::try_from(takes).ok().filter(|_| takes <= MAX_MAXSEG),
        mark: (bits != 0).then_some(MARK | bits),
    }
}

impl Offload for Candidate {
    fn tuning(&self) -> Tuning {
        self.tuning
    }

    fn choose_source(&mut self) -> bool {
        self.withdraw();
        let Some(old) = self.seat.take() else {
            return false;
        };
        self.path.sources.give_back(&old.corners);
        self.tuning.source = None;
        let Some(slot) = self.path.pool().take(Instant::now()) else {
            return false;
        };
        let again = self.reseat(&old.corners, slot);
        if again.is_none() {
            self.path.pool().release(slot, Instant::now());
        }
        again.is_some()
    }

    fn looks_quiet(&self, client: BorrowedFd<'_>, backend: BorrowedFd<'_>) -> bool {
        is_quiet(client) && is_quiet(backend)
    }

    fn enter(&mut self, ends: &Ends, dirs: &mut Directions) -> Result<Entry, Refusal> {
        let seat = self.seat.as_ref().filter(|seat| seat.entered);
        let seat = seat.ok_or(Refusal::Kernel)?;
        let bytes = [dirs.up.total(), dirs.down.total()];
        let path = &self.path;
        let slots = path.kernel.slots();
        let handed = hand_over(slots, seat.slot, ends, bytes, &mut |mss| path.small_mss(mss))?;
        path.metrics.handover.observe(handed.took.as_secs_f64());
        let slot = slots::read(slots, seat.slot);
        acknowledge(&path.raw, &seat.corners, &slot, &handed);
        let left = Left {
            path: path.clone(),
            flow: Found {
                slot: seat.slot,
                generation: slot.generation,
                corners: seat.corners,
            },
            handed,
            bytes,
        };
        self.seat = None;
        Ok(Entry::Dissolved(Box::new(left)))
    }

    fn poll_return(&mut self, _cx: &mut Context<'_>) -> Poll<Return> {
        Poll::Pending
    }

    fn leave(&mut self, _ends: &Ends, _dirs: &mut Directions) {}

    fn retire(&mut self) {
        self.withdraw();
    }
}

impl Drop for Candidate {
    fn drop(&mut self) {
        self.withdraw();
        if let Some(seat) = self.seat.take() {
            self.path.sources.give_back(&seat.corners);
        }
    }
}
