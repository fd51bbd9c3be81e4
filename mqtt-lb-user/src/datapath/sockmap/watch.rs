//! Notices what flows in the kernel need userspace for: a peer that closes, a
//! direction the verdict has stopped, a rate that has become too high.
//!
//! The sockets stand in an epoll of their own that asks for RDHUP only: in the
//! runtime's epoll every redirected segment would wake it up.

use std::io;
use std::net::TcpStream;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use anyhow::Context as _;
use aya::maps::{MapData, RingBuf};
use mqtt_lb_ebpf::slot::{Event, STOP_LIMIT};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

use super::signal::Signal;
use super::slots::Slots;
use crate::config::SockmapPolicy;
use crate::datapath::Return;
use crate::datapath::policy::BUSY;
use crate::metrics::Bytes;

/// Time between two looks at the rates.
const SWEEP: Duration = Duration::from_secs(1);
/// Events taken from the kernel at a time.
const BATCH: usize = 256;

/// Who is in the kernel, and the two queues that tell of them.
pub struct Watch {
    epoll: OwnedFd,
    events: Mutex<Option<RingBuf<MapData>>>,
    parked: Mutex<Vec<Option<Parked>>>,
    running: AtomicBool,
}

struct Parked {
    signal: Arc<Signal>,
    /// Both directions at the last sweep.
    seen: [Seen; 2],
    /// Bytes of both directions that the metrics have already.
    counted: [u64; 2],
}

/// How far a direction has got in the kernel.
#[derive(Debug, Clone, Copy)]
pub struct Seen {
    segments: u32,
    bytes: u64,
}

impl Seen {
    /// A look at a slot.
    pub fn now(slots: &Slots, slot: u32) -> Self {
        Self {
            segments: slots.segments(slot),
            bytes: slots.redirected(slot),
        }
    }
}

impl Watch {
    /// Room for `flows` flows.
    pub fn new(events: RingBuf<MapData>, flows: u32) -> anyhow::Result<Self> {
        // SAFETY: no pointers; the result is checked.
        let epoll = unsafe { libc::epoll_create1(libc::EPOLL_CLOEXEC) };
        if epoll < 0 {
            return Err(io::Error::last_os_error()).context("creating the sockmap path's epoll");
        }
        Ok(Self {
            // SAFETY: a descriptor just made, owned by nobody else.
            epoll: unsafe { OwnedFd::from_raw_fd(epoll) },
            events: Mutex::new(Some(events)),
            parked: Mutex::new((0..flows).map(|_| None).collect()),
            running: AtomicBool::new(true),
        })
    }

    /// Starts to watch a flow that has entered the kernel: both sockets for the
    /// peer's close, those with `true` also for bytes that have come.
    pub fn park(
        &self,
        flow: u32,
        sockets: [(&TcpStream, bool); 2],
        seen: [Seen; 2],
        signal: &Arc<Signal>,
    ) -> io::Result<()> {
        self.parked.lock().expect("parked flows")[flow as usize] = Some(Parked {
            signal: signal.clone(),
            seen,
            counted: [0; 2],
        });
        for (socket, bytes) in sockets {
            let also = if bytes { libc::EPOLLIN } else { 0 };
            let mut event = libc::epoll_event {
                events: (libc::EPOLLRDHUP | libc::EPOLLONESHOT | also) as u32,
                u64: u64::from(flow),
            };
            // SAFETY: two open descriptors and one valid event.
            let result = unsafe {
                libc::epoll_ctl(
                    self.epoll.as_raw_fd(),
                    libc::EPOLL_CTL_ADD,
                    socket.as_raw_fd(),
                    &mut event,
                )
            };
            if result != 0 {
                return Err(io::Error::last_os_error());
            }
        }
        Ok(())
    }

    /// Stops watching a flow; its sockets may be unknown already. Tells how many bytes
    /// of either direction the metrics have counted meanwhile.
    pub fn unpark(&self, flow: u32, sockets: [&TcpStream; 2]) -> [u64; 2] {
        let counted = self.forget(flow);
        for socket in sockets {
            // SAFETY: two open descriptors; DEL takes no event.
            unsafe {
                libc::epoll_ctl(
                    self.epoll.as_raw_fd(),
                    libc::EPOLL_CTL_DEL,
                    socket.as_raw_fd(),
                    std::ptr::null_mut(),
                );
            }
        }
        counted
    }

    /// Forgets a flow whose sockets are closed, or about to be; as [`Watch::unpark`].
    pub fn forget(&self, flow: u32) -> [u64; 2] {
        let entry = self.parked.lock().expect("parked flows")[flow as usize].take();
        entry.map_or([0; 2], |entry| entry.counted)
    }

    /// Whether parked flows can be woken.
    pub fn is_running(&self) -> bool {
        self.running.load(Ordering::SeqCst)
    }

