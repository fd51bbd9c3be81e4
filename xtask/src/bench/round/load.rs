//! Load on connections that stay, or come and go.

use anyhow::{Result, bail};
use mqtt_lb_tests::cpu::Clock;
use mqtt_lb_tests::load::{Job, Work};

use super::{PATIENCE, Round, number};
use crate::bench::case::{Case, Effort};
use crate::bench::loader::{Loader, Place};
use crate::bench::stand::Stand;

/// Part of the asked rate that must be reached.
const KEPT: f64 = 0.99;

/// A round of load: its work, one after the other, each with connections of its own.
///
/// # Errors
/// If a part of it fails, or the connections are not on the path to be measured.
pub fn round(
    stand: &mut Stand,
    case: &Case,
    works: &[(&'static str, Work)],
    effort: &Effort,
) -> Result<Round> {
    let mut round = Round::default();
    for (key, work) in works {
        let mut job = Job::new(*work, stand.targets[0]);
        job.connections = case.connections;
        job.size = case.size;
        job.warm_up = effort.warm_up;
        job.measured = effort.measured;
        let place = Place::client(&stand.lab);
        let mut loader = Loader::start(stand.load(), &place, &job, PATIENCE)?;
        if *work != Work::Connect {
            stand.settle(case.connections + work.extra())?;
        }
        let before = Clock::now();
        loader.go()?;
        let report = loader.report(PATIENCE + job.warm_up + job.measured)?;
        round.foreign = round.foreign.max(Clock::now().foreign_since(before));
        let rate = number(&report, "rate")?;
        if *work == Work::Paced && rate < KEPT * job.rate as f64 {
            bail!("only {rate:.0} of {} messages/s", job.rate);
        }
        for metric in case.metrics {
            let from = if metric.key == *key {
                "rate"
            } else {
                metric.key
            };
            if let Ok(value) = number(&report, from) {
                round.values.insert(metric.key, value);
            }
        }
    }
    Ok(round)
}
