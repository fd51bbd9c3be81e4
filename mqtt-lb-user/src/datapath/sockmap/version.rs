//! Which kernels the sockmap path may run on.

use std::fs;

use anyhow::{Context as _, ensure};

/// First release in which a worker that could send only part of a segment goes on
/// behind that part; before, from 6.4 on, it sent the whole segment again
/// (`sk_psock_backlog`, "Fix duplicated data transmission"). Older ones were not tried.
const FIRST: (u32, u32) = (6, 16);

/// Refuses kernels that may damage streams.
///
/// # Errors
/// One line with the kernel's release and the one that is needed.
pub fn check() -> anyhow::Result<()> {
    let release = fs::read_to_string("/proc/sys/kernel/osrelease")
        .context("reading /proc/sys/kernel/osrelease")?;
    let release = release.trim();
    let (major, minor) = FIRST;
    ensure!(
        parse(release).is_some_and(|version| version >= FIRST),
        "Linux {release} may send bytes twice on this path; it needs {major}.{minor} or newer"
    );
    Ok(())
}

/// The first two numbers of a release such as `6.18.44-amd64`.
fn parse(release: &str) -> Option<(u32, u32)> {
    let mut numbers = release.split(|c: char| !c.is_ascii_digit());
    Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn releases_are_compared_by_number() {
        assert_eq!(parse("6.18.44-fc-v769"), Some((6, 18)));
        assert_eq!(parse("6.8.0-31-generic"), Some((6, 8)));
        assert_eq!(parse("7.0-rc1"), Some((7, 0)));
        assert_eq!(parse("unknown"), None);
        assert!(parse("6.8.0").unwrap() < FIRST);
        assert!(parse("6.16.0").unwrap() >= FIRST);
        assert!(parse("10.1").unwrap() >= FIRST);
    }
}
