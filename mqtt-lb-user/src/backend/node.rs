//! One broker node and the connections on it.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;

use super::AdminState;
use super::health::{Change, State};
use super::line::Offer;
use super::load::Load;
use super::queue::Queue;
use crate::affinity::{BackendId, Candidate, Server};
use crate::config;
use crate::datapath::backend_tag;
use crate::metrics::{BackendLabels, BackendMetrics, Metrics};

/// A broker node of a pool.
///
/// One object stands for a name of a pool as long as anything refers to it: it lives
/// through reloads, which may change its address and weight, and a removed one lives
/// until its last [`Lease`] ends.
pub struct Backend {
    /// Names the backend in the stick table.
    pub id: BackendId,
    /// Name of its pool.
    pub pool: String,
    /// Name within the pool.
    pub name: String,
    /// [`backend_tag`] of both names.
    pub tag: u32,
    spec: ArcSwap<config::Backend>,
    pub(super) load: Load,
    pub(super) queue: ArcSwap<Queue>,
    admin: AtomicU8,
    admin_epoch: AtomicU32,
    up: AtomicBool,
    status: Mutex<Status>,
    pub(super) counters: BackendMetrics,
    metrics: Arc<Metrics>,
}

/// What changes together with the `backend_up` metric.
#[derive(Default)]
struct Status {
    health: State,
    removed: bool,
}

impl Backend {
    pub(super) fn new(
        id: BackendId,
        pool: &str,
        spec: &config::Backend,
        queue: &Arc<Queue>,
        metrics: &Arc<Metrics>,
    ) -> Self {
        let backend = Self {
            id,
            pool: pool.to_owned(),
            name: spec.name.clone(),
            tag: backend_tag(pool, &spec.name),
            spec: ArcSwap::from_pointee(spec.clone()),
            load: Load::new(spec.weight, Instant::now()),
            queue: ArcSwap::new(Arc::clone(queue)),
            admin: AtomicU8::new(AdminState::Ready as u8),
            admin_epoch: AtomicU32::new(0),
            up: AtomicBool::new(true),
            status: Mutex::default(),
            counters: metrics.backend(pool, &spec.name),
            metrics: Arc::clone(metrics),
        };
        backend.publish(&backend.status());
        backend
    }

    /// Where its MQTT listener is.
    pub fn address(&self) -> SocketAddr {
        self.spec.load().address
    }

    /// Share of new clients relative to the others; 0 takes none.
    pub fn weight(&self) -> u32 {
        self.load.weight()
    }

    /// Sets [`Backend::weight`] until a reload brings another one. The pool has to
    /// follow.
    pub(super) fn set_weight(&self, weight: u32) {
        let status = self.status();
        let before = self.weight();
        self.load.set_weight(weight);
        if before != weight {
            tracing::info!("backend {}/{} has weight {weight}", self.pool, self.name);
        }
        self.publish(&status);
        drop(status);
        self.queue.load().refresh();
    }

    /// Percent of its weight that it has got by now, in the slow start of its pool.
    pub fn ramp(&self, now: Instant, slow_start: Duration) -> u32 {
        self.load.ramp(now, slow_start)
    }

    /// Connections it may have; `None` sets no limit.
    pub fn maxconn(&self) -> Option<u64> {
        self.spec.load().maxconn
    }

    /// Whether it is used only when no other backend takes a client.
    pub fn is_backup(&self) -> bool {
        self.spec.load().backup
    }

    /// Flows on the backend now: [`Lease`]s alive.
    pub fn connections(&self) -> u64 {
        self.load.connections()
    }

    /// What the operator wants of it.
    pub fn admin_state(&self) -> AdminState {
        AdminState::from_u8(self.admin.load(Relaxed))
    }

    /// Sets what the operator wants of it; live connections stay. Holds until the
    /// backend is removed or the process ends.
    pub fn set_admin_state(&self, state: AdminState) {
        let status = self.status();
        let before = AdminState::from_u8(self.admin.swap(state as u8, Relaxed));
        self.admin_epoch.fetch_add(1, Relaxed);
        if before != state {
            tracing::info!("backend {}/{} is set to {state}", self.pool, self.name);
        }
        // Whoever was closed for maintenance has been restarted, as far as is known.
        if before == AdminState::Maint && state != before {
            self.load.rise(Instant::now());
        }
        self.publish(&status);
        drop(status);
        self.queue.load().refresh();
    }

