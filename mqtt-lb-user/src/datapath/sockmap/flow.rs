//! One flow on the sockmap path: the race-free hand-over and its way back.

use std::io::ErrorKind;
use std::net::TcpStream;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;

use mqtt_lb_ebpf::local::LocalKey;
use socket2::SockRef;
use tracing::debug;

use super::Sockmap;
use super::local::{self, Local};
use super::signal::Signal;
use super::watch::Seen;
use crate::datapath::{
    Arrivals, Backlog, Direction, Directions, Ends, Entry, Offload, Refusal, Return, tcp,
};

/// Bytes passed to userspace that the kernel may hold before they are read, in
/// multiples of the in-flight limit. Those behind bytes redirected to the same socket
/// are not charged to it, so the sender's window stays open until they have moved.
const HELD: u64 = 64;

/// A flow that may enter the sockmap.
pub struct SockmapFlow {
    path: Arc<Sockmap>,
    signal: Arc<Signal>,
    place: Option<Place>,
}

/// Where a flow stands in the maps, from its first hand-over to its end.
///
/// Sockets stay in the map: taking one out would drop what it has queued.
struct Place {
    flow: u32,
    cookies: [u64; 2],
    lanes: [Lane; 2],
    /// Both sockets are in the map.
    complete: bool,
    /// The broker's end, when it is on this host: the backend's direction then
    /// goes by sk_msg or by copying, never by the verdict.
    local: Option<LocalKey>,
}

/// One direction's share of a place.
#[derive(Default)]
struct Lane {
    /// Bytes userspace had read before the socket was inserted.
    read_before: u64,
    /// `redirected` of the slot that is accounted for already.
    accounted: u64,
}

/// What the verdict has passed to userspace, for the reader.
struct Passed {
    path: Arc<Sockmap>,
    slot: u32,
    read_before: u64,
}

impl Arrivals for Passed {
    fn handed_over(&self) -> u64 {
        self.read_before + self.path.slots.passed(self.slot)
    }

    fn is_torn(&self) -> bool {
        self.path.slots.is_torn(self.slot)
    }

    fn limit(&self) -> u64 {
        self.path.limit.saturating_mul(HELD)
    }
}

impl SockmapFlow {
    /// A flow that has not entered yet.
    pub fn new(path: Arc<Sockmap>) -> Self {
        Self {
            path,
            signal: Arc::new(Signal::default()),
            place: None,
        }
    }

    /// Puts both sockets under the verdict, which passes and counts.
    ///
    /// Nothing of the streams may be half read: TCP hands whole segments to
    /// the verdict, also the part `recv` has already returned.
    fn insert(&mut self, ends: &Ends, dirs: &mut Directions) -> Result<(), Refusal> {
        let flow = self
            .path
            .pool
            .lock()
            .expect("slot pool")
            .take(Instant::now())
            .ok_or(Refusal::TableFull)?;
        let lane = |direction: &Direction| Lane {
            read_before: direction.read,
            accounted: 0,
        };
        let place = self.place.insert(Place {
            flow,
            cookies: [0; 2],
            lanes: [lane(&dirs.up), lane(&dirs.down)],
            complete: false,
            local: None,
        });
        let lanes = [
            (&ends.client, &mut dirs.up),
            (&ends.backend, &mut dirs.down),
        ];
        for (i, (socket, direction)) in lanes.into_iter().enumerate() {
            let slot = 2 * flow + i as u32;
            self.path.slots.reset(slot, self.path.limit);
            tcp::reserve_send_buffer(socket, self.path.send_buffer)
                .map_err(|error| kernel("SO_SNDBUFFORCE", &error))?;
            direction.arrivals = Some(Box::new(Passed {
                path: self.path.clone(),
                slot,
                read_before: direction.read,
            }));
            place.cookies[i] = tcp::cookie(socket).map_err(|error| kernel("SO_COOKIE", &error))?;
            self.path
                .kernel
                .bind(place.cookies[i], slot)
                .map_err(|error| kernel("FLOWS", &error))?;
            self.path.kernel.insert(slot, socket).map_err(|error| {
                debug!("slot {slot}: SOCKS: {error:#}");
                Refusal::NotEstablished
            })?;
        }
        place.local = self
            .path
            .local
            .as_ref()
            .and_then(|local| local.find(&ends.backend));
        place.complete = true;
        Ok(())
    }

    fn arm_both(&self, place: &Place, ends: &Ends, dirs: &mut Directions) -> Result<(), Refusal> {
        self.arm(place, 0, &ends.client, &mut dirs.up)?;
        match (&self.path.local, &place.local) {
            (Some(local), Some(key)) => arm_local(local, key, 2 * place.flow, &dirs.down),
            _ => self.arm(place, 1, &ends.backend, &mut dirs.down),
        }
    }

