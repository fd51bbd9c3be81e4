//! One round of one candidate.

pub mod load;
pub mod memory;
pub mod start;
pub mod storm;

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Result, bail};
use serde_json::Value;

/// Time for a load process to connect, beside some for each connection, and to report,
/// beside what it measures.
const PATIENCE: Duration = Duration::from_secs(20);

/// What was measured in one round.
#[derive(Debug, Clone, Default)]
pub struct Round {
    /// Figures by their keys.
    pub values: BTreeMap<&'static str, f64>,
    /// Part of the machine, 0 to 1, that others have used meanwhile.
    pub foreign: f64,
}

fn number(report: &Value, key: &str) -> Result<f64> {
    match report[key].as_f64() {
        Some(number) => Ok(number),
        None => bail!("no {key} in {report}"),
    }
}
