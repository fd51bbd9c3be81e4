//! Loads the data paths that the configuration prefers and this host can run.

use std::net::SocketAddr;
use std::sync::Arc;

use tracing::{error, info, warn};

use crate::config::{Config, PathKind};
use crate::datapath::sockmap::Sockmap;
use crate::datapath::splice::Splice;
use crate::datapath::{DataPath, Paths, Residents};
use crate::flow::{Shared, adopt};
use crate::metrics::{Metrics, path_name};

/// The paths, and what has to be kept running for them.
pub(super) struct Loaded {
    pub(super) paths: Paths,
    pub(super) sockmap: Option<Arc<Sockmap>>,
    pub(super) splice: Option<Arc<Splice>>,
}

/// Loads what the configuration prefers to copying; says once what is used
/// and why something else is not.
pub(super) fn load(config: &Config, metrics: &Arc<Metrics>) -> Loaded {
    let mut sockmap = None;
    let mut splice = None;
    let mut offloads: Vec<Box<dyn DataPath>> = Vec::new();
    let mut words = Vec::new();
    for path in &config.datapath {
        let name = path_name(*path);
        if *path != PathKind::Copy {
            metrics.path(*path).available.set(0);
        }
        let problem = match path {
            PathKind::Copy => {
                words.push(name.to_owned());
                continue;
            }
            PathKind::Splice => match Splice::open(&config.splice, &listeners(config), metrics) {
                Ok(loaded) => {
                    words.push(format!("{name} ({})", hooks(&loaded)));
                    offloads.push(Box::new(loaded.clone()));
                    splice = Some(loaded);
                    continue;
                }
                Err(problem) => problem,
            },
            PathKind::Sockmap => match Sockmap::load(&config.sockmap) {
                Ok(loaded) => {
                    loaded.backends(&addresses(config));
                    words.push(name.to_owned());
                    offloads.push(Box::new(loaded.clone()));
                    sockmap = Some(loaded);
                    continue;
                }
                Err(problem) => problem,
            },
        };
        warn!("data path {name} is not available: {problem:#}");
    }
    info!("data path {}", words.join(", then "));
    Loaded {
        paths: Paths::new(offloads, metrics),
        sockmap,
        splice,
    }
}

/// Takes in the flows that another process has left, and keeps the paths going.
pub(super) fn run(
    sockmap: Option<Arc<Sockmap>>,
    splice: Option<Arc<Splice>>,
    shared: &Arc<Shared>,
) {
    if let Some(sockmap) = sockmap {
        let metrics = shared.metrics.clone();
        tokio::spawn(async move {
            if let Err(error) = sockmap.watch(metrics).await {
                error!("watching the sockmap path: {error:#}");
            }
        });
    }
    if let Some(splice) = splice {
        let adopted = splice.adopt(|memo| adopt(shared, memo));
        if adopted > 0 {
            info!("data path splice: adopted {adopted} flows");
        }
        tokio::spawn(splice.clone().run());
        tokio::spawn(async move {
            if let Err(error) = splice.watch_neighbours().await {
                warn!("splice: next hops that change are noticed by their packets only: {error:#}");
            }
        });
    }
}

/// The process ends: its flows without sockets go on, unless they should not.
pub(super) async fn leave(splice: &Splice, shared: &Shared) {
    if shared.config.load().splice.drop_flows {
        splice.drop_flows().await;
    }
    match Residents::count(splice) {
        0 => {
            if let Err(error) = splice.remove_pins() {
                warn!("splice: removing what is pinned: {error}");
            }
        }
        count => info!("data path splice: {count} flows go on by themselves"),
    }
}

/// Where the programs are, by hook: `tcx on lo, eth0`.
fn hooks(splice: &Splice) -> String {
    let states = splice.interfaces();
    let mut groups: Vec<(String, Vec<&str>)> = Vec::new();
    for state in &states {
        let Some(hook) = &state.hook else { continue };
        let hook = hook.name().to_owned();
        match groups.iter_mut().find(|(known, _)| *known == hook) {
            Some((_, names)) => names.push(&state.name),
            None => groups.push((hook, vec![&state.name])),
        }
    }
    let groups = groups
        .iter()
        .map(|(hook, names)| format!("{hook} on {}", names.join(", ")));
    groups.collect::<Vec<_>>().join("; ")
}

/// Addresses of all backends.
pub(super) fn addresses(config: &Config) -> Vec<SocketAddr> {
    let pools = config.pools.values();
    pools
        .flat_map(|pool| pool.backends.iter().map(|backend| backend.address))
        .collect()
}

fn listeners(config: &Config) -> Vec<SocketAddr> {
    config
        .listeners
        .values()
        .map(|listener| listener.bind)
        .collect()
}
