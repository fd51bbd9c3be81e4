//! Checks the backends of all pools, and follows reloads.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;

use tokio::task::AbortHandle;
use tokio::time::{Instant, sleep_until};

use super::check::{Alive, Check, CheckError};
use super::health::Change;
use super::{Backend, Pool, Pools, schedule};
use crate::affinity::BackendId;
use crate::config::Health;

/// Runs the health checks until the future is dropped. Needs a tokio runtime with
/// time and net.
///
/// A backend whose address or check settings change is watched anew, one without
/// checks counts as up. Draining backends and those in maintenance are checked too, so
/// that their health is known when they are made ready.
pub async fn run(pools: Arc<Pools>) {
    let ids = ClientIds::default();
    let mut changes = pools.changes();
    let mut watched: HashMap<BackendId, Watched> = HashMap::new();
    loop {
        changes.borrow_and_update();
        let mut wanted = wanted(&pools, &ids);
        watched.retain(|id, watched| {
            let same = wanted.get(id).is_some_and(|job| *job == watched.job);
            if same {
                wanted.remove(id);
            }
            same
        });
        watched.extend(wanted.into_iter().map(|(id, job)| (id, Watched::new(job))));
        if changes.changed().await.is_err() {
            return;
        }
    }
}

/// A backend and how it is checked.
#[derive(Clone)]
struct Job {
    backend: Arc<Backend>,
    health: Health,
    check: Check,
}

impl PartialEq for Job {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.backend, &other.backend)
            && self.health == other.health
            && self.check == other.check
    }
}

/// A running job; it ends when this is dropped.
struct Watched {
    job: Job,
    task: AbortHandle,
}

impl Watched {
    fn new(job: Job) -> Self {
        let task = tokio::spawn(job.clone().watch()).abort_handle();
        Self { job, task }
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn wanted(pools: &Pools, ids: &ClientIds) -> HashMap<BackendId, Job> {
    pools
        .all()
        .iter()
        .flat_map(|pool| jobs(pool, ids))
        .map(|job| (job.backend.id, job))
        .collect()
}

fn jobs(pool: &Pool, ids: &ClientIds) -> Vec<Job> {
    let settings = pool.settings();
    let backends = pool.backends();
    let Some(health) = settings.health else {
        backends.iter().for_each(|backend| backend.assume_up());
        return Vec::new();
    };
    let job = |backend: &Arc<Backend>| Job {
        backend: Arc::clone(backend),
        health,
        check: Check {
            address: backend.address(),
            kind: health.kind,
            proxy: settings.proxy_protocol,
            timeout: health.timeout,
            client_id: ids.of(backend),
        },
    };
    backends.iter().map(job).collect()
}

/// Client ids of MQTT checks: one per backend and balancer process, so that two
/// balancers do not take each other's session over; 22 bytes, which every broker takes
/// (MQTT 3.1.1 section 3.1.3.1 names 23).
#[derive(Default)]
struct ClientIds(RandomState);

impl ClientIds {
    fn of(&self, backend: &Backend) -> String {
        let hash = self.0.hash_one((&backend.pool, &backend.name));
        format!("mqtt-lb-check-{:08x}", hash as u32)
    }
}

impl Job {
    async fn watch(self) {
        let Backend { pool, name, .. } = &*self.backend;
        let mut due = Instant::now();
        let mut blind = false;
        for round in 0.. {
            due += schedule::delay(pool, name, round, self.health.interval);
            due = due.max(Instant::now());
            sleep_until(due).await;
            match self.check.run().await {
                Ok(alive) => self.passed(alive),
                Err(error) if !error.is_local() => self.failed(&error),
                Err(_) if blind => continue,
                Err(error) => {
                    tracing::warn!("backend {pool}/{name} keeps its state, no check: {error}");
                    blind = true;
                    continue;
                }
            }
            blind = false;
        }
    }

    fn passed(&self, alive: Alive) {
        let Backend { pool, name, .. } = &*self.backend;
        if let Some(code @ 1..) = alive.connack {
            tracing::debug!("check of {pool}/{name}: alive, CONNACK refuses with code {code}");
        }
        if let Some(Change::Up { passed: n }) = self.backend.record(true, &self.health) {
            tracing::info!("backend {pool}/{name} is UP ({n} of {n} checks passed)");
        }
    }

    fn failed(&self, error: &CheckError) {
        let Backend { pool, name, .. } = &*self.backend;
        tracing::debug!("check of {pool}/{name}: {error}");
        if let Some(Change::Down { failed: n }) = self.backend.record(false, &self.health) {
            tracing::warn!("backend {pool}/{name} is DOWN: {error} ({n} of {n} checks failed)");
        }
    }
}
