//! The capabilities of this process that the kernel paths need.

use std::fs;

use anyhow::{Context as _, bail};

use super::Line;

/// Stands in for BPF and PERFMON (capability.h), and may mount.
const SYS_ADMIN: u32 = 21;

/// Names and numbers (linux/capability.h), what for, and whether SYS_ADMIN would do.
const NEEDED: [(&str, u32, &str, bool); 4] = [
    (
        "CAP_NET_ADMIN",
        12,
        "TCP_REPAIR, programs on interfaces",
        false,
    ),
    ("CAP_NET_RAW", 13, "resets of spliced flows", false),
    ("CAP_BPF", 39, "maps and programs", true),
    ("CAP_PERFMON", 38, "programs that follow pointers", true),
];

/// One line for each.
pub fn lines() -> Vec<Line> {
    let effective = effective();
    let line = |&(name, number, purpose, sys_admin_will_do): &(&str, u32, &str, bool)| {
        let outcome = match &effective {
            Err(error) => Err(anyhow::anyhow!("{error:#}")),
            Ok(set) if has(*set, number) => Ok(purpose.to_owned()),
            Ok(set) if sys_admin_will_do && has(*set, SYS_ADMIN) => {
                Ok(format!("{purpose} (by CAP_SYS_ADMIN)"))
            }
            Ok(_) => Err(anyhow::anyhow!("missing; needed for {purpose}")),
        };
        Line::new(name, outcome)
    };
    NEEDED.iter().map(line).collect()
}

/// Whether this process may mount file systems.
pub fn may_mount() -> bool {
    effective().is_ok_and(|set| has(set, SYS_ADMIN))
}

fn has(set: u64, number: u32) -> bool {
    set >> number & 1 == 1
}

/// The effective set of this thread.
fn effective() -> anyhow::Result<u64> {
    let path = "/proc/thread-self/status";
    let status = fs::read_to_string(path).with_context(|| format!("reading {path}"))?;
    parse(&status)
}

fn parse(status: &str) -> anyhow::Result<u64> {
    let Some(hex) = status.lines().find_map(|line| line.strip_prefix("CapEff:")) else {
        bail!("the kernel does not say which capabilities there are");
    };
    u64::from_str_radix(hex.trim(), 16).context("reading the capabilities")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_set_is_read_by_number() {
        let set = parse("Name:\tx\nCapPrm:\t0\nCapEff:\t000000c000003000\n").expect("a set");
        for (name, number, ..) in NEEDED {
            assert!(has(set, number), "{name}");
        }
        assert!(!has(set, SYS_ADMIN));
        assert!(parse("Name:\tx\n").is_err());
    }
}