    /// Lets the verdict redirect from the byte behind the last one written on.
    ///
    /// The look at the socket takes its lock, as the verdict does: a verdict
    /// that ran before it has left its bytes to be seen here, one that runs
    /// after it sees the armed slot. It also brings the verdict to segments
    /// that were queued before the socket was inserted.
    fn arm(
        &self,
        place: &Place,
        lane: usize,
        source: &TcpStream,
        direction: &mut Direction,
    ) -> Result<(), Refusal> {
        let at = direction.read - place.lanes[lane].read_before;
        let slot = 2 * place.flow + lane as u32;
        self.path.slots.arm(slot, at, direction.written);
        let mut byte = [std::mem::MaybeUninit::<u8>::uninit()];
        match SockRef::from(source).recv_with_flags(&mut byte, libc::MSG_PEEK | libc::MSG_DONTWAIT)
        {
            // Bytes on their way to userspace cannot be seen here, but are counted.
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                if self.path.slots.has_stopped(slot) {
                    Err(Refusal::NotQuiet)
                } else {
                    Ok(())
                }
            }
            Err(_) => {
                direction.failed = true;
                Err(Refusal::NotQuiet)
            }
            Ok(_) => Err(Refusal::NotQuiet),
        }
    }

    fn disarm_both(&mut self, ends: &Ends, dirs: &mut Directions) {
        let Some(place) = &mut self.place else { return };
        for lane in 0..2 {
            self.path.slots.disarm(2 * place.flow + lane);
        }
        if let (Some(local), Some(key)) = (&self.path.local, &place.local) {
            local.disarm(key);
        }
        let directions = [&mut dirs.up, &mut dirs.down];
        let sources = [&ends.client, &ends.backend];
        for (i, (direction, source)) in directions.into_iter().zip(sources).enumerate() {
            // For its lock: a verdict that still saw the slot armed has finished.
            let _ = tcp::bytes_acked(source);
            let redirected = self.path.slots.redirected(2 * place.flow + i as u32);
            let lane = &mut place.lanes[i];
            direction.drained = false;
            let new = redirected - lane.accounted;
            lane.accounted = redirected;
            if new > 0 {
                direction.forwarded += new;
                direction.backlog = Some(Backlog::until(direction.written + direction.forwarded));
            }
        }
        if place.local.is_some() {
            // Nothing is queued on the way: the broker's send has put it into the socket.
            if let Ok(forwarded) = local::forwarded(&ends.client, dirs.down.written) {
                dirs.down.forwarded = forwarded;
            }
        }
    }
}

/// Lets the broker write into the client's socket, when everything it has sent
/// so far has been read and written on.
fn arm_local(local: &Local, key: &LocalKey, client: u32, down: &Direction) -> Result<(), Refusal> {
    match local.sent(key) {
        Some(sent) if sent == down.read => local
            .arm(key, sent, client)
            .map_err(|error| kernel("LOCAL_ARMS", &error)),
        Some(_) => Err(Refusal::NotQuiet),
        None => Err(Refusal::NotEstablished),
    }
}

impl Offload for SockmapFlow {
    fn enter(&mut self, ends: &Ends, dirs: &mut Directions) -> Result<Entry, Refusal> {
        if self.place.is_none() {
            self.insert(ends, dirs)?;
        }
        let Some(place) = &self.place else {
            return Err(Refusal::Kernel);
        };
        if !place.complete {
            return Err(Refusal::NotEstablished);
        }
        if !self.path.watch.is_running() {
            return Err(Refusal::Kernel);
        }
        self.signal.clear();
        let slots = [2 * place.flow, 2 * place.flow + 1];
        let seen = slots.map(|slot| Seen::now(&self.path.slots, slot));
        let sockets = [
            (&ends.client, false),
            (&ends.backend, place.local.is_some()),
        ];
        let result = self
            .path
            .watch
            .park(place.flow, sockets, seen, &self.signal)
            .map_err(|error| kernel("epoll", &error))
            .and_then(|()| self.arm_both(place, ends, dirs));
        if result.is_err() {
            self.leave(ends, dirs);
        }
        result.map(|()| Entry::Parked)
    }

    fn poll_return(&mut self, cx: &mut Context<'_>) -> Poll<Return> {
        self.signal.poll(cx)
    }

    fn leave(&mut self, ends: &Ends, dirs: &mut Directions) {
        if let Some(place) = &self.place {
            let sockets = [&ends.client, &ends.backend];
            let [up, down] = self.path.watch.unpark(place.flow, sockets);
            dirs.up.counted += up;
            dirs.down.counted += down;
        }
        self.disarm_both(ends, dirs);
    }
}

impl Drop for SockmapFlow {
    fn drop(&mut self) {
        let Some(place) = &self.place else { return };
        self.path.watch.forget(place.flow);
        for cookie in place.cookies {
            self.path.kernel.unbind(cookie);
        }
        if let (Some(local), Some(key)) = (&self.path.local, &place.local) {
            local.disarm(key);
        }
        self.path
            .pool
            .lock()
            .expect("slot pool")
            .release(place.flow, Instant::now());
    }
}

fn kernel(step: &str, error: &dyn std::fmt::Display) -> Refusal {
    debug!("sockmap hand-over refused at {step}: {error}");
    Refusal::Kernel
}
