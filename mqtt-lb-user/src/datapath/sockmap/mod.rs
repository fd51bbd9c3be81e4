//! The sockmap path: the kernel redirects segments between the two sockets.
//!
//! The hand-over is armed by count: the verdict program redirects only while
//! it has passed to userspace exactly the bytes that userspace has already
//! written on. See `docs/architecture.md` for the protocol and its traps.

mod btf;
mod flow;
mod kernel;
mod local;
mod log_records;

mod signal;
mod slots;
mod version;
mod watch;

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use anyhow::Context as _;
use tracing::warn;

pub use flow::SockmapFlow;

use crate::config::{PathKind, Sockmap as Config, SockmapPolicy};
use crate::datapath::slot_pool::SlotPool;
use crate::datapath::{DataPath, Offload, Refusal, Route, Rule};
use crate::metrics::Metrics;

/// Send buffer of a socket on the path, in multiples of the in-flight limit: what
/// is redirected has to fit into the TCP queue at once, with what the kernel adds to
/// each segment. Behind bytes that do not fit, the kernel's worker would also hold
/// back what that socket's own peer has sent, without bound.
const SEND_BUFFER: usize = 4;

/// The path: loaded programs, their maps, and who waits for what.
pub struct Sockmap {
    kernel: kernel::Kernel,
    local: Option<local::Local>,
    slots: slots::Slots,
    pool: Mutex<SlotPool>,
    watch: watch::Watch,
    limit: u64,
    /// Send buffer of every socket on the path, bytes.
    send_buffer: usize,
    policy: SockmapPolicy,
    logger: Mutex<Option<log_records::Logger>>,
}

impl Sockmap {
    /// Loads the programs. The error says in one line what this host lacks.
    pub fn load(config: &Config) -> anyhow::Result<Arc<Self>> {
        let mut kernel = kernel::Kernel::load(config.max_flows)?;
        let slots = slots::Slots::map(kernel.slots_fd(), config.max_flows)?;
        let watch = watch::Watch::new(kernel.take_events()?, config.max_flows)?;
        let logger = Mutex::new(Some(kernel.take_logger()?));
        let local = config.local_brokers.then(|| {
            let netns = kernel.netns();
            local::Local::attach(kernel.ebpf(), netns)
        });
        let local = local.and_then(|attached| {
            attached
                .inspect_err(|error| warn!("sockmap.local_brokers is not available: {error:#}"))
                .ok()
        });
        Ok(Arc::new(Self {
            kernel,
            local,
            logger,
            slots,
            pool: Mutex::new(SlotPool::new(config.max_flows)),
            watch,
            limit: config.limit,
            send_buffer: SEND_BUFFER
                * usize::try_from(config.limit).unwrap_or(usize::MAX / SEND_BUFFER),
            policy: config.policy,
        }))
    }

    /// Wakes flows that have to come back to userspace, counts the bytes of the others
    /// and logs what the programs say; runs until the process ends.
    pub async fn watch(self: Arc<Self>, metrics: Arc<Metrics>) -> anyhow::Result<()> {
        let logger = self.logger.lock().expect("logger").take();
        let logger = logger.context("the sockmap path is watched already")?;
        let flows = self.watch.run(&self.slots, self.policy, &metrics.bytes);
        tokio::try_join!(flows, log_records::forward(logger)).map(|_| ())
    }

    /// Takes over which backends there are; those on this host get the short cut.
    pub fn backends(&self, addresses: &[SocketAddr]) {
        let Some(local) = &self.local else { return };
        let ports: Vec<u16> = addresses.iter().map(SocketAddr::port).collect();
        if let Err(error) = local.watch_ports(&ports) {
            warn!("sockmap.local_brokers: {error:#}");
        }
    }
}

/// Hands the path out to flows.
impl DataPath for Arc<Sockmap> {
    fn rule(&self) -> Rule {
        match self.policy {
            SockmapPolicy::Auto => Rule::Quiet,
            SockmapPolicy::Always => Rule::Always,
        }
    }

    fn kind(&self) -> PathKind {
        PathKind::Sockmap
    }

    fn flow(&self, _route: &Route<'_>) -> Result<Box<dyn Offload>, Refusal> {
        Ok(Box::new(SockmapFlow::new(self.clone())))
    }
}
