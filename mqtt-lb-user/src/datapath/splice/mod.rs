//! The splice path: the kernel translates the packets of two TCP connections into
//! each other, and the sockets between them are dissolved.
//!
//! Nothing of an established flow needs this process: maps, programs and links are
//! pinned, and the next process adopts what it finds. See `docs/architecture.md` for
//! the hand-over and its traps.

mod attachments;
pub mod bpffs;
mod candidate;
mod corners;
mod eligible;
pub mod flush;
mod foreign;
mod handoff;
pub mod index4;
mod info;
mod interfaces;
mod judge;
pub mod kernel;
mod layout;
mod left;
mod links;
mod maps;
pub mod neighbour;
mod next_hop;
mod note;
pub mod overlap;
mod pins;
mod ports;
mod raw;
mod repair;
mod resets;
mod residents;
mod room;
mod segment;
mod slots;
mod source;
mod sweep;
pub mod trial;

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use mqtt_lb_ebpf::splice_stat::Stat;
use mqtt_lb_ebpf::tuple::Place;

pub use attachments::{Hook, InterfaceState};

use self::corners::{Corners, Keys, place6};
use self::kernel::SpliceKernel;
use self::raw::Raw;
use self::residents::Registry;
use self::source::Sources;
use super::slot_pool::SlotPool;
use crate::config::{self, PathKind};
use crate::datapath::{DataPath, Offload, Refusal, Residents, Route, Rule};
use crate::metrics::Metrics;

/// The path: pinned maps and attached programs, and who uses what of them.
pub struct Splice {
    kernel: Arc<SpliceKernel>,
    raw: Raw,
    pool: Mutex<SlotPool>,
    sources: Sources,
    registry: Mutex<Registry>,
    resets: resets::Resets,
    metrics: Arc<Metrics>,
    idle_timeout: Duration,
    /// Largest segment that clients should be told to send; `u16::MAX` for no limit.
    max_segment: AtomicU16,
}

/// How the slots of the path are used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SlotCounts {
    /// By flows, or connections that may become some.
    pub used: u32,
    /// Not yet: a program may still know them.
    pub resting: u32,
    /// The others.
    pub free: u32,
}

impl Splice {
    /// Loads and attaches the programs, or finds those that another process has left.
    ///
    /// # Errors
    /// One line that says what this host lacks.
    pub fn open(
        config: &config::Splice,
        listeners: &[SocketAddr],
        metrics: &Arc<Metrics>,
    ) -> anyhow::Result<Arc<Self>> {
        let raw = Raw::open()?;
        let opened = SpliceKernel::open(config, listeners)?;
        let found = residents::find(&opened.kernel)?;
        let used: Vec<u32> = found.iter().map(|(flow, _)| flow.slot).collect();
        let sources = Sources::new(config.ports.clone());
        for (flow, _) in &found {
            sources.claim(flow.corners.source(), flow.corners.backend());
        }
        for [backend, source] in opened.foreign {
            sources.claim(source, backend);
        }
        Ok(Arc::new(Self {
            raw,
            pool: Mutex::new(SlotPool::resume(opened.kernel.max_flows(), &used)),
            sources,
            registry: Mutex::new(Registry::new(found)),
            resets: resets::Resets::default(),
            metrics: metrics.clone(),
            idle_timeout: config.idle_timeout,
            max_segment: AtomicU16::new(u16::MAX),
            kernel: Arc::new(opened.kernel),
        }))
    }

    /// What the programs have counted, over all CPUs.
    pub fn stats(&self) -> [u64; Stat::ALL.len()] {
        self.kernel.stats()
    }

    /// How the slots are used now.
    pub fn slot_counts(&self) -> SlotCounts {
        let now = Instant::now();
        let pool = self.pool();
        let (used, resting) = (pool.used(), pool.resting(now));
        SlotCounts {
            used,
            resting,
            free: self.kernel.max_flows() - used - resting,
        }
    }

    /// The interfaces and where the programs are on them.
    pub fn interfaces(&self) -> Vec<InterfaceState> {
        self.kernel.interfaces()
    }

    /// Takes the programs off the interfaces and removes what is pinned: nothing of the
    /// path stays on the host.
    ///
    /// # Errors
    /// A pin cannot be removed.
    pub fn remove_pins(&self) -> std::io::Result<()> {
        self.kernel.remove()
    }

    /// Lets flows follow next hops that get another MAC address, for ever.
    ///
    /// # Errors
    /// The kernel does not tell of its neighbours.
    pub async fn watch_neighbours(&self) -> anyhow::Result<()> {
        neighbour::watch(self.kernel.clone()).await
    }

    /// Enters both directions of a flow into the index.
    fn enter(&self, corners: &Corners, slot: u32) -> std::io::Result<()> {
        let places = [Place::new(slot, 0), Place::new(slot, 1)];
        match corners.keys() {
            Keys::V4([up, down]) => {
                self.kernel.insert4(up, places[0])?;
                self.kernel
                    .insert4(down, places[1])
                    .inspect_err(|_| self.kernel.remove4(&up))
            }
            Keys::V6([(up, to), (down, back)]) => {
                self.kernel.insert6(up, place6(places[0], to))?;
                self.kernel
                    .insert6(down, place6(places[1], back))
                    .inspect_err(|_| self.kernel.remove6(&up))
            }
        }
    }

    /// Takes both directions out of the index.
    fn withdraw(&self, corners: &Corners) {
        match corners.keys() {
            Keys::V4(keys) => keys.iter().for_each(|key| self.kernel.remove4(key)),
            Keys::V6(keys) => keys.iter().for_each(|(key, _)| self.kernel.remove6(key)),
        }
    }

    /// The slot of the flow whose client is at this corner, if there is one.
    fn find(&self, corners: &Corners) -> Option<u32> {
        match corners.keys() {
            Keys::V4([up, _]) => self.kernel.find4(&up),
            Keys::V6([(up, _), _]) => self.kernel.find6(&up).map(|value| value.place),
        }
        .map(Place::slot)
    }

    /// Takes note of an MSS that is smaller than what clients have been told.
    fn small_mss(&self, bytes: u32) {
        let bytes = u16::try_from(bytes).unwrap_or(u16::MAX);
        self.max_segment.fetch_min(bytes, Ordering::Relaxed);
    }

    fn pool(&self) -> MutexGuard<'_, SlotPool> {
        self.pool.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn registry(&self) -> MutexGuard<'_, Registry> {
        self.registry.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl DataPath for Arc<Splice> {
    fn kind(&self) -> PathKind {
        PathKind::Splice
    }

    fn rule(&self) -> Rule {
        Rule::Always
    }

    fn flow(&self, route: &Route<'_>) -> Result<Box<dyn Offload>, Refusal> {
        let candidate = candidate::Candidate::prepare(self, route)?;
        Ok(Box::new(candidate))
    }

    fn residents(&self) -> Option<&dyn Residents> {
        Some(&**self)
    }

    fn max_segment(&self) -> Option<u16> {
        let bytes = self.max_segment.load(Ordering::Relaxed);
        (bytes < u16::MAX).then_some(bytes)
    }
}
