//! Frees expired stick table entries, so that they cost no memory.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, MissedTickBehavior, interval};

use super::{Pool, Pools};

/// Time between two sweeps.
const PERIOD: Duration = Duration::from_secs(1);

/// Entries freed at a time: no client waits longer than this takes for its route.
const STEP: usize = 256;

/// Sweeps the stick tables of all pools until the future is dropped. Needs a tokio
/// runtime with time.
pub async fn run(pools: Arc<Pools>) {
    let mut ticks = interval(PERIOD);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        for pool in pools.all() {
            sweep(&pool).await;
        }
    }
}

/// Frees everything of one table that has expired by now.
async fn sweep(pool: &Pool) {
    let now = Instant::now().into_std();
    while pool.with_table(|table| table.expire(now, STEP)) == Some(STEP) {
        tokio::task::yield_now().await;
    }
}
