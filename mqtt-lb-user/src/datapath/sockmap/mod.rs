//! The sockmap path: the kernel redirects segments between the two sockets.
//!
//! The hand-over is armed by count: the verdict program redirects only while
//! it has passed to userspace exactly the bytes that userspace has already
//! written on. See `docs/architecture.md` for the protocol and its traps.

mod btf;
mod flow;
mod kernel;
mod pool;
mod signal;
mod slots;
mod watch;

use std::sync::{Arc, Mutex};

pub use flow::SockmapFlow;

use crate::config::{PathKind, Sockmap as Config, SockmapPolicy};
use crate::datapath::{DataPath, Offload};

/// The path: loaded programs, their maps, and who waits for what.
pub struct Sockmap {
    kernel: kernel::Kernel,
    slots: slots::Slots,
    pool: Mutex<pool::SlotPool>,
    watch: watch::Watch,
    limit: u64,
    policy: SockmapPolicy,
}

impl Sockmap {
    /// Loads the programs. The error says in one line what this host lacks.
    pub fn load(config: &Config) -> anyhow::Result<Arc<Self>> {
        let mut kernel = kernel::Kernel::load(config.max_flows)?;
        let slots = slots::Slots::map(kernel.slots_fd(), config.max_flows)?;
        let watch = watch::Watch::new(kernel.take_events()?, config.max_flows)?;
        Ok(Arc::new(Self {
            kernel,
            slots,
            pool: Mutex::new(pool::SlotPool::new(config.max_flows)),
            watch,
            limit: config.limit,
            policy: config.policy,
        }))
    }

    /// Wakes flows that have to come back to userspace; runs until the process ends.
    pub async fn watch(self: Arc<Self>) -> anyhow::Result<()> {
        self.watch.run(&self.slots, self.policy).await
    }

    /// Flows that have a slot now.
    pub fn used(&self) -> usize {
        self.pool.lock().expect("slot pool").used()
    }
}

/// Hands the path out to flows.
impl DataPath for Arc<Sockmap> {
    fn policy(&self) -> SockmapPolicy {
        self.policy
    }

    fn kind(&self) -> PathKind {
        PathKind::Sockmap
    }

    fn flow(&self) -> Box<dyn Offload> {
        Box::new(SockmapFlow::new(self.clone()))
    }
}
