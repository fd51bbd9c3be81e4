//! Wires listeners, workers, pools, admin and signals into one process.

mod listen;
mod paths;
mod reload;
mod share;
mod shutdown;
mod workers;

use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use arc_swap::ArcSwap;
use sd_notify::NotifyState;
use tokio::sync::watch;
use tracing::{info, warn};

use crate::admin::{self, Phase};
use crate::backend::{Pools, monitor, sweep};
use crate::config::{Config, Origin};
use crate::flow::{Listener, Shared, closer, mover};
use crate::ids::Ids;
use crate::logging;
use crate::metrics::Metrics;
use crate::persist::{self, Keeper};
use reload::Source;
use workers::Workers;

/// Time between a clean stop's last connection and the end of the process.
const FAREWELL: Duration = Duration::from_secs(5);

/// Runs the balancer until SIGTERM or SIGINT has been followed to its end.
/// SIGHUP reads `source` again, if there is one.
///
/// # Errors
/// One line: what could not be set up, and what to do.
pub fn run(config: Config, source: Option<Origin>) -> anyhow::Result<()> {
    logging::init(&config.log)?;
    // The control thread does what no client waits for; clients have the workers.
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("starting the runtime")?
        .block_on(control(config, source))
}

async fn control(config: Config, source: Option<Origin>) -> anyhow::Result<()> {
    let metrics = Arc::new(Metrics::new());
    let pools = Arc::new(Pools::new(&config, &metrics));
    let (stop, stopping) = watch::channel(false);
    let (close, closing) = watch::channel(false);
    let (farewell, leaving) = watch::channel(false);

    let mut signals = shutdown::Signals::new()?;
    let sockets = listen::bind_all(&config)?;
    let admin_socket = config.admin.as_deref().map(admin::unix::Server::bind);
    let admin_socket = admin_socket.transpose()?;
    let http = config.http.map(admin::http::Server::bind).transpose()?;
    listen::raise_descriptor_limit(config.limits.max_connections);

    for pool in pools.all() {
        persist::load(&pool);
    }
    let loaded = paths::load(&config, &metrics);
    let source = Source::new(source, &config);
    let listeners = sockets
        .iter()
        .map(|listener| Listener::new(&listener.name, &metrics));
    let ids = Ids::new(&config.ids, Instant::now());
    let shared = Arc::new(Shared {
        listeners: listeners.map(Arc::new).collect(),
        config: ArcSwap::from_pointee(config),
        pools: pools.clone(),
        metrics,
        paths: loaded.paths,
        open: AtomicUsize::new(0),
        detached: AtomicUsize::new(0),
        live: Arc::default(),
        ids,
        stop: stopping,
    });
    paths::run(loaded.sockmap.clone(), loaded.splice.clone(), &shared);
    let context = admin::Context::new(pools.clone(), shared.metrics.clone())
        .with_flows(shared.clone(), loaded.splice.clone());
    let context = Arc::new(context);

    tokio::spawn(closer::follow_health(shared.clone()));
    tokio::spawn(mover::run(shared.clone()));
    tokio::spawn(sweep::run(pools.clone()));
    tokio::spawn(monitor::run(pools.clone()));
    let mut servers = tokio::task::JoinSet::new();
    if let Some(server) = admin_socket {
        servers.spawn(server.serve(context.clone(), leaving.clone()));
    }
    if let Some(server) = http {
        servers.spawn(server.serve(context.clone(), leaving));
    }
    share::start(&shared, source.share()).await;
    let keeper = Keeper::start(pools)?;
    let workers = Workers::start(sockets, &shared, &closing)?;
    context.status.enter(Phase::Serving);
    notify(&[NotifyState::Ready]);
    info!("mqtt-lb {} is serving", env!("CARGO_PKG_VERSION"));

    while signals.next().await == shutdown::Signal::Reload {
        source.reload(&shared, loaded.sockmap.as_deref());
    }
    context.status.enter(Phase::Draining);
    notify(&[NotifyState::Stopping]);
    close.send_replace(true);
    // Now, not at the end: the next process may start while this one still drains.
    tokio::join!(
        shutdown::drain(&shared, &mut signals),
        shutdown::last_snapshots(keeper)
    );
    stop.send_replace(true);
    workers.join();
    if let Some(splice) = loaded.splice {
        paths::leave(&splice, &shared).await;
    }
    farewell.send_replace(true);
    let answered = tokio::time::timeout(FAREWELL, async {
        while servers.join_next().await.is_some() {}
    });
    if answered.await.is_err() {
        warn!("an admin connection is still open; ending it");
    }
    info!("mqtt-lb has stopped");
    Ok(())
}

/// Tells systemd, when it waits to be told.
fn notify(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        warn!("telling systemd: {error}");
    }
}