    /// Counts what operators have wanted of it; wraps.
    pub fn admin_epoch(&self) -> u32 {
        self.admin_epoch.load(Relaxed)
    }

    /// Whether its health checks (or their absence) say that it is alive.
    pub fn is_up(&self) -> bool {
        self.up.load(Relaxed)
    }

    /// Whether new clients may go there.
    pub fn takes_new(&self) -> bool {
        self.is_up() && self.admin_state() == AdminState::Ready && self.weight() > 0
    }

    /// Whether clients that the stick table sends there may go there.
    pub fn takes_known(&self) -> bool {
        self.is_up() && self.admin_state() != AdminState::Maint
    }

    /// Metrics of this backend, to count sessions and errors.
    pub fn metrics(&self) -> &BackendMetrics {
        &self.counters
    }

    pub(super) fn candidate(&self, now: Instant, slow_start: Duration) -> Candidate {
        let connections = self.connections();
        Candidate {
            id: self.id,
            weight: self.weight(),
            ramp: self.ramp(now, slow_start),
            connections,
            full: self.maxconn().is_some_and(|most| connections >= most),
            backup: self.is_backup(),
            usable: self.takes_new(),
            sticky_ok: self.takes_known(),
        }
    }

    pub(super) fn server(&self) -> Server {
        Server {
            id: self.id,
            address: self.address(),
            weight: self.weight(),
        }
    }

    /// What a place on it is good for.
    pub(super) fn offer(&self) -> Offer {
        let here = !self.is_removed();
        Offer {
            backend: self.id,
            new: here && self.takes_new(),
            known: here && self.takes_known(),
        }
    }

    /// It has come up: its slow start begins.
    pub(super) fn rise(&self, now: Instant) {
        self.load.rise(now);
    }

    /// Takes over the settings of a reload. A new address is another machine: what the
    /// checks said of the old one is forgotten.
    pub(super) fn configure(&self, spec: &config::Backend, queue: &Arc<Queue>) {
        let mut status = self.status();
        let before = self.spec.swap(Arc::new(spec.clone()));
        if before.address != spec.address {
            status.health = State::default();
            self.load.rise(Instant::now());
        }
        if before.weight != spec.weight {
            self.load.set_weight(spec.weight);
        }
        self.queue.store(Arc::clone(queue));
        status.removed = false;
        self.publish(&status);
    }

    /// The backend left the configuration.
    pub(super) fn remove(&self) {
        let mut status = self.status();
        status.removed = true;
        self.metrics.backend_up.remove(&self.labels());
    }

    pub(super) fn is_removed(&self) -> bool {
        self.status().removed
    }

    /// Takes in the result of a check; a change is for the caller to tell.
    pub(super) fn record(&self, good: bool, health: &config::Health) -> Option<Change> {
        let mut status = self.status();
        let change = status.health.record(good, health.rise, health.fall);
        if let Some(Change::Up { .. }) = change {
            self.load.rise(Instant::now());
        }
        self.publish(&status);
        drop(status);
        if change.is_some() {
            self.queue.load().refresh();
        }
        change
    }

    /// Nobody checks it any more: it counts as up.
    pub(super) fn assume_up(&self) {
        let mut status = self.status();
        status.health = State::default();
        self.publish(&status);
    }

    fn publish(&self, status: &Status) {
        self.up.store(status.health.is_up(), Relaxed);
        if !status.removed {
            self.metrics
                .backend_up
                .get_or_create(&self.labels())
                .set(self.takes_new().into());
        }
    }

    fn labels(&self) -> BackendLabels {
        BackendLabels {
            pool: self.pool.clone(),
            backend: self.name.clone(),
        }
    }

    fn status(&self) -> MutexGuard<'_, Status> {
        self.status.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Backend {
    /// Gauges of a backend that is gone would be lies; its counters are history.
    fn drop(&mut self) {
        self.metrics.backend_up.remove(&self.labels());
        self.metrics.backend_connections.remove(&self.labels());
    }
}
