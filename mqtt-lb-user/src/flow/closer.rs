//! Ends the sessions of a backend, not all at once: their clients come back elsewhere.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tracing::{info, warn};

use super::{LiveFlow, Shared};
use crate::backend::Backend;
use crate::datapath::Fate;
use crate::session::End;

/// Time between two looks at the backends' health, and between two batches.
const LOOK: Duration = Duration::from_millis(100);

/// The sessions of one backend at a moment.
pub struct Sessions {
    live: Vec<Arc<LiveFlow>>,
    residents: Vec<u64>,
}

impl Sessions {
    /// Those of the backend of this tag.
    pub fn of(shared: &Shared, tag: u32) -> Self {
        let mut live = shared.live.all();
        live.retain(|flow| flow.tag == tag);
        let residents = shared.paths.residents();
        Self {
            live,
            residents: residents.map_or_else(Vec::new, |r| r.of_backend(tag)),
        }
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.live.len() + self.residents.len()
    }

    /// Resets both sides of each, `rate` sessions a second at most.
    pub async fn end(mut self, shared: Arc<Shared>, rate: u32, down: bool) {
        let (end, fate) = if down {
            (End::BackendDown, Fate::BackendDown)
        } else {
            (End::Killed, Fate::Killed)
        };
        let mut due = 0.0;
        loop {
            due += f64::from(rate) * LOOK.as_secs_f64();
            while due >= 1.0 {
                due -= 1.0;
                if let Some(flow) = self.live.pop() {
                    flow.end(end);
                } else if let Some(id) = self.residents.pop() {
                    if let Some(residents) = shared.paths.residents() {
                        residents.end(id, fate);
                    }
                } else {
                    return;
                }
            }
            tokio::time::sleep(LOOK).await;
        }
    }
}

/// Ends the sessions of a backend at its pool's rate, in the background; how many.
pub fn close(shared: &Arc<Shared>, backend: &Backend, down: bool) -> usize {
    let sessions = Sessions::of(shared, backend.tag);
    let count = sessions.count();
    let pool = shared.pools.get(&backend.pool);
    let rate = pool.map_or(1, |pool| pool.settings().on_marked_down.close_rate);
    tokio::spawn(sessions.end(shared.clone(), rate, down));
    count
}

/// Ends the sessions of a backend that is draining still after `deadline`.
pub fn close_after(shared: &Arc<Shared>, backend: &Arc<Backend>, deadline: Duration) {
    let (shared, backend) = (shared.clone(), backend.clone());
    let epoch = backend.admin_epoch();
    tokio::spawn(async move {
        tokio::time::sleep(deadline).await;
        if backend.admin_epoch() == epoch {
            let count = close(&shared, &backend, false);
            let Backend { pool, name, .. } = &*backend;
            info!("backend {pool}/{name}: the drain is over; ending {count} sessions");
        }
    });
}

/// Follows the backends' health for ever: sessions of one that goes down are ended,
/// where its pool wants that.
pub async fn follow_health(shared: Arc<Shared>) {
    let mut up: HashMap<u32, bool> = HashMap::new();
    loop {
        for pool in shared.pools.all() {
            for backend in pool.backends().iter() {
                let is_up = backend.is_up();
                let was_up = up.insert(backend.tag, is_up).unwrap_or(true);
                if was_up && !is_up && pool.settings().on_marked_down.close {
                    let count = close(&shared, backend, true);
                    if count > 0 {
                        let Backend { pool, name, .. } = &**backend;
                        warn!("backend {pool}/{name} is down; ending {count} sessions");
                    }
                }
            }
        }
        tokio::time::sleep(LOOK).await;
    }
}
