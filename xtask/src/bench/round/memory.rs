//! Memory of idle connections, and their pings.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Result, bail};
use mqtt_lb_tests::cpu::Clock;
use mqtt_lb_tests::load::{Job, Work};

use super::{PATIENCE, Round, number};
use crate::bench::balancer::Balancer;
use crate::bench::candidate::Candidate;
use crate::bench::loader::{Loader, Place};
use crate::bench::memory;
use crate::bench::stand::{Behind, PER_PROCESS, Setting, Stand};

/// Time over which the pings are spread.
const PINGING: Duration = Duration::from_secs(20);
/// What the whole machine needs for a connection, at the most: two or three sockets,
/// their descriptors and buffers.
const NEEDED: u64 = 20 << 10;

/// Memory for each connection, of a stand made for this round: what others have left
/// behind in the kernel goes with their namespaces.
///
/// # Errors
/// If a part of it fails, or the connections are not on the path to be measured.
pub fn round(
    candidate: Candidate,
    setting: Setting,
    connections: usize,
    pings: bool,
) -> Result<Round> {
    let (available, needed) = (memory::available(), NEEDED * connections as u64);
    if available < needed {
        let [available, needed] = [available, needed].map(|bytes| bytes >> 20);
        bail!("needs {needed} MiB of free memory, and there are {available}");
    }
    let processes = connections.div_ceil(PER_PROCESS);
    let mut stand = Stand::start(candidate, setting, connections, Behind::Prepared(processes))?;
    stand.prove()?;
    let pids = stand.balancer.as_ref().map_or(Vec::new(), Balancer::pids);
    let of_all = |bytes: fn(u32) -> u64| pids.iter().copied().map(bytes).sum::<u64>() as f64;
    let clock = Clock::now();
    let before = (memory::settled_slab() as f64, of_all(memory::private));
    let mut clients = Vec::new();
    for (n, target) in stand.targets.iter().enumerate() {
        let work = if pings { Work::Ping } else { Work::Idle };
        let mut job = Job::new(work, *target);
        job.connections = PER_PROCESS.min(connections - n * PER_PROCESS);
        job.measured = PINGING;
        let time = PATIENCE + Duration::from_millis(4 * job.connections as u64);
        // Many processes: they share the processors.
        let place = Place::anywhere(&stand.lab.client);
        clients.push(Loader::start(setting.load, &place, &job, time)?);
    }
    stand.settle(connections)?;
    let after = (memory::settled_slab() as f64, of_all(memory::private));
    let maps = of_all(memory::maps);
    for client in &mut clients {
        client.go()?;
    }
    let mut values = BTreeMap::new();
    for client in &mut clients {
        let report = client.report(2 * PATIENCE + PINGING)?;
        let lost = number(&report, "lost")?;
        if lost > 0.0 {
            bail!("{lost} connections did not stay idle");
        }
        if pings {
            *values.entry("rate").or_insert(0.0) += number(&report, "rate")?;
            for key in ["p50", "p99"] {
                let worst = values.entry(key).or_insert(0.0);
                *worst = number(&report, key)?.max(*worst);
            }
        }
    }
    let each = |bytes: f64| bytes / connections as f64;
    values.insert("slab", each(after.0 - before.0));
    values.insert("private", each(after.1 - before.1));
    values.insert("maps", each(maps));
    Ok(Round {
        values,
        foreign: Clock::now().foreign_since(clock),
    })
}
