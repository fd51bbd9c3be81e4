//! The control surface: unix admin socket and HTTP endpoints.
//!
//! [`command`] reads what an operator asks (pure), [`answer`] does it, [`unix`]
//! and [`http`] carry it. The server owns one [`Context`] and keeps its phase.

pub mod answer;
pub mod command;
mod conversation;
mod flows;
pub mod http;
mod limited;
mod moves;
mod sample;
mod socket_file;
mod status;
mod table;
pub mod unix;
pub mod words;

use std::fmt;
use std::sync::Arc;
use std::time::Instant;

use prometheus_client::registry::Registry;
use tokio::sync::watch;

use crate::backend::{Pool, Pools};
use crate::datapath::splice::Splice;
use crate::flow::Shared;
use crate::metrics::Metrics;

pub use socket_file::SocketError;
pub use status::{Phase, Status};

/// Waits until `shutdown` is true or its sender is gone.
async fn stopped(mut shutdown: watch::Receiver<bool>) {
    let _ = shutdown.wait_for(|stop| *stop).await;
}

/// What operators may look at and change.
pub struct Context {
    /// The pools with their backends and stick tables.
    pub pools: Arc<Pools>,
    /// What the process counts.
    pub metrics: Arc<Metrics>,
    /// What the process is doing.
    pub status: Status,
    /// The connections, once there can be any.
    flows: Option<Arc<Shared>>,
    sampled: Registry,
}

impl Context {
    /// The context of a process that is starting.
    pub fn new(pools: Arc<Pools>, metrics: Arc<Metrics>) -> Self {
        let sampled = sample::registry(&pools, None, None);
        Self {
            pools,
            metrics,
            status: Status::new(Instant::now()),
            flows: None,
            sampled,
        }
    }

    /// Adds the connections, and the path of those without sockets, where there is one.
    pub fn with_flows(mut self, flows: Arc<Shared>, splice: Option<Arc<Splice>>) -> Self {
        self.sampled = sample::registry(&self.pools, Some(flows.clone()), splice);
        self.flows = Some(flows);
        self
    }

    /// All metrics as OpenMetrics text, with those that are read now.
    ///
    /// # Errors
    /// Only when formatting fails.
    pub fn scrape(&self) -> Result<String, fmt::Error> {
        self.metrics.encode(&self.sampled)
    }

    /// Why the process should get no new clients, if it should not.
    pub fn not_ready(&self) -> Option<String> {
        match self.status.phase() {
            Phase::Serving => {}
            phase => return Some(phase.name().to_owned()),
        }
        let dead = |pool: &Pool| !pool.backends().iter().any(|b| b.is_up());
        let dead: Vec<_> = self.pools.all().into_iter().filter(|p| dead(p)).collect();
        let names: Vec<_> = dead.iter().map(|pool| pool.name.as_str()).collect();
        (!dead.is_empty()).then(|| format!("no backend is up in pool {}", names.join(", ")))
    }
}
