//! SIGHUP: reads the configuration again, takes it over whole or not at all.

use std::sync::Arc;

use sd_notify::NotifyState;
use tokio::sync::watch;
use tracing::{error, info, warn};

use crate::backend::Pool;
use crate::config::{Config, Origin, Share};
use crate::datapath::sockmap::Sockmap;
use crate::flow::Shared;
use crate::persist;

/// Where the configuration came from, and what only a restart can change.
pub(super) struct Source {
    origin: Option<Origin>,
    started: Config,
    share: watch::Sender<Option<Share>>,
}

impl Source {
    /// The configuration the process has started with.
    pub(super) fn new(origin: Option<Origin>, config: &Config) -> Self {
        Self {
            origin,
            started: config.clone(),
            share: watch::Sender::new(config.share.clone()),
        }
    }

    /// The `[share]` section, as it is after each reload.
    pub(super) fn share(&self) -> watch::Receiver<Option<Share>> {
        self.share.subscribe()
    }

    /// Reads the file again. A bad one changes nothing; live connections go on
    /// untouched in any case.
    pub(super) fn reload(&self, shared: &Shared, sockmap: Option<&Sockmap>) {
        let Some(origin) = &self.origin else {
            warn!("SIGHUP ignored: there is no configuration file to read again");
            return;
        };
        super::notify(&[
            NotifyState::Reloading,
            NotifyState::monotonic_usec_now().unwrap_or(NotifyState::Ready),
        ]);
        match origin.load() {
            Ok(config) => {
                for section in self.needs_restart(&config) {
                    warn!("reload: a change of {section} takes effect after a restart");
                }
                let before = shared.pools.all();
                shared.pools.apply(&config);
                shared.ids.apply(&config.ids);
                let pools = shared.pools.all();
                let new = |pool: &&Arc<Pool>| before.iter().all(|known| known.name != pool.name);
                pools
                    .iter()
                    .filter(new)
                    .for_each(|pool| persist::load(pool));
                self.share.send_replace(config.share.clone());
                if let Some(sockmap) = sockmap {
                    sockmap.backends(&super::paths::addresses(&config));
                }
                shared.config.store(Arc::new(config));
                shared.metrics.reloads.ok.inc();
                info!("configuration {} reloaded", origin.file.display());
            }
            Err(problems) => {
                for line in problems.lines() {
                    error!("reload refused: {line}");
                }
                shared.metrics.reloads.refused.inc();
            }
        }
        super::notify(&[NotifyState::Ready]);
    }

    fn needs_restart(&self, new: &Config) -> Vec<String> {
        let old = &self.started;
        let fixed = [
            ("workers", old.workers != new.workers),
            ("datapath", old.datapath != new.datapath),
            ("[log]", old.log != new.log),
            ("[admin]", old.admin != new.admin),
            ("[http]", old.http != new.http),
            ("[splice]", old.splice != new.splice),
            ("[sockmap]", old.sockmap != new.sockmap),
        ];
        let listeners = old
            .listeners
            .keys()
            .chain(new.listeners.keys())
            .collect::<std::collections::BTreeSet<_>>()
            .into_iter()
            .filter(|name| {
                let bind = |config: &Config| {
                    let listener = config.listeners.get(*name);
                    listener.map(|listener| (listener.bind, listener.backlog))
                };
                bind(old) != bind(new)
            })
            .map(|name| format!("[listener.{name}]"));
        fixed
            .into_iter()
            .filter(|(_, changed)| *changed)
            .map(|(section, _)| section.to_owned())
            .chain(listeners)
            .collect()
    }
}
