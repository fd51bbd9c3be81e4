//! The hand-over: two quiet sockets become a translation, or stay what they are.

use std::io;
use std::net::TcpStream;
use std::os::fd::{AsFd, AsRawFd as _, BorrowedFd};
use std::time::{Duration, Instant};

use mqtt_lb_ebpf::splice_slot::{SpliceSlot, flag, state};
use tracing::debug;

use super::corners::Corners;
use super::eligible::{Learned, check, check_mss};
use super::info::TcpInfo;
use super::raw::Raw;
use super::repair::{Repaired, Sequences};
use super::segment::Segment;
use super::slots::{self, Translation};
use crate::datapath::mapped::Mapped;
use crate::datapath::{Ends, Refusal, tcp};

/// Longest time the gate may stay shut should this process die meanwhile.
const HOLD: Duration = Duration::from_millis(100);

/// A flow that has been handed over.
pub struct Handed {
    /// Where the sockets of client and backend have stopped.
    pub sequences: [Sequences; 2],
    /// By direction: what its receiver was promised.
    pub edges: [u32; 2],
    /// By socket: TSval it would have sent next, and the one it has seen last.
    clocks: [[u32; 2]; 2],
    /// How long the gate was shut.
    pub took: Duration,
}

/// Whether nothing is under way in a socket's queues.
pub fn is_quiet(socket: BorrowedFd<'_>) -> bool {
    let mut bytes: libc::c_int = 0;
    // SAFETY: FIONREAD (SIOCINQ) writes one int.
    let asked = unsafe { libc::ioctl(socket.as_raw_fd(), libc::FIONREAD, &mut bytes) };
    asked == 0 && bytes == 0 && tcp::unacknowledged(&socket).is_ok_and(|n| n == 0)
}

/// Hands a flow over. `bytes` went either way before; `small_mss` hears of an MSS that
/// clients should have been told.
///
/// # Errors
/// The flow stays on its sockets, unharmed.
pub fn hand_over(
    slots: &Mapped<SpliceSlot>,
    slot: u32,
    ends: &Ends,
    bytes: [u64; 2],
    small_mss: &mut dyn FnMut(u32),
) -> Result<Handed, Refusal> {
    let info = |socket: &TcpStream| TcpInfo::of(socket).map_err(|e| kernel("TCP_INFO", &e));
    let (client, backend) = (info(&ends.client)?, info(&ends.backend)?);
    let seen = slots::read(slots, slot);
    check(&client, &backend, &learned(&seen))?;

    let begin = Instant::now();
    let gate = Gate::shut(slots, slot);
    let repair = |socket| Repaired::enter(socket).map_err(|e| kernel("TCP_REPAIR", &e));
    let mut a = repair(&ends.client)?;
    let mut b = repair(&ends.backend)?;
    let look = |a: &Repaired<'_>, b: &Repaired<'_>| -> Result<[Sequences; 2], Refusal> {
        let read = || Ok([a.sequences()?, b.sequences()?]);
        let sequences = read().map_err(|e: io::Error| kernel("TCP_QUEUE_SEQ", &e))?;
        if is_quiet(ends.client.as_fd()) && is_quiet(ends.backend.as_fd()) {
            Ok(sequences)
        } else {
            Err(Refusal::NotQuiet)
        }
    };
    let before = look(&a, &b)?;
    // What the programs have learned stands still from here on.
    let seen = slots::read(slots, slot);
    let learned = learned(&seen);
    check(&client, &backend, &learned)?;
    let numbers = Numbers::read(&a, &b, &learned).map_err(|e| kernel("reading a socket", &e))?;
    let backend_takes = match learned.backend.fin_end {
        0 => numbers.peer_mss[1],
        mss => mss,
    };
    check_mss(&client, &backend, [numbers.peer_mss[0], backend_takes]).inspect_err(|_| {
        if client.advmss > backend_takes {
            small_mss(backend_takes);
        }
    })?;
    a.deafen().map_err(|e| kernel("SO_ATTACH_FILTER", &e))?;
    b.deafen().map_err(|e| kernel("SO_ATTACH_FILTER", &e))?;
    if look(&a, &b)? != before {
        return Err(Refusal::NotQuiet);
    }
    let scales = [
        [client.snd_wscale, backend.rcv_wscale],
        [backend.snd_wscale, client.rcv_wscale],
    ];
    let translation = numbers.translation(before, scales, client.timestamps, bytes);
    gate.open(&translation);
    let took = begin.elapsed();
    a.keep();
    b.keep();
    Ok(Handed {
        sequences: before,
        edges: translation.edges,
        clocks: numbers.clocks,
        took,
    })
}

