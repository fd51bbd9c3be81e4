//! Which pictures there are, and what is in them.

use std::path::Path;

use anyhow::Result;

use super::candidate::Candidate;
use super::case::Metric;
use super::plot::{self, Panel};
use super::report::Figure;
use super::run::{Outcome, Row};
use super::stats::Ratio;
use super::table;

/// The picture of all cases: the first figure of each.
const OVERVIEW: &str = "overview.svg";

/// Writes a picture for each case, and one of all.
///
/// # Errors
/// If a file cannot be written.
pub fn write(dir: &Path, outcomes: &[Outcome]) -> Result<()> {
    let mut overview = Vec::new();
    for outcome in outcomes {
        let compared = outcome.case.metrics.iter().filter(|metric| metric.compared);
        let panels: Vec<_> = compared
            .map(|metric| panel(outcome, metric, metric.title))
            .collect();
        plot::draw(
            &dir.join(format!("{}.svg", outcome.case.name)),
            &panels,
            panels.len().min(2),
        )?;
        if let Some(first) = outcome.case.metrics.first() {
            let title = format!("{}: {}", outcome.case.name, first.title);
            overview.push(panel(outcome, first, &title));
        }
    }
    plot::draw(&dir.join(OVERVIEW), &overview, 2)
}

/// Ratios to direct where that takes part in the case, else the figures themselves.
fn panel(outcome: &Outcome, metric: &Metric, title: &str) -> Panel {
    let has_direct = |row: &Row| row.candidate == Candidate::Direct;
    let is_ratio = outcome.rows.iter().any(has_direct);
    let better = if metric.more_is_better {
        "more is better"
    } else {
        "less is better"
    };
    let of = if is_ratio { ", to direct" } else { "" };
    let bar = |row: &Row| {
        let figure = outcome.figure(row, metric);
        let (bar, label) = match (figure, is_ratio) {
            (None, _) => (None, "–".to_owned()),
            (Some(figure), false) => (
                Some(figure.median),
                table::grouped(figure.median, metric.digits),
            ),
            (Some(figure), true) => ratio(row, &figure),
        };
        (row.candidate, bar, label)
    };
    Panel {
        title: format!("{title}{of} ({better})"),
        is_ratio,
        bars: outcome.rows.iter().map(bar).collect(),
    }
}

fn ratio(row: &Row, figure: &Figure) -> (Option<f64>, String) {
    match figure.to_direct {
        _ if row.candidate == Candidate::Direct => (Some(1.0), "1".to_owned()),
        Some(Ratio::Of(number)) => (Some(number), table::ratio(figure.to_direct)),
        other => (None, table::ratio(other)),
    }
}

#[cfg(test)]
mod tests {
    use super::super::candidate::haproxy;
    use super::super::report::tests::{outcome, row};
    use super::*;

    #[test]
    fn refused_ratios_have_no_bar() {
        let rounds = |rates: [f64; 3]| rates.map(|rate| (rate, 0.0));
        let outcome = outcome(vec![
            row(Candidate::Direct, &rounds([100.0; 3])),
            row(haproxy(1, false), &rounds([50.0; 3])),
            row(Candidate::Nginx, &rounds([10.0, 50.0, 90.0])),
        ]);
        let panel = panel(&outcome, &outcome.case.metrics[0], "rate");
        let bars: Vec<_> = panel.bars.iter().map(|(_, bar, _)| *bar).collect();
        assert!(panel.is_ratio);
        assert_eq!(bars, [Some(1.0), Some(0.5), None]);
    }

    #[test]
    fn without_direct_the_figures_are_drawn() {
        let only = row(Candidate::Nginx, &[(10.0, 0.0); 3]);
        let outcome = outcome(vec![only]);
        let panel = panel(&outcome, &outcome.case.metrics[0], "rate");
        assert!(!panel.is_ratio);
        assert_eq!(panel.bars[0].1, Some(10.0));
    }
}
