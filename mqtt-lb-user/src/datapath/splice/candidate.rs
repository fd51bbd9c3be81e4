//! A flow that may be spliced: from before its backend is dialled to the hand-over.

use std::io;
use std::net::SocketAddr;
use std::os::fd::BorrowedFd;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;

use mqtt_lb_ebpf::splice_slot::{MARK, MARK_NO_SACK, MARK_NO_TIMESTAMPS, SpliceSlot, state};
use tracing::debug;

use super::corners::Corners;
use super::handoff::{acknowledge, hand_over, is_quiet};
use super::info::TcpInfo;
use super::left::Left;
use super::residents::Found;
use super::{Splice, slots};
use crate::backend::dial::Tuning;
use crate::datapath::{Directions, Ends, Entry, Offload, Refusal, Return, Route};

/// Bytes of the timestamp option in every segment (RFC 7323, appendix A).
const TIMESTAMP_BYTES: u32 = 12;
/// Smallest value of TCP_MAXSEG (`TCP_MIN_MSS`, net/tcp.h); a client that takes less is
/// not worth a splice.
const MIN_MAXSEG: u32 = 88;
/// Largest value of TCP_MAXSEG (`MAX_TCP_WINDOW`); a client that takes more is on this
/// host.
const MAX_MAXSEG: u32 = 32_767;

/// A connection with a slot, index entries and a source port of its own.
pub struct Candidate {
    path: Arc<Splice>,
    client: SocketAddr,
    front: SocketAddr,
    backend: SocketAddr,
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
        let info = TcpInfo::of(&route.socket).map_err(|e| kernel("TCP_INFO", &e))?;
        let mut candidate = Self {
            path: path.clone(),
            client: route.client,
            front: route.front,
            backend: route.backend,
            seat: None,
            tuning: tuning(&info)?,
        };
        candidate.sit()?;
        Ok(candidate)
    }

    fn sit(&mut self) -> Result<(), Refusal> {
        let source = self
            .path
            .sources
            .take(self.backend)
            .ok_or(Refusal::NoPort)?;
        let corners = Corners::new(self.client, self.front, source, self.backend);
        let corners = corners.inspect_err(|_| self.path.sources.give_back(source, self.backend))?;
        let slot = self.path.pool().take(Instant::now());
        let seat = slot.ok_or(Refusal::TableFull).and_then(|slot| {
            let seat = Seat {
                slot,
                corners,
                entered: true,
            };
            match self.open(&seat) {
                Ok(()) => Ok(seat),
                Err(error) => {
                    self.path.pool().release(slot, Instant::now());
                    Err(kernel("the index", &error))
                }
            }
        });
        let seat = seat.inspect_err(|_| self.path.sources.give_back(source, self.backend))?;
        self.tuning.source = Some(source);
        self.seat = Some(seat);
        Ok(())
    }

    /// Opens the slot for learning, and the way to it.
    fn open(&self, seat: &Seat) -> io::Result<()> {
        let path = &self.path;
        let slots = path.kernel.slots();
        let before = slots::read(slots, seat.slot);
        let mut slot = SpliceSlot {
            state: state::LEARN,
            generation: before.generation.wrapping_add(1),
            ..SpliceSlot::default()
        };
        seat.corners.describe(&mut slot);
        slots::write(slots, seat.slot, &slot);
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
        entered.inspect_err(|_| slots::set_state(slots, seat.slot, state::FREE))
    }

    /// Gives up slot and port.
    fn stand_up(&mut self) {
        self.withdraw();
        if let Some(seat) = self.seat.take() {
            self.path
                .sources
                .give_back(seat.corners.source(), self.backend);
        }
        self.tuning.source = None;
    }

    /// Takes the flow out of the programs' sight; the port stays with its socket.
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
fn tuning(client: &TcpInfo) -> Result<Tuning, Refusal> {
    let options = if client.timestamps {
        TIMESTAMP_BYTES
    } else {
        0
    };
    let takes = client.snd_mss + options;
    if takes < MIN_MAXSEG {
        return Err(Refusal::Mss);
    }
    let lacks = |has: bool, bit: u32| if has { 0 } else { bit };
    let bits = lacks(client.timestamps, MARK_NO_TIMESTAMPS) | lacks(client.sack, MARK_NO_SACK);
    Ok(Tuning {
        source: None,
        max_segment: u16::try_from(takes).ok().filter(|_| takes <= MAX_MAXSEG),
        mark: (bits != 0).then_some(MARK | bits),
    })
}

impl Offload for Candidate {
    fn tuning(&self) -> Tuning {
        self.tuning
    }

    fn choose_source(&mut self) -> bool {
        self.stand_up();
        self.sit().is_ok()
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
        let handed = hand_over(slots, seat.slot, ends, bytes, &mut |mss| {
            path.small_mss(mss)
        })?;
        path.metrics.handover.observe(handed.took.as_secs_f64());
        let slot = slots::read(slots, seat.slot);
        acknowledge(&path.raw, &seat.corners, &slot, &handed);
        let flow = Found {
            slot: seat.slot,
            generation: slot.generation,
            corners: seat.corners,
        };
        self.seat = None;
        Ok(Entry::Dissolved(Box::new(Left::new(
            path.clone(),
            flow,
            handed,
        ))))
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
        self.stand_up();
    }
}

fn kernel(step: &str, error: &io::Error) -> Refusal {
    debug!("splice: a flow is refused at {step}: {error}");
    Refusal::Kernel
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_backend_is_asked_for_what_the_client_has() {
        let info = TcpInfo {
            established: true,
            timestamps: true,
            sack: true,
            ecn: false,
            snd_wscale: 7,
            rcv_wscale: 7,
            snd_mss: 1348,
            advmss: 1460,
        };
        let tuned = |info| tuning(&info).unwrap();
        assert_eq!(tuned(info).max_segment, Some(1360));
        assert_eq!(tuned(info).mark, None);
        let plain = TcpInfo {
            timestamps: false,
            sack: false,
            ..info
        };
        assert_eq!(tuned(plain).max_segment, Some(1348));
        let mark = MARK | MARK_NO_TIMESTAMPS | MARK_NO_SACK;
        assert_eq!(tuned(plain).mark, Some(mark));
        let with_mss = |snd_mss| TcpInfo { snd_mss, ..info };
        assert_eq!(tuned(with_mss(32_768)).max_segment, None);
        assert_eq!(tuned(with_mss(76)).max_segment, Some(88));
        assert_eq!(tuning(&with_mss(75)), Err(Refusal::Mss));
    }
}
