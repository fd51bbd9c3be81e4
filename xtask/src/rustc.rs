//! What `rustc -vV` says about a compiler.

/// The facts of `rustc -vV` that the build depends on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Version {
    /// For example `1.96.0` or `1.101.0-nightly`.
    pub release: String,
    /// Major version of the LLVM whose bitcode it writes.
    pub llvm: u32,
}

impl Version {
    /// Reads the output of `rustc -vV`; `None` if it is something else.
    pub fn parse(text: &str) -> Option<Self> {
        let value = |key: &str| {
            text.lines()
                .find_map(|line| line.strip_prefix(key))
                .map(str::trim)
        };
        let llvm = value("LLVM version:")?;
        Some(Self {
            release: value("release:")?.to_owned(),
            llvm: llvm.split('.').next()?.parse().ok()?,
        })
    }

    /// Whether it lets `-Z` options through without `RUSTC_BOOTSTRAP=1`.
    pub fn is_nightly(&self) -> bool {
        self.release.ends_with("-nightly") || self.release.ends_with("-dev")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DEBIAN: &str = "rustc 1.96.0 (ac68faa20 2026-05-25) (built from a source tarball)
binary: rustc
commit-hash: ac68faa20c58cbccd01ee7208bf3b6e93a7d7f96
commit-date: 2026-05-25
host: x86_64-unknown-linux-gnu
release: 1.96.0
LLVM version: 22.1.8
";

    #[test]
    fn a_stable_compiler() {
        let version = Version::parse(DEBIAN).unwrap();
        assert_eq!(
            version,
            Version {
                release: "1.96.0".into(),
                llvm: 22
            }
        );
        assert!(!version.is_nightly());
    }

    #[test]
    fn a_nightly_compiler() {
        let text = DEBIAN.replace("release: 1.96.0", "release: 1.101.0-nightly");
        assert!(Version::parse(&text).unwrap().is_nightly());
    }

    #[test]
    fn a_compiler_without_llvm_is_none_of_ours() {
        let cut = DEBIAN.replace("LLVM version: 22.1.8\n", "");
        assert_eq!(Version::parse(&cut), None);
        assert_eq!(Version::parse("gcc (Debian 12.2.0-14) 12.2.0"), None);
    }
}
