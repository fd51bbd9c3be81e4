//! Signals, and the way from the first of them to the end.

use std::time::{Duration, Instant};

use anyhow::Context as _;
use tokio::signal::unix::{self, SignalKind, signal};
use tracing::{info, warn};

use crate::flow::Shared;
use crate::persist::Keeper;

/// Time between two looks at how many connections are left.
const LOOK: Duration = Duration::from_millis(20);
/// Time the connections get to close once they have been told to.
const SETTLE: Duration = Duration::from_secs(2);
/// Time for the last snapshots of the stick tables: a disk may hang.
const SNAPSHOTS: Duration = Duration::from_secs(10);

/// What the process is told to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Signal {
    /// SIGHUP: read the configuration again.
    Reload,
    /// SIGTERM or SIGINT: stop.
    Stop,
}

/// The signals the process listens to.
pub(super) struct Signals {
    hangup: unix::Signal,
    terminate: unix::Signal,
    interrupt: unix::Signal,
}

impl Signals {
    pub(super) fn new() -> anyhow::Result<Self> {
        let listen = |kind| signal(kind).context("listening to signals");
        Ok(Self {
            hangup: listen(SignalKind::hangup())?,
            terminate: listen(SignalKind::terminate())?,
            interrupt: listen(SignalKind::interrupt())?,
        })
    }

    /// Waits for the next one.
    pub(super) async fn next(&mut self) -> Signal {
        tokio::select! {
            _ = self.hangup.recv() => Signal::Reload,
            _ = self.terminate.recv() => Signal::Stop,
            _ = self.interrupt.recv() => Signal::Stop,
        }
    }
}

/// Lets connections go on until none is left, `timeouts.shutdown_grace` has
/// passed, or a second signal asks to hurry.
pub(super) async fn drain(shared: &Shared, signals: &mut Signals) {
    let grace = shared.config.load().timeouts.shutdown_grace;
    let open = shared.attached();
    if open > 0 {
        let grace = humantime::format_duration(grace);
        info!("no new clients; {open} connections may go on for {grace}");
    }
    let deadline = Instant::now() + grace;
    let empty = async {
        while shared.attached() > 0 && Instant::now() < deadline {
            tokio::time::sleep(LOOK).await;
        }
    };
    tokio::select! {
        () = empty => {}
        () = hurried(signals) => info!("asked again: ending now"),
    }
    let left = shared.attached();
    if left > 0 {
        info!("closing {left} connections");
    }
}

async fn hurried(signals: &mut Signals) {
    while signals.next().await != Signal::Stop {}
}

/// Writes the last snapshots of the stick tables.
pub(super) async fn last_snapshots(keeper: Keeper) {
    let written = tokio::time::timeout(SNAPSHOTS, keeper.finish());
    if written.await.is_err() {
        let waited = humantime::format_duration(SNAPSHOTS);
        warn!("the last snapshots are not on disk after {waited}; the ones before stay");
    }
}

/// Waits until all connections have ended, for a short while.
pub(super) async fn settle(shared: &Shared) {
    let deadline = Instant::now() + SETTLE;
    while shared.attached() > 0 && Instant::now() < deadline {
        tokio::time::sleep(LOOK).await;
    }
}