/// One acknowledgement to each side, from the socket that is no more: it may have owed
/// one.
pub fn acknowledge(raw: &Raw, corners: &Corners, slot: &SpliceSlot, handed: &Handed) {
    let timed = slot.flags & flag::TIMESTAMPS != 0;
    let sockets = [
        (corners.front(), corners.client(), 1),
        (corners.source(), corners.backend(), 0),
    ];
    for (i, (from, to, direction)) in sockets.into_iter().enumerate() {
        let Sequences { receive, write } = handed.sequences[i];
        let open = handed.edges[direction].wrapping_sub(receive) >> slot.scales[direction][1];
        raw.send(&Segment {
            from,
            to,
            seq: write,
            ack: receive,
            window: u16::try_from(open).unwrap_or(u16::MAX),
            timestamps: timed.then_some(handed.clocks[i]),
            reset: false,
        });
    }
}

/// What is read of two sockets in repair mode, client's first.
struct Numbers {
    peer_mss: [u32; 2],
    edges: [u32; 2],
    clocks: [[u32; 2]; 2],
}

impl Numbers {
    fn read(a: &Repaired<'_>, b: &Repaired<'_>, learned: &Learned) -> io::Result<Self> {
        let clock = |socket: &Repaired<'_>, seen| Ok::<_, io::Error>([socket.timestamp()?, seen]);
        Ok(Self {
            peer_mss: [a.peer_mss()?, b.peer_mss()?],
            edges: [a.window()?.edge(), b.window()?.edge()],
            clocks: [
                clock(a, learned.client.edge)?,
                clock(b, learned.backend.edge)?,
            ],
        })
    }

    /// Numbers of the client's connection and the backend's at the same point of the
    /// streams give what one differs from the other by.
    fn translation(
        &self,
        [a, b]: [Sequences; 2],
        scales: [[u8; 2]; 2],
        timestamps: bool,
        bytes: [u64; 2],
    ) -> Translation {
        let [[a_now, client_last], [b_now, backend_last]] = self.clocks;
        // One tick ahead of anything the dissolved sockets have sent.
        let ahead = |now: u32, last: u32| now.wrapping_add(1).wrapping_sub(last);
        Translation {
            seq_delta: [
                b.write.wrapping_sub(a.receive),
                a.write.wrapping_sub(b.receive),
            ],
            ts_delta: if timestamps {
                [ahead(b_now, client_last), ahead(a_now, backend_last)]
            } else {
                [0; 2]
            },
            scales,
            timestamps,
            // Packets of the client bring the backend's window, and the other way round.
            edges: [self.edges[1], self.edges[0]],
            sent: [a.receive, b.receive],
            acked: [a.write, b.write],
            bytes,
        }
    }
}

/// The flow's gate: shut while this lives, then as before, unless it was opened.
struct Gate<'a> {
    slots: &'a Mapped<SpliceSlot>,
    slot: u32,
    state_after: Option<u32>,
}

impl<'a> Gate<'a> {
    fn shut(slots: &'a Mapped<SpliceSlot>, slot: u32) -> Self {
        slots::hold(slots, slot, HOLD);
        Self {
            slots,
            slot,
            state_after: Some(state::LEARN),
        }
    }

    fn open(mut self, translation: &Translation) {
        slots::forward(self.slots, self.slot, translation);
        self.state_after = None;
    }
}

impl Drop for Gate<'_> {
    fn drop(&mut self) {
        if let Some(state) = self.state_after {
            slots::set_state(self.slots, self.slot, state);
        }
    }
}

fn learned(slot: &SpliceSlot) -> Learned {
    Learned {
        client: slot.lanes[0],
        backend: slot.lanes[1],
        seen: slot.seen,
    }
}

fn kernel(step: &str, error: &io::Error) -> Refusal {
    debug!("splice hand-over refused at {step}: {error}");
    Refusal::Kernel
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_directions_meet_at_the_quiet_point() {
        let a = Sequences {
            receive: 1000,
            write: 0xffff_fff0,
        };
        let b = Sequences {
            receive: 77,
            write: 500,
        };
        let numbers = Numbers {
            peer_mss: [1460; 2],
            edges: [2000, 3000],
            clocks: [[90, 10], [60, 40]],
        };
        let by = numbers.translation([a, b], [[7, 8], [9, 10]], true, [1, 2]);
        let next = |receive: u32, direction: usize| receive.wrapping_add(by.seq_delta[direction]);
        assert_eq!(
            next(a.receive, 0),
            b.write,
            "the client's next byte is the backend's"
        );
        assert_eq!(next(b.receive, 1), a.write);
        let ack = |ack: u32, direction: usize| ack.wrapping_sub(by.seq_delta[1 - direction]);
        assert_eq!(
            ack(a.write, 0),
            b.receive,
            "what the client has, the backend sent"
        );
        assert_eq!(ack(b.write, 1), a.receive);
        assert_eq!(by.ts_delta, [51, 51]);
        assert_eq!(by.edges, [3000, 2000]);
        assert_eq!((by.sent, by.acked), ([1000, 77], [0xffff_fff0, 500]));
    }
}
