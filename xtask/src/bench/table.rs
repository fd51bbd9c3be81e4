//! The results as Markdown.

use std::fmt::Write;

use super::case::Metric;
use super::machine::Facts;
use super::report::{Figure, MOST_FOREIGN};
use super::run::Outcome;
use super::stats::{FEWEST_ROUNDS, MOST_SPREAD, Ratio};

/// The whole page.
pub fn page(facts: &Facts, outcomes: &[Outcome]) -> String {
    let mut text = String::from(
        "# Measurements\n\n\
         Written by `cargo xtask bench`; all rounds are in [results.json](results.json).\n\n",
    );
    text += &facts.list();
    let _ = write!(
        text,
        "\nClient, balancer and backend are network namespaces of one machine, joined by veth pairs;\n\
         client and backend are one thread each with epoll and prepared buffers, the client on the\n\
         first processor and the backend on the last; the balancers may use all. `direct` is plain\n\
         IP forwarding through the balancer's namespace. mqtt-lb and HAProxy have a stick table of\n\
         client ids and send PROXY v2, nginx has a consistent hash of them (njs reads the CONNECT)\n\
         and sends PROXY v1; no health checks, no log. The candidates take turns, round by round,\n\
         each time in the other order.\n\n\
         A cell is: median ± spread [ratio to direct / ratio to the best other balancer].\n\n\
         - The spread is the width of the middle half of the rounds, as a part of the median.\n\
         - A ratio is the median of the ratios of each round to the same round of the other. It is\n\
         \x20 refused, `–`, where these differ by more than {:.0} % in their middle half, and where\n\
         \x20 fewer than {FEWEST_ROUNDS} rounds were quiet for both.\n\
         - A round is quiet when other processes and other guests used at most {:.0} % of the\n\
         \x20 machine. A median is that of the quiet rounds if they are most, else of all.\n",
        100.0 * MOST_SPREAD,
        100.0 * MOST_FOREIGN,
    );
    for outcome in outcomes {
        let _ = write!(
            text,
            "\n## {0}\n\n{1}\n\n{2}\n![{0}]({0}.svg)\n",
            outcome.case.name,
            outcome.case.about,
            table(outcome)
        );
    }
    text
}

/// The table of a case, and below it what it does not show.
pub fn table(outcome: &Outcome) -> String {
    let metrics = outcome.case.metrics;
    let mut lines = vec![vec![String::new()]];
    lines[0].extend(metrics.iter().map(|metric| metric.title.to_owned()));
    lines[0].push("quiet rounds".into());
    for row in &outcome.rows {
        let mut cells = vec![row.candidate.name()];
        cells.extend(metrics.iter().map(|metric| {
            let figure = outcome.figure(row, metric);
            figure.map_or("–".into(), |figure| cell(metric, &figure))
        }));
        cells.push(format!("{} of {}", row.quiet(), row.rounds.len()));
        lines.push(cells);
    }
    let mut text = if outcome.rows.is_empty() {
        "No candidate could be measured.\n".to_owned()
    } else {
        align(&lines)
    };
    for row in &outcome.rows {
        let failed: Vec<_> = row.rounds.iter().filter_map(|r| r.as_ref().err()).collect();
        if let Some(reason) = failed.first() {
            let (name, count) = (row.candidate.name(), failed.len());
            let _ = writeln!(text, "\n{name}: {count} rounds failed: {reason}");
        }
    }
    for (candidate, why) in &outcome.left_out {
        let _ = writeln!(text, "\n{} is left out: {why}", candidate.name());
    }
    text
}

fn cell(metric: &Metric, figure: &Figure) -> String {
    let mut text = format!(
        "{} ±{:.0} %",
        grouped(figure.median, metric.digits),
        100.0 * figure.spread
    );
    if figure.to_direct.is_some() || figure.to_peer.is_some() {
        let [direct, peer] = [figure.to_direct, figure.to_peer].map(ratio);
        let _ = write!(text, " [{direct} / {peer}]");
    }
    text
}

