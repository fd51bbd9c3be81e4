//! Wires listeners, workers, pools, admin and signals into one process.

use std::path::PathBuf;

use crate::config::Config;

/// Serves until the process is told to stop; SIGHUP reads `source` again.
///
/// # Errors
/// What keeps the balancer from starting.
pub fn run(_config: Config, _source: Option<PathBuf>) -> anyhow::Result<()> {
    anyhow::bail!("this build cannot serve")
}
