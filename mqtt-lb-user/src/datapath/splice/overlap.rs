//! Whether our ports are ours alone: the kernel gives those of the ephemeral range to
//! anybody, also to whom a spliced flow would then swallow.

use std::fs;
use std::ops::RangeInclusive;

use anyhow::{Context as _, bail};

const EPHEMERAL: &str = "/proc/sys/net/ipv4/ip_local_port_range";
const RESERVED: &str = "/proc/sys/net/ipv4/ip_local_reserved_ports";

/// Refuses ports that the kernel of this network namespace may give to others.
///
/// # Errors
/// One line with the ports and both ways out.
pub fn check(ports: &RangeInclusive<u16>) -> anyhow::Result<()> {
    let read = |path| fs::read_to_string(path).with_context(|| format!("reading {path}"));
    let (ephemeral, reserved) = (read(EPHEMERAL)?, read(RESERVED)?);
    let (first, last) = (ports.start(), ports.end());
    match overlap(ports, &ephemeral, &reserved) {
        None => Ok(()),
        Some(found) => bail!(
            "splice.ports {first}-{last}: the kernel may give {}-{} to other sockets \
             (net.ipv4.ip_local_port_range): choose other ports, or add them to \
             net.ipv4.ip_local_reserved_ports",
            found.start(),
            found.end()
        ),
    }
}

/// The part of `ports` within the ephemeral range and not reserved, from its first to
/// its last port. The texts are those of the two files.
fn overlap(
    ports: &RangeInclusive<u16>,
    ephemeral: &str,
    reserved: &str,
) -> Option<RangeInclusive<u16>> {
    let range = |text: &str, by| {
        let (first, last) = text.split_once(by).unwrap_or((text, text));
        Some(first.trim().parse::<u16>().ok()?..=last.trim().parse::<u16>().ok()?)
    };
    let ephemeral = range(ephemeral.trim(), '\t')?;
    let reserved: Vec<_> = reserved
        .trim()
        .split(',')
        .filter_map(|part| range(part, '-'))
        .collect();
    let taken =
        |port: &u16| ephemeral.contains(port) && !reserved.iter().any(|range| range.contains(port));
    let first = ports.clone().find(taken)?;
    let last = ports.clone().rev().find(taken)?;
    Some(first..=last)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_do_not_overlap() {
        assert_eq!(overlap(&(10_000..=32_767), "32768\t60999\n", "\n"), None);
    }

    #[test]
    fn an_overlap_is_named_from_end_to_end() {
        let overlap = |ports, reserved| overlap(&ports, "15000\t61000\n", reserved);
        assert_eq!(overlap(10_000..=14_999, "\n"), None);
        assert_eq!(overlap(10_000..=15_000, "\n"), Some(15_000..=15_000));
        assert_eq!(overlap(61_000..=65_000, "\n"), Some(61_000..=61_000));
        assert_eq!(overlap(10_000..=20_000, "\n"), Some(15_000..=20_000));
        assert_eq!(overlap(10_000..=20_000, "15000-20000\n"), None);
        assert_eq!(
            overlap(10_000..=20_000, "8080,15000,15002-19999\n"),
            Some(15_001..=20_000)
        );
    }
}
