//! Ends idle connections whose ids should be on another backend: their clients come
//! back, and go there.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::{LiveFlow, Shared};
use crate::affinity::rebalance::Closing;
use crate::backend::Pool;
use crate::datapath::Fate;

/// Time between two looks at the pools.
const LOOK: Duration = Duration::from_millis(100);

/// Flows without sockets looked at in one go.
const PAGE: u32 = 512;

/// Time between two searches for idle connections; it doubles while there are none.
const PAUSES: [Duration; 2] = [Duration::from_secs(1), Duration::from_secs(30)];

/// Follows the backends of all pools for ever, and ends what has to move.
pub async fn run(shared: Arc<Shared>) {
    let mut queues: HashMap<String, Queue> = HashMap::new();
    loop {
        let pools = shared.pools.all();
        queues.retain(|name, _| pools.iter().any(|pool| pool.name == *name));
        for pool in pools {
            match pool.follow(Instant::now()) {
                None => {
                    queues.remove(&pool.name);
                }
                Some(idle) => {
                    let queue = queues.entry(pool.name.clone()).or_default();
                    queue.work(&shared, &pool, idle).await;
                }
            }
        }
        tokio::time::sleep(LOOK).await;
    }
}

/// A flow that may have to end.
enum Flow {
    /// It has its sockets.
    Live(Arc<LiveFlow>),
    /// It lives in the kernel; its number and its client id.
    Resident(u64, Vec<u8>),
}

impl Flow {
    fn client_id(&self) -> &[u8] {
        match self {
            Self::Live(flow) => flow.name(),
            Self::Resident(_, id) => id,
        }
    }
}

/// Idle connections of one pool whose ids should move.
struct Queue {
    flows: VecDeque<Flow>,
    /// When to search next.
    due: Instant,
    pause: Duration,
    /// Where the search among the flows without sockets goes on.
    from: u32,
}

impl Default for Queue {
    fn default() -> Self {
        Self {
            flows: VecDeque::new(),
            due: Instant::now(),
            pause: PAUSES[0],
            from: 0,
        }
    }
}

impl Queue {
    /// Ends as many as the rate allows.
    async fn work(&mut self, shared: &Shared, pool: &Pool, idle: Duration) {
        let now = Instant::now();
        if self.flows.is_empty() && now >= self.due {
            let all = self.from == 0;
            self.search(shared, pool, idle).await;
            self.pause = match all && self.flows.is_empty() {
                true => (2 * self.pause).min(PAUSES[1]),
                false => PAUSES[0],
            };
            self.due = now + self.pause;
        }
        while let Some(flow) = self.flows.front() {
            match pool.closes(Instant::now(), flow.client_id()) {
                Closing::Later => return,
                Closing::Never => {}
                Closing::Now => end(shared, flow, idle),
            }
            self.flows.pop_front();
        }
    }

    /// Looks for idle connections, not many more than can be ended before they might be
    /// busy again.
    async fn search(&mut self, shared: &Shared, pool: &Pool, idle: Duration) {
        let settings = pool.settings();
        let most = settings.rebalance.map_or(0, |r| 2 * r.rate as usize);
        let tags: Vec<u32> = pool.backends().iter().map(|b| b.tag).collect();
        let mut live = shared.live.all();
        live.retain(|flow| {
            tags.contains(&flow.tag) && !flow.name().is_empty() && flow.last().elapsed() >= idle
        });
        while !live.is_empty() && self.flows.len() < most {
            let some = live.split_off(live.len().saturating_sub(PAGE as usize));
            let moving = pool.moving(Instant::now(), some, |flow| flow.name());
            self.flows.extend(moving.into_iter().map(Flow::Live));
            tokio::task::yield_now().await;
        }
        let Some(residents) = shared.paths.residents() else {
            return;
        };
        let mut from = Some(self.from);
        while let Some(at) = from.filter(|_| self.flows.len() < most) {
            let (page, next) = residents.page(at, PAGE);
            from = next;
            let quiet = page.into_iter().filter(|flow| {
                let known = !flow.memo.cut && !flow.memo.client_id.is_empty();
                known && !flow.closing && flow.idle >= idle && tags.contains(&flow.memo.backend)
            });
            let quiet = quiet.map(|flow| (flow.id, flow.memo.client_id)).collect();
            let moving = pool.moving(Instant::now(), quiet, |(_, id): &(u64, Vec<u8>)| id);
            let moving = moving
                .into_iter()
                .map(|(id, name)| Flow::Resident(id, name));
            self.flows.extend(moving);
            tokio::task::yield_now().await;
        }
        self.from = from.unwrap_or(0);
    }
}

fn end(shared: &Shared, flow: &Flow, idle: Duration) {
    match flow {
        Flow::Live(flow) => flow.end_idle(idle),
        Flow::Resident(id, _) => {
            if let Some(residents) = shared.paths.residents() {
                residents.end(*id, Fate::Rebalanced);
            }
        }
    }
}
