//! From rounds to figures: which rounds count, medians, spreads, ratios.

use serde_json::{Value, json};

use super::candidate::Candidate;
use super::case::Metric;
use super::round::Round;
use super::run::{Outcome, Row};
use super::stats::{FEWEST_ROUNDS, Ratio, median, ratio, spread};

/// Part of the machine that others may use in a round that counts.
pub const MOST_FOREIGN: f64 = 0.03;

/// A figure of a candidate.
#[derive(Debug, Clone, Copy)]
pub struct Figure {
    /// Median of the rounds that count.
    pub median: f64,
    /// Their spread.
    pub spread: f64,
    /// To plain forwarding; none where that is not measured, and for itself.
    pub to_direct: Option<Ratio>,
    /// To the best other balancer; none where there is none, and for itself.
    pub to_peer: Option<Ratio>,
}

impl Row {
    /// Rounds in which others hardly used the machine.
    pub fn quiet(&self) -> usize {
        let rounds = self.rounds.iter().flatten();
        rounds.filter(|round| round.foreign <= MOST_FOREIGN).count()
    }

    /// Whether only the quiet rounds count: if they are enough and most.
    fn is_quiet(&self) -> bool {
        self.quiet() >= FEWEST_ROUNDS.max(self.rounds.len().div_ceil(2))
    }

    /// A figure of each round, with gaps where a round does not count.
    fn series(&self, key: &str, only_quiet: bool) -> Vec<Option<f64>> {
        let value = |round: &Result<Round, String>| {
            let round = round.as_ref().ok()?;
            if only_quiet && round.foreign > MOST_FOREIGN {
                return None;
            }
            round.values.get(key).copied()
        };
        self.rounds.iter().map(value).collect()
    }

    /// What counts of a figure.
    fn counted(&self, key: &str) -> Vec<f64> {
        let series = self.series(key, self.is_quiet());
        series.into_iter().flatten().collect()
    }

    /// Its ratio to another row. Only rounds count in which both were quiet: those who
    /// share a busy machine all seem to need as much of it.
    fn ratio_to(&self, other: &Row, key: &str) -> Ratio {
        ratio(&self.series(key, true), &other.series(key, true))
    }
}

impl Outcome {
    /// A figure of a row; none if no round has it.
    pub fn figure(&self, row: &Row, metric: &Metric) -> Option<Figure> {
        let values = row.counted(metric.key);
        let to = |base: Option<&Row>| {
            let base = base.filter(|base| metric.compared && base.candidate != row.candidate)?;
            Some(row.ratio_to(base, metric.key))
        };
        Some(Figure {
            median: median(&values)?,
            spread: spread(&values)?,
            to_direct: to(self
                .rows
                .iter()
                .find(|row| row.candidate == Candidate::Direct)),
            to_peer: to(self.best_peer(metric)),
        })
    }

    /// The other balancer that is best by a figure.
    pub fn best_peer(&self, metric: &Metric) -> Option<&Row> {
        let sign = if metric.more_is_better { 1.0 } else { -1.0 };
        let peers = self.rows.iter().filter(|row| row.candidate.is_peer());
        peers
            .filter_map(|row| Some((row, sign * median(&row.counted(metric.key))?)))
            .max_by(|(_, a), (_, b)| a.total_cmp(b))
            .map(|(row, _)| row)
    }

    /// Everything, for results.json.
    pub fn json(&self) -> Value {
        let rows = self.rows.iter().map(|row| {
            let rounds = row.rounds.iter().map(|round| match round {
                Ok(round) => json!({ "values": round.values, "foreign": round.foreign }),
                Err(reason) => json!({ "failed": reason }),
            });
            let figures = self.case.metrics.iter().filter_map(|metric| {
                let figure = self.figure(row, metric)?;
                Some((
                    metric.key.to_owned(),
                    json!({
                        "median": figure.median,
                        "spread": figure.spread,
                        "to_direct": figure.to_direct.and_then(number),
                        "to_best_peer": figure.to_peer.and_then(number),
                    }),
                ))
            });
            json!({
                "candidate": row.candidate.name(),
                "figures": figures.collect::<serde_json::Map<_, _>>(),
                "quiet_rounds": row.quiet(),
                "rounds": rounds.collect::<Vec<_>>(),
            })
        });
        let left_out = self.left_out.iter();
        json!({
            "case": self.case.name,
            "about": self.case.about,
            "candidates": rows.collect::<Vec<_>>(),
            "left_out": left_out
                .map(|(candidate, why)| json!({ "candidate": candidate.name(), "why": why }))
                .collect::<Vec<_>>(),
        })
    }
}

