//! The running kernel's release, for parts that need a certain one.

use std::fmt;
use std::fs;

use anyhow::Context as _;

/// A kernel's release.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Release(String);

impl Release {
    /// The release of the running kernel.
    ///
    /// # Errors
    /// `/proc` cannot be read.
    pub fn running() -> anyhow::Result<Self> {
        let text = fs::read_to_string("/proc/sys/kernel/osrelease")
            .context("reading /proc/sys/kernel/osrelease")?;
        Ok(Self(text.trim().to_owned()))
    }

    /// Whether it is `first` (major, minor) or newer. One that cannot be read is not.
    pub fn is_at_least(&self, first: (u32, u32)) -> bool {
        let mut numbers = self.0.split(|c: char| !c.is_ascii_digit());
        let mut next = || numbers.next()?.parse::<u32>().ok();
        next().zip(next()).is_some_and(|version| version >= first)
    }
}

impl fmt::Display for Release {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn releases_are_compared_by_number() {
        let at_least = |text: &str, first| Release(text.to_owned()).is_at_least(first);
        assert!(at_least("6.18.44-fc-v769", (6, 18)));
        assert!(!at_least("6.18.44-fc-v769", (6, 19)));
        assert!(!at_least("6.8.0-31-generic", (6, 16)));
        assert!(at_least("6.16.0", (6, 16)));
        assert!(at_least("7.0-rc1", (6, 16)));
        assert!(at_least("10.1", (6, 16)));
        assert!(!at_least("unknown", (0, 0)));
    }
}
