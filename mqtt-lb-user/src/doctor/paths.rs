//! The verdict on each data path.

use anyhow::anyhow;

use super::{Line, splice as programs};
use crate::config::{Config, PathKind};
use crate::datapath::sockmap::Sockmap;
use crate::datapath::splice::kernel;
use crate::metrics::path_name;

/// Subjects of the lines that the splice path depends on.
const SPLICE_NEEDS: [&str; 8] = [
    "CAP_NET_ADMIN",
    "CAP_NET_RAW",
    "CAP_BPF",
    "CAP_PERFMON",
    "bpffs",
    "tcp_repair",
    "ports",
    programs::PROGRAMS,
];

/// A line for each path of the configuration, in its order; `found` is what was looked at.
pub fn lines(config: &Config, found: &[Line]) -> Vec<Line> {
    let verdict = |path: &PathKind| {
        let outcome = match path {
            PathKind::Splice => splice(found),
            PathKind::Sockmap => Sockmap::load(&config.sockmap).map(|_| String::new()),
            PathKind::Copy => Ok("works everywhere".to_owned()),
        };
        Line::new(subject(*path), outcome)
    };
    config.datapath.iter().map(verdict).collect()
}

/// Whether every path of the configuration can run, according to its line.
pub fn can_run(config: &Config, lines: &[Line]) -> bool {
    config.datapath.iter().all(|path| {
        let subject = subject(*path);
        lines
            .iter()
            .any(|line| line.subject == subject && line.is_ok)
    })
}

fn subject(path: PathKind) -> String {
    format!("path {}", path_name(path))
}

/// The splice path can run when nothing it needs is missing and an interface can be used.
fn splice(found: &[Line]) -> anyhow::Result<String> {
    kernel::check_release()?;
    let needed = |line: &&Line| SPLICE_NEEDS.contains(&line.subject.as_str());
    if let Some(line) = found.iter().filter(needed).find(|line| !line.is_ok) {
        return Err(anyhow!("{}: {}", line.subject, line.detail));
    }
    let interfaces: Vec<&str> = found
        .iter()
        .filter(|line| line.is_ok)
        .filter_map(|line| line.subject.strip_prefix(programs::INTERFACE))
        .collect();
    match interfaces.as_slice() {
        [] => Err(anyhow!("no interface can be used")),
        names => Ok(format!("on {}", names.join(", "))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(subject: &str, is_ok: bool) -> Line {
        Line {
            subject: subject.to_owned(),
            is_ok,
            detail: "why".to_owned(),
        }
    }

    fn healthy() -> Vec<Line> {
        let subjects = SPLICE_NEEDS
            .iter()
            .chain(&["splice on lo", "splice on eth0"]);
        subjects.map(|subject| line(subject, true)).collect()
    }

    #[test]
    fn splice_needs_everything_and_one_interface() {
        assert_eq!(splice(&healthy()).expect("runs"), "on lo, eth0");
        for needed in SPLICE_NEEDS {
            let mut lines = healthy();
            let found = lines.iter_mut().find(|line| line.subject == needed);
            found.expect(needed).is_ok = false;
            let error = splice(&lines).expect_err(needed).to_string();
            assert_eq!(error, format!("{needed}: why"));
        }
        let mut lines = healthy();
        lines.retain(|line| !line.subject.starts_with(programs::INTERFACE));
        lines.push(line("splice on eth0", false));
        let error = splice(&lines).expect_err("no interface").to_string();
        assert_eq!(error, "no interface can be used");
    }

    #[test]
    fn only_the_paths_of_the_configuration_count() {
        let lines = [line("path splice", false), line("path copy", true)];
        let mut config = Config::default();
        assert!(!can_run(&config, &lines));
        config.datapath = vec![PathKind::Copy];
        assert!(can_run(&config, &lines));
    }
}
