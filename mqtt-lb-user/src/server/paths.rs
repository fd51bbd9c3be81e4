//! Chooses the data paths: the first of `datapath` that this host can run.

use std::net::SocketAddr;
use std::sync::Arc;

use tracing::{info, warn};

use crate::config::{Config, PathKind};
use crate::datapath::sockmap::Sockmap;
use crate::datapath::{DataPath, Paths};
use crate::metrics::Metrics;

/// The paths, and what has to be kept running for them.
pub(super) struct Loaded {
    pub(super) paths: Paths,
    pub(super) sockmap: Option<Arc<Sockmap>>,
}

/// Loads what the configuration prefers to copying; says once what is used
/// and why something else is not.
pub(super) fn load(config: &Config, metrics: &Metrics) -> Loaded {
    let preferred = config
        .datapath
        .iter()
        .take_while(|path| **path != PathKind::Copy);
    let mut sockmap = None;
    for path in preferred {
        metrics.path(*path).available.set(0);
        if *path == PathKind::Splice {
            continue;
        }
        match Sockmap::load(&config.sockmap) {
            Ok(loaded) => {
                loaded.backends(&addresses(config));
                sockmap = Some(loaded);
            }
            Err(error) => warn!("data path sockmap is not available: {error:#}"),
        }
    }
    let offload = sockmap
        .clone()
        .map(|sockmap| Box::new(sockmap) as Box<dyn DataPath>);
    match &offload {
        Some(path) => info!(
            "data path {}, then copy",
            crate::metrics::path_name(path.kind())
        ),
        None => info!("data path copy"),
    }
    Loaded {
        paths: Paths::new(offload, metrics),
        sockmap,
    }
}

/// Addresses of all backends.
pub(super) fn addresses(config: &Config) -> Vec<SocketAddr> {
    let pools = config.pools.values();
    pools
        .flat_map(|pool| pool.backends.iter().map(|backend| backend.address))
        .collect()
}