fn number(ratio: Ratio) -> Option<f64> {
    match ratio {
        Ratio::Of(number) => Some(number),
        Ratio::Disagrees(_) | Ratio::TooFew => None,
    }
}

#[cfg(test)]
pub mod tests {
    use std::collections::BTreeMap;

    use super::super::candidate::haproxy;
    use super::super::cases::CASES;
    use super::*;

    /// A row with rounds of rate and foreign use.
    pub fn row(candidate: Candidate, rounds: &[(f64, f64)]) -> Row {
        let round = |(rate, foreign): &(f64, f64)| {
            Ok(Round {
                values: BTreeMap::from([("rate", *rate)]),
                foreign: *foreign,
            })
        };
        Row {
            candidate,
            rounds: rounds.iter().map(round).collect(),
        }
    }

    /// An outcome of the first case.
    pub fn outcome(rows: Vec<Row>) -> Outcome {
        Outcome {
            case: &CASES[0],
            rows,
            left_out: Vec::new(),
        }
    }

    fn quiet(rates: &[f64]) -> Vec<(f64, f64)> {
        rates.iter().map(|rate| (*rate, 0.0)).collect()
    }

    #[test]
    fn noisy_rounds_do_not_count_while_there_are_enough_others() {
        let four = [(10.0, 0.0), (10.0, 0.0), (99.0, 0.5), (10.0, 0.01)];
        let one = row(Candidate::Direct, &four);
        assert_eq!(one.quiet(), 3);
        assert_eq!(one.counted("rate"), [10.0, 10.0, 10.0]);
        let three = row(Candidate::Direct, &four[1..]);
        assert_eq!(three.counted("rate"), [10.0, 99.0, 10.0]);
    }

    #[test]
    fn noisy_rounds_give_no_ratio() {
        let rounds = |rate| [(rate, 0.0), (rate, 0.5), (rate, 0.0), (rate, 0.0)];
        let (one, base) = (rounds(10.0), rounds(20.0));
        let ratio = |n: usize| {
            let (one, base) = (&one[n..], &base[n..]);
            row(haproxy(1, false), one).ratio_to(&row(Candidate::Direct, base), "rate")
        };
        assert_eq!(ratio(0), Ratio::Of(0.5));
        assert_eq!(ratio(1), Ratio::TooFew);
    }

    #[test]
    fn the_best_peer_depends_on_what_is_better() {
        let peers = [(1, 50.0), (2, 70.0)]
            .map(|(threads, rate)| row(haproxy(threads, false), &quiet(&[rate; 3])));
        let outcome = outcome(peers.to_vec());
        let metric = CASES[0].metrics[0];
        let best = |metric| outcome.best_peer(&metric).map(|row| row.candidate);
        assert_eq!(best(metric), Some(haproxy(2, false)));
        let less = Metric {
            more_is_better: false,
            ..metric
        };
        assert_eq!(best(less), Some(haproxy(1, false)));
    }

    #[test]
    fn ratios_are_to_others_only() {
        let direct = row(Candidate::Direct, &quiet(&[100.0; 3]));
        let peer = row(haproxy(1, false), &quiet(&[40.0; 3]));
        let outcome = outcome(vec![direct, peer]);
        let metric = &CASES[0].metrics[0];
        let of = |n: usize| outcome.figure(&outcome.rows[n], metric).expect("a figure");
        assert_eq!(
            (of(0).to_direct, of(0).to_peer),
            (None, Some(Ratio::Of(2.5)))
        );
        assert_eq!(
            (of(1).to_direct, of(1).to_peer),
            (Some(Ratio::Of(0.4)), None)
        );
    }
}
