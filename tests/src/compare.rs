//! Comparing candidates in alternating rounds: medians, their spread, a table.

use std::fmt;

/// What one candidate did in one round.
#[derive(Debug, Clone, Copy)]
pub struct Round {
    /// Messages a second.
    pub rate: f64,
    /// Processor time of the machine for a message, in microseconds.
    pub cpu: f64,
}

/// A candidate and its rounds.
#[derive(Debug)]
pub struct Candidate {
    /// Its name in the table.
    pub name: &'static str,
    /// Its rounds.
    pub rounds: Vec<Round>,
}

impl Candidate {
    /// Median of the rates.
    pub fn rate(&self) -> f64 {
        median(self.rounds.iter().map(|r| r.rate))
    }

    /// Median of the processor times.
    pub fn cpu(&self) -> f64 {
        median(self.rounds.iter().map(|r| r.cpu))
    }

    /// The greater of the spreads of rate and processor time: the middle half of
    /// the rounds, as a part of the median.
    pub fn spread(&self) -> f64 {
        let rate = spread(self.rounds.iter().map(|r| r.rate));
        rate.max(spread(self.rounds.iter().map(|r| r.cpu)))
    }
}

/// Candidates measured in turn.
#[derive(Debug)]
pub struct Table(pub Vec<Candidate>);

impl Table {
    /// `rounds` times one round of each candidate, one after the other.
    pub fn measure(
        names: &[&'static str],
        rounds: usize,
        mut round: impl FnMut(usize) -> Round,
    ) -> Self {
        let candidate = |name: &&'static str| Candidate {
            name,
            rounds: Vec::new(),
        };
        let mut table = Self(names.iter().map(candidate).collect());
        for _ in 0..rounds {
            for (n, candidate) in table.0.iter_mut().enumerate() {
                candidate.rounds.push(round(n));
            }
        }
        table
    }

    /// The greatest spread of a candidate.
    pub fn spread(&self) -> f64 {
        self.0.iter().map(Candidate::spread).fold(0.0, f64::max)
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "  {:<10}{:>12}{:>9}{:>14}{:>9}{:>9}",
            "", "messages/s", "ratio", "µs CPU/msg", "ratio", "spread"
        )?;
        let Some(first) = self.0.first() else {
            return Ok(());
        };
        for one in &self.0 {
            write!(
                f,
                "\n  {:<10}{:>12.0}{:>9.2}{:>14.2}{:>9.2}{:>8.0}%",
                one.name,
                one.rate(),
                one.rate() / first.rate(),
                one.cpu(),
                one.cpu() / first.cpu(),
                100.0 * one.spread()
            )?;
        }
        Ok(())
    }
}

fn sorted(values: impl Iterator<Item = f64>) -> Vec<f64> {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values
}

fn median(values: impl Iterator<Item = f64>) -> f64 {
    let values = sorted(values);
    values[values.len() / 2]
}

fn spread(values: impl Iterator<Item = f64>) -> f64 {
    let values = sorted(values);
    let quarter = values.len() / 4;
    (values[values.len() - 1 - quarter] - values[quarter]) / values[values.len() / 2]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_odd_round_moves_neither_median_nor_spread() {
        let values = [10.0, 11.0, 9.0, 500.0, 10.5];
        assert_eq!(median(values.into_iter()), 10.5);
        assert!(spread(values.into_iter()) < 0.2);
        assert!(spread([10.0, 20.0, 10.0, 20.0, 15.0].into_iter()) > 0.5);
    }

    #[test]
    fn rounds_alternate() {
        let mut order = Vec::new();
        let table = Table::measure(&["a", "b"], 2, |n| {
            order.push(n);
            Round {
                rate: n as f64 + 1.0,
                cpu: 1.0,
            }
        });
        assert_eq!(order, [0, 1, 0, 1]);
        assert_eq!(table.0[1].rate(), 2.0);
    }
}
