//! Answers about client ids.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use super::columns::aligned;
use super::{Answer, flows, text};
use crate::admin::Context;
use crate::admin::command::IdsCommand;
use crate::datapath::tag;
use crate::escape::Word;
use crate::ids::{Report, Row};

pub(super) fn answer(command: &IdsCommand, context: &Context) -> Result<Answer, String> {
    let ids = &flows(context)?.ids;
    match command {
        IdsCommand::Show { count } => {
            let report = ids.report(*count);
            let pools = context.pools.all();
            let names = pools.iter().map(|pool| (tag(&pool.name), &*pool.name));
            Ok(text(show(&report, &names.collect(), Instant::now())))
        }
        IdsCommand::Clear => {
            ids.clear(Instant::now());
            Ok(text("counting anew\n".to_owned()))
        }
    }
}

/// `connects` is what an id has connected at least; `over` by how much it may be more.
fn show(report: &Report, pools: &HashMap<u32, &str>, now: Instant) -> String {
    let head = format!(
        "# ids: used:{}, size:{}, connects:{}, since:{}, not listed: at most {} each\n",
        report.used,
        report.size,
        report.total,
        age(now, report.since),
        report.error,
    );
    let columns = [
        "# connects",
        "over",
        "flaps",
        "takeovers",
        "last",
        "pool",
        "id",
    ];
    let mut rows = vec![columns.map(str::to_owned)];
    rows.extend(report.rows.iter().map(|row| cells(row, pools, now)));
    head + &aligned(&rows)
}

fn cells(row: &Row, pools: &HashMap<u32, &str>, now: Instant) -> [String; 7] {
    let mut id = Word(&row.id).to_string();
    if row.cut {
        id.push('…');
    }
    [
        row.at_least().to_string(),
        row.error.to_string(),
        row.flaps.to_string(),
        row.takeovers.to_string(),
        age(now, row.last),
        // A reload may have removed it.
        pools.get(&row.pool).copied().unwrap_or("-").to_owned(),
        id,
    ]
}

fn age(now: Instant, then: Instant) -> String {
    let seconds = now.saturating_duration_since(then).as_secs();
    let text = humantime::format_duration(Duration::from_secs(seconds));
    text.to_string().replace(' ', "")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_says_how_exact_it_is() {
        let now = Instant::now();
        let then = now - Duration::from_secs(90);
        let row = |id: &[u8], cut| Row {
            pool: 7,
            id: id.to_vec(),
            cut,
            connects: 12,
            error: 2,
            flaps: 3,
            takeovers: 1,
            last: then,
        };
        let report = Report {
            rows: vec![
                row(b"c 0", false),
                Row {
                    pool: 8,
                    ..row(b"x", true)
                },
            ],
            total: 100,
            error: 4,
            size: 5,
            used: 2,
            since: then,
        };
        let pools = [(7, "emqx")].into();
        assert_eq!(
            show(&report, &pools, now),
            "# ids: used:2, size:5, connects:100, since:1m30s, not listed: at most 4 each\n\
             # connects over flaps takeovers last  pool id\n\
             10         2    3     1         1m30s emqx \"c 0\"\n\
             10         2    3     1         1m30s -    x…\n"
        );
    }
}
