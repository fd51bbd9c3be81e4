//! `mqtt-lb doctor`: which data paths this host can run, and why not the others.

mod capabilities;
mod kernel;
mod paths;
mod pins;
mod ports;
mod repair;
mod splice;

use std::fmt;

use crate::config::Config;

pub use paths::can_run;

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// What it is.
    pub subject: String,
    /// Whether it is as it should be.
    pub is_ok: bool,
    /// What was found; with a fault, why and what to do.
    pub detail: String,
}

impl Line {
    /// The outcome of a check that explains itself either way.
    pub fn new(subject: impl Into<String>, outcome: anyhow::Result<String>) -> Self {
        Self {
            subject: subject.into(),
            is_ok: outcome.is_ok(),
            detail: outcome.unwrap_or_else(|error| format!("{error:#}")),
        }
    }
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let verdict = if self.is_ok { "ok" } else { "no" };
        let Self {
            subject, detail, ..
        } = self;
        let line = format!("{subject:<20} {verdict}  {detail}");
        f.write_str(line.trim_end())
    }
}

/// Looks at this host with the eyes of a configuration. Loads the programs and puts
/// them on interfaces for a moment, and leaves nothing behind.
pub fn examine(config: &Config) -> Vec<Line> {
    let mut lines = vec![kernel::release(), kernel::btf()];
    lines.extend(capabilities::lines());
    lines.push(pins::bpffs(&config.splice));
    lines.push(repair::tcp_repair());
    lines.push(ports::own(&config.splice));
    lines.extend(splice::interfaces(&config.splice));
    let paths = paths::lines(config, &lines);
    lines.extend(paths);
    lines
}
