//! The answer to `show info`.

use std::time::{Duration, Instant};

use crate::admin::{Context, sample};

pub(super) fn info(context: &Context) -> String {
    let backends: Vec<_> = context
        .pools
        .all()
        .iter()
        .flat_map(|pool| pool.backends().to_vec())
        .collect();
    let uptime = context.status.uptime(Instant::now()).as_secs();
    let sessions: u64 = backends.iter().map(|backend| backend.connections()).sum();
    let up = backends.iter().filter(|backend| backend.is_up()).count();
    format!(
        "Name: mqtt-lb\nVersion: {}\nPid: {}\nPhase: {}\nUptime: {}\nUptime_sec: {uptime}\n\
         CurrConns: {sessions}\nBackends: {up}/{} up\nMemory_bytes: {}\nOpen_fds: {}\n",
        env!("CARGO_PKG_VERSION"),
        std::process::id(),
        context.status.phase().name(),
        humantime::format_duration(Duration::from_secs(uptime)),
        backends.len(),
        sample::resident_bytes().unwrap_or(0),
        sample::open_fds().unwrap_or(0),
    )
}
