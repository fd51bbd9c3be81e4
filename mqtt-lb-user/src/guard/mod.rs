//! The guard: drops SYNs of source prefixes over their budget before the kernel spends
//! a socket on them. Nothing of it outlives the process.

mod kernel;
mod top;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::Context as _;
use tokio::time::{MissedTickBehavior, interval};
use tracing::{info, warn};

use crate::config::{self, Attach};
use crate::datapath::splice::interfaces::{self, Interface};
use kernel::{Hook, Kernel};
pub use top::{Spender, top};

/// Time between two looks at the interfaces.
const PERIOD: Duration = Duration::from_secs(1);

/// SYNs since the start, by what the guard did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Totals {
    /// Within their budget.
    pub passed: u64,
    /// Over it.
    pub dropped: u64,
    /// Of networks that are never stopped.
    pub allowed: u64,
    /// Passed because their prefix could not be remembered.
    pub untracked: u64,
}

impl Totals {
    /// Each with its name.
    pub fn named(&self) -> [(&'static str, u64); 4] {
        [
            ("passed", self.passed),
            ("dropped", self.dropped),
            ("allowed", self.allowed),
            ("untracked", self.untracked),
        ]
    }
}

/// The guard while it is on.
pub struct Guard {
    inner: Mutex<Inner>,
}

struct Inner {
    kernel: Kernel,
    attach: Attach,
    names: Vec<String>,
    /// Interfaces that have been tried, by index, and where the program is.
    known: BTreeMap<u32, Option<Hook>>,
}

impl Guard {
    /// Loads the program and puts it on the interfaces; `None` when the guard is off.
    ///
    /// # Errors
    /// One line that says what this host lacks.
    pub fn open(
        config: &config::Guard,
        listeners: &[SocketAddr],
    ) -> anyhow::Result<Option<Arc<Self>>> {
        if config.rate.is_none() {
            return Ok(None);
        }
        let with_xdp = config.attach == Attach::Xdp;
        let mut kernel = Kernel::load(config.size, with_xdp)?;
        kernel.grant(config)?;
        kernel.listen_on(listeners)?;
        let mut inner = Inner {
            kernel,
            attach: config.attach,
            names: config.interfaces.clone(),
            known: BTreeMap::new(),
        };
        inner.refresh()?;
        let guard = Self {
            inner: Mutex::new(inner),
        };
        Ok(Some(Arc::new(guard)))
    }

    /// Takes over other terms and allowed networks; what prefixes have spent stays.
    ///
    /// # Errors
    /// The kernel refuses.
    pub fn apply(&self, config: &config::Guard) -> anyhow::Result<()> {
        self.inner().kernel.grant(config)
    }

    /// SYNs since the start.
    pub fn totals(&self) -> Totals {
        self.inner().kernel.totals()
    }

    /// The prefixes that had most SYNs dropped, then those that sent most; `count` at
    /// most. O(prefixes).
    pub fn top(&self, count: usize) -> Vec<Spender> {
        top(self.inner().kernel.spenders(), count)
    }

    /// Follows interfaces that come and go, for ever.
    pub async fn run(self: Arc<Self>) {
        let mut ticks = interval(PERIOD);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            if let Err(error) = self.inner().refresh() {
                warn!("guard: {error:#}");
            }
        }
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn refresh(&mut self) -> anyhow::Result<()> {
        let all = interfaces::all().context("listing the network interfaces")?;
        let wanted = |i: &&Interface| match self.names.as_slice() {
            [] => i.is_usual() && i.is_up,
            names => names.contains(&i.name),
        };
        let wanted: Vec<&Interface> = all.iter().filter(wanted).collect();
        self.known
            .retain(|index, _| wanted.iter().any(|i| i.ifindex == *index));
        for interface in wanted {
            if self.known.contains_key(&interface.ifindex) {
                continue;
            }
            let hook = self.enter(interface);
            self.known.insert(interface.ifindex, hook);
        }
        Ok(())
    }

    fn enter(&mut self, interface: &Interface) -> Option<Hook> {
        let name = &interface.name;
        if self.attach == Attach::Xdp {
            match self.kernel.attach_xdp(interface.ifindex) {
                Ok(()) => {
                    info!("guard: xdp on {name}");
                    return Some(Hook::Xdp);
                }
                Err(error) => info!("guard: no native XDP on {name}, so tcx: {error:#}"),
            }
        }
        match self.kernel.attach_tcx(name) {
            Ok(()) => {
                info!("guard: tcx on {name}");
                Some(Hook::Tcx)
            }
            Err(error) => {
                warn!("guard: interface {name} is not guarded: {error:#}");
                None
            }
        }
    }
}