/// A ratio, or a sign that says why there is none.
pub fn ratio(ratio: Option<Ratio>) -> String {
    match ratio {
        None => "·".into(),
        Some(Ratio::Of(number)) => format!("{number:.2}"),
        Some(Ratio::Disagrees(_) | Ratio::TooFew) => "–".into(),
    }
}

/// A number with commas between thousands.
pub fn grouped(number: f64, digits: usize) -> String {
    let text = format!("{:.digits$}", number.abs());
    let (whole, rest) = text.split_at(text.find('.').unwrap_or(text.len()));
    let mut grouped = String::new();
    for (n, digit) in whole.chars().enumerate() {
        if n > 0 && (whole.len() - n) % 3 == 0 {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    let sign = if number < 0.0 { "-" } else { "" };
    format!("{sign}{grouped}{rest}")
}

/// A Markdown table with columns of even width; the first line is the heading.
pub fn align(lines: &[Vec<String>]) -> String {
    let columns = lines.first().map_or(0, Vec::len);
    let width = |column: usize| {
        let cells = lines.iter().map(|line| line[column].chars().count());
        cells.max().unwrap_or(0).max(3)
    };
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let mut text = String::new();
    for (n, line) in lines.iter().enumerate() {
        for (column, cell) in line.iter().enumerate() {
            let width = widths[column];
            let _ = if column == 0 {
                write!(text, "| {cell:<width$} ")
            } else {
                write!(text, "| {cell:>width$} ")
            };
        }
        text += "|\n";
        if n == 0 {
            for (column, width) in widths.iter().enumerate() {
                let end = if column == 0 { '-' } else { ':' };
                let _ = write!(text, "|{}{end}", "-".repeat(width + 1));
            }
            text += "|\n";
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::super::candidate::{Candidate, Path, haproxy};
    use super::super::report::tests::{outcome, row};
    use super::*;

    #[test]
    fn numbers_are_grouped() {
        assert_eq!(grouped(1_234_567.0, 0), "1,234,567");
        assert_eq!(grouped(999.0, 0), "999");
        assert_eq!(grouped(-1234.567, 2), "-1,234.57");
    }

    #[test]
    fn a_ratio_is_printed_only_if_the_rounds_agree() {
        let direct = [(100.0, 0.0), (100.0, 0.0), (100.0, 0.0)];
        let wild = [(30.0, 0.0), (50.0, 0.0), (90.0, 0.2)];
        let half = [(50.0, 0.0), (50.0, 0.0), (51.0, 0.0)];
        let mut outcome = outcome(vec![
            row(Candidate::Direct, &direct),
            row(Candidate::MqttLb(Path::Copy), &wild),
            row(haproxy(1, false), &half),
        ]);
        outcome.rows[1].rounds.push(Err("it fell".into()));
        let splice = Candidate::MqttLb(Path::Splice);
        outcome.left_out.push((splice, "no kernel".into()));
        let table = table(&outcome);
        let lines: Vec<_> = table.lines().collect();
        let cells = |n: usize| lines[n].split('|').map(str::trim).collect::<Vec<_>>();
        assert_eq!(
            cells(0)[2..],
            [
                "messages/s",
                "p50 µs",
                "p99 µs",
                "p99.9 µs",
                "quiet rounds",
                ""
            ]
        );
        assert_eq!(cells(2)[2], "100 ±0 % [· / 2.00]");
        assert_eq!(cells(3)[2], "50 ±120 % [– / –]");
        assert_eq!(cells(3)[6], "2 of 4");
        assert_eq!(cells(4)[2], "50 ±2 % [0.50 / ·]");
        let width = |n: usize| lines[n].chars().count();
        assert!((0..5).all(|n| width(n) == width(0)), "{table}");
        assert!(table.contains("mqtt-lb copy: 1 rounds failed: it fell"));
        assert!(table.contains("mqtt-lb splice is left out: no kernel"));
    }
}