    /// Wakes flows for ever. Should that fail, nobody stays in the kernel.
    pub async fn run(
        &self,
        slots: &Slots,
        policy: SockmapPolicy,
        bytes: &Bytes,
    ) -> anyhow::Result<()> {
        let result = self.wake(slots, policy, bytes).await;
        self.running.store(false, Ordering::SeqCst);
        let parked = self.parked.lock().expect("parked flows");
        for entry in parked.iter().flatten() {
            entry.signal.raise(Return::Stray);
        }
        result
    }

    async fn wake(
        &self,
        slots: &Slots,
        policy: SockmapPolicy,
        bytes: &Bytes,
    ) -> anyhow::Result<()> {
        let events = self.events.lock().expect("events").take();
        let events = events.context("the sockmap path is watched already")?;
        // SAFETY: both descriptors stay open for as long as they are registered:
        // the ring is owned by its AsyncFd, the epoll by `self`.
        let (mut events, epoll) = unsafe {
            (
                AsyncFd::register_with_interest(events, Interest::READABLE)?,
                AsyncFd::register_with_interest(self.epoll.as_raw_fd(), Interest::READABLE)?,
            )
        };
        let mut sweep = tokio::time::interval(SWEEP);
        loop {
            tokio::select! {
                guard = epoll.readable() => {
                    let mut guard = guard?;
                    if self.take_hangups()? < BATCH {
                        guard.clear_ready();
                    }
                }
                guard = events.readable_mut() => {
                    let mut guard = guard?;
                    let ring = guard.get_inner_mut();
                    while let Some(record) = ring.next() {
                        self.stopped(&record);
                    }
                    guard.clear_ready();
                }
                _ = sweep.tick() => {
                    let [up, down] = self.sweep(slots, policy);
                    bytes.up.inc_by(up);
                    bytes.down.inc_by(down);
                }
            }
        }
    }

    fn take_hangups(&self) -> io::Result<usize> {
        let mut batch = [libc::epoll_event { events: 0, u64: 0 }; BATCH];
        // SAFETY: the buffer holds BATCH events.
        let n = unsafe {
            libc::epoll_wait(
                self.epoll.as_raw_fd(),
                batch.as_mut_ptr(),
                BATCH as libc::c_int,
                0,
            )
        };
        if n < 0 {
            return Err(io::Error::last_os_error());
        }
        for event in &batch[..n as usize] {
            let reason = if event.events == libc::EPOLLIN as u32 {
                Return::Stray
            } else {
                Return::Closing
            };
            self.raise(event.u64 as u32, reason);
        }
        Ok(n as usize)
    }

    fn stopped(&self, record: &[u8]) {
        let Some(event) = parse_event(record) else {
            return;
        };
        let reason = if event.reason == STOP_LIMIT {
            Return::Limit
        } else {
            Return::Stray
        };
        self.raise(event.slot / 2, reason);
    }

    fn raise(&self, flow: u32, reason: Return) {
        let parked = self.parked.lock().expect("parked flows");
        if let Some(Some(entry)) = parked.get(flow as usize) {
            entry.signal.raise(reason);
        }
    }

    /// Finds busy flows, and stops whose event found the ring full. Tells how many
    /// bytes went either way since the last sweep.
    fn sweep(&self, slots: &Slots, policy: SockmapPolicy) -> [u64; 2] {
        let mut moved = [0; 2];
        let mut parked = self.parked.lock().expect("parked flows");
        for (flow, entry) in parked.iter_mut().enumerate() {
            let Some(entry) = entry else { continue };
            for (direction, moved) in moved.iter_mut().enumerate() {
                let slot = (2 * flow + direction) as u32;
                let now = Seen::now(slots, slot);
                let before = std::mem::replace(&mut entry.seen[direction], now);
                let bytes = now.bytes - before.bytes;
                entry.counted[direction] += bytes;
                *moved += bytes;
                let rate = now.segments.wrapping_sub(before.segments);
                if rate > BUSY && policy == SockmapPolicy::Auto {
                    entry.signal.raise(Return::Busy);
                }
                if slots.has_stopped(slot) {
                    entry.signal.raise(Return::Stray);
                }
            }
        }
        moved
    }
}

fn parse_event(record: &[u8]) -> Option<Event> {
    let word = |at: usize| Some(u32::from_ne_bytes(record.get(at..at + 4)?.try_into().ok()?));
    Some(Event {
        slot: word(0)?,
        reason: word(4)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_read_as_the_program_writes_them() {
        let mut record = Vec::new();
        record.extend_from_slice(&7u32.to_ne_bytes());
        record.extend_from_slice(&STOP_LIMIT.to_ne_bytes());
        let event = parse_event(&record).unwrap();
        assert_eq!((event.slot, event.reason), (7, STOP_LIMIT));
        assert_eq!(parse_event(&record[..7]), None);
    }
}
