//! The thread that writes snapshots.

use std::collections::HashSet;
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::Context as _;
use tokio::sync::oneshot;
use tracing::{info, warn};

use super::save::save;
use super::schedule::Schedule;
use crate::backend::{Pool, Pools};

/// Longest time without a look at the pools: a reload may have changed them.
const LOOK: Duration = Duration::from_secs(1);

/// Writes the snapshots of all pools, each in its interval, and all at the end.
///
/// It has a thread of its own, so that a slow disk keeps nobody waiting, not even the
/// end of the process.
pub struct Keeper {
    stop: mpsc::Sender<oneshot::Sender<()>>,
}

impl Keeper {
    /// Starts it.
    ///
    /// # Errors
    /// The thread cannot be started.
    pub fn start(pools: Arc<Pools>) -> anyhow::Result<Self> {
        let (stop, stopped) = mpsc::channel();
        thread::Builder::new()
            .name("snapshot".to_owned())
            .spawn(move || run(&pools, &stopped))
            .context("starting the thread that writes snapshots")?;
        Ok(Self { stop })
    }

    /// Writes all of them once more, and then no more; ready when they are on disk.
    pub async fn finish(self) {
        let (done, written) = oneshot::channel();
        if self.stop.send(done).is_ok() {
            // An error is a thread that has panicked, and has said so.
            let _ = written.await;
        }
    }
}

fn run(pools: &Pools, stopped: &mpsc::Receiver<oneshot::Sender<()>>) {
    let mut schedule = Schedule::default();
    let mut failing = HashSet::new();
    loop {
        let all = pools.all();
        let settings: Vec<_> = all.iter().map(|pool| pool.settings()).collect();
        let intervals: Vec<_> = all
            .iter()
            .zip(&settings)
            .filter(|(_, settings)| settings.snapshot.path.is_some() && settings.stick.is_some())
            .map(|(pool, settings)| (pool.name.as_str(), settings.snapshot.interval))
            .collect();
        let (due, rest) = schedule.due(Instant::now(), &intervals);
        for pool in all.iter().filter(|pool| due.contains(&pool.name.as_str())) {
            write(pool, &mut failing);
        }
        match stopped.recv_timeout(rest.unwrap_or(LOOK).min(LOOK)) {
            Err(mpsc::RecvTimeoutError::Timeout) => {}
            Err(mpsc::RecvTimeoutError::Disconnected) => return,
            Ok(done) => {
                for pool in pools.all() {
                    write(&pool, &mut failing);
                }
                // Nobody may be waiting any more.
                let _ = done.send(());
                return;
            }
        }
    }
}

/// Writes one snapshot, and counts it. Of failures in a row the first is logged.
fn write(pool: &Pool, failing: &mut HashSet<String>) {
    let settings = pool.settings();
    let Some(path) = &settings.snapshot.path else {
        return;
    };
    let metrics = pool.metrics().snapshot();
    let begin = Instant::now();
    match save(pool, path) {
        Ok(None) => {}
        Ok(Some(saved)) => {
            let wall = SystemTime::now().duration_since(UNIX_EPOCH);
            metrics.written.set(saved.entries as i64);
            metrics.bytes.set(saved.bytes as i64);
            metrics
                .timestamp
                .set(wall.map_or(0.0, |wall| wall.as_secs_f64()));
            metrics.write_seconds.set(begin.elapsed().as_secs_f64());
            metrics.longest_hold.set(saved.longest_hold.as_secs_f64());
            if failing.remove(&pool.name) {
                info!(
                    "pool {}: the snapshot {} is written again",
                    pool.name,
                    path.display()
                );
            }
        }
        Err(error) => {
            metrics.write_failures.inc();
            if failing.insert(pool.name.clone()) {
                warn!(
                    "pool {}: the snapshot {} cannot be written, the one before stays: {error}",
                    pool.name,
                    path.display()
                );
            }
        }
    }
}
