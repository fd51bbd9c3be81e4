//! Clients that come all at once.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::Result;
use mqtt_lb_tests::cpu::Clock;
use mqtt_lb_tests::load::{Job, Work};

use super::{PATIENCE, Round, number};
use crate::bench::loader::{Loader, Place};
use crate::bench::stand::Stand;

/// Backends, and processes of clients.
pub const PROCESSES: usize = 3;
/// Time until the last one must be let in.
const LIMIT: Duration = Duration::from_secs(40);

/// A storm of that many clients. They are new to the balancer.
///
/// # Errors
/// If a part of it fails, or not all are let in in time.
pub fn round(stand: &mut Stand, clients: usize) -> Result<Round> {
    let clock = Clock::now();
    let mut loaders = Vec::new();
    for n in 0..PROCESSES {
        let mut job = Job::new(Work::Storm, stand.targets[n]);
        job.connections = clients / PROCESSES + usize::from(n < clients % PROCESSES);
        job.measured = LIMIT;
        let place = Place::anywhere(&stand.lab.client);
        loaders.push(Loader::start(stand.load(), &place, &job, PATIENCE)?);
    }
    for loader in &mut loaders {
        loader.go()?;
    }
    for loader in &mut loaders {
        loader.ready(LIMIT + PATIENCE)?;
    }
    let foreign = Clock::now().foreign_since(clock);
    let backends = stand.clients_of_backends();
    let mean = backends.iter().sum::<usize>() as f64 / backends.len() as f64;
    let most = backends.iter().max().copied().unwrap_or(0) as f64;
    let mut values = BTreeMap::from([("skew", most / mean), ("retries", 0.0)]);
    for loader in &mut loaders {
        loader.go()?;
        let report = loader.report(PATIENCE)?;
        *values.entry("retries").or_insert(0.0) += number(&report, "retries")?;
        for key in ["seconds", "p99"] {
            let worst = values.entry(key).or_insert(0.0);
            *worst = number(&report, key)?.max(*worst);
        }
    }
    drop(loaders);
    // The next storm is not to meet what is left of this one.
    stand.settle(0)?;
    Ok(Round { values, foreign })
}
