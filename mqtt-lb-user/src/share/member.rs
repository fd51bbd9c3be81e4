//! A shared pool: its table, under its lock, and its replica.

use std::sync::Arc;
use std::time::Instant;

use tracing::info;

use super::Names;
use super::redis::Keys;
use super::replica::Replica;
use super::request::{Answer, Request};
use super::version::Clock;
use crate::affinity::StickTable;
use crate::backend::Pool;
use crate::metrics::SharePoolMetrics;

/// One of the pools that are shared. Each call holds the table for at most one step.
pub(super) struct Member {
    pub keys: Keys,
    pool: Arc<Pool>,
    replica: Replica,
    metrics: SharePoolMetrics,
    synced: bool,
}

impl Member {
    pub fn new(pool: Arc<Pool>, prefix: &str, metrics: SharePoolMetrics) -> Self {
        Self {
            keys: Keys::new(prefix, &pool.name),
            pool,
            replica: Replica::default(),
            metrics,
            synced: false,
        }
    }

    /// Makes the table take notes, if it does not yet, and sets its clock.
    pub fn start_sharing(&self, clock: Clock, limit: usize, wake: impl Fn() + Send + 'static) {
        self.pool
            .with_table(|table| table.start_sharing(clock, limit, wake));
    }

    pub fn next(&mut self) -> Option<Request> {
        self.with(|replica, now, table, names| replica.next(now, table, names))?
    }

    pub fn answered(&mut self, request: &Request, answer: Answer) {
        self.with(|replica, now, table, names| {
            replica.answered(now, table, names, request, answer);
        });
        if self.replica.is_synced() && !std::mem::replace(&mut self.synced, true) {
            info!("share: pool {} is reconciled", self.pool.name);
        }
    }

    pub fn heard(&mut self, message: &[u8]) {
        self.with(|replica, now, table, names| replica.heard(now, table, names, message));
    }

    pub fn missed(&mut self) {
        self.replica.missed();
    }

    /// The connection is gone.
    pub fn lost(&mut self) {
        self.synced = false;
        self.with(|replica, _, table, _| replica.lost(table));
        self.report();
    }

    pub fn is_filled(&self) -> bool {
        self.replica.is_filled()
    }

    /// Brings the metrics up to date.
    pub fn report(&mut self) {
        let tally = self.replica.take_tally();
        self.metrics.sent.inc_by(tally.sent);
        for (outcome, count) in tally.received() {
            self.metrics.received(outcome).inc_by(count);
        }
        self.metrics.synced.set(self.replica.is_synced().into());
        let queue = self.pool.with_table(|table| {
            let outbox = table.outbox()?;
            Some((outbox.len(), outbox.take_dropped()))
        });
        if let Some((waiting, dropped)) = queue.flatten() {
            self.metrics
                .queue
                .set(i64::try_from(waiting).unwrap_or(i64::MAX));
            self.metrics.dropped.inc_by(dropped);
        }
    }

    fn with<R>(
        &mut self,
        work: impl FnOnce(&mut Replica, Instant, &mut StickTable, &Names) -> R,
    ) -> Option<R> {
        let (pool, replica) = (&self.pool, &mut self.replica);
        let backends = pool.backends();
        let names = backends.iter().map(|b| (b.id, b.name.clone())).collect();
        pool.with_table(|table| work(replica, Instant::now(), table, &names))
    }
}
