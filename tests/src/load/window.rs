//! The part of a run that is measured.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::histogram::Histogram;
use super::job::Job;
use crate::cpu::Machine;

/// Where a moment lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// The work has not settled yet.
    WarmUp,
    /// What happens now counts.
    Measured,
    /// The run is over.
    Over,
}

/// A measured stretch of time, and the machine's use in it.
#[derive(Debug)]
pub struct Window {
    begin: Instant,
    end: Instant,
    opened: Option<(Instant, Machine)>,
    closed: Option<(Instant, Machine)>,
}

impl Window {
    /// The window of a job that starts to work now.
    pub fn new(job: &Job) -> Self {
        let begin = Instant::now() + job.warm_up;
        Self {
            begin,
            end: begin + job.measured,
            opened: None,
            closed: None,
        }
    }

    /// Where `now` lies. To be called all the time: the machine's use is read when
    /// the window is found open and found closed.
    pub fn part(&mut self, now: Instant) -> Part {
        if now < self.begin {
            return Part::WarmUp;
        }
        if self.opened.is_none() {
            self.opened = Some((now, Machine::now()));
        }
        if now < self.end {
            return Part::Measured;
        }
        if self.closed.is_none() {
            self.closed = Some((now, Machine::now()));
        }
        Part::Over
    }

    /// Time until the window opens or closes, whichever comes next.
    pub fn next(&self, now: Instant) -> Duration {
        let edge = if now < self.begin {
            self.begin
        } else {
            self.end
        };
        edge.saturating_duration_since(now)
    }

    /// Seconds measured, and processor seconds that the machine used in them.
    pub fn spent(&self) -> (f64, f64) {
        match (self.opened, self.closed) {
            (Some((from, before)), Some((to, after))) => (
                (to - from).as_secs_f64(),
                after.busy_since(before).as_secs_f64(),
            ),
            _ => (0.0, 0.0),
        }
    }

    /// The report on what was counted in the window: rate a second, latencies in
    /// microseconds, processor time of the machine in microseconds for each.
    pub fn report(&self, counted: &Histogram) -> Value {
        let (seconds, busy) = self.spent();
        let count = counted.count() as f64;
        json!({
            "rate": count / seconds,
            "p50": counted.quantile_us(0.5),
            "p99": counted.quantile_us(0.99),
            "p999": counted.quantile_us(0.999),
            "cpu": busy * 1e6 / count.max(1.0),
        })
    }
}
