//! The kernel and what it tells about itself.

use std::path::Path;

use anyhow::ensure;

use super::Line;
use crate::datapath::release::Release;

/// Where the kernel's type information is.
const BTF: &str = "/sys/kernel/btf/vmlinux";

/// The release; what needs a certain one says so itself.
pub fn release() -> Line {
    let release = Release::running().map(|release| release.to_string());
    Line::new("linux", release)
}

/// Type information, for the sockmap path.
pub fn btf() -> Line {
    let found = || {
        ensure!(
            Path::new(BTF).exists(),
            "no {BTF}: the sockmap path needs a kernel with CONFIG_DEBUG_INFO_BTF"
        );
        Ok(BTF.to_owned())
    };
    Line::new("btf", found())
}
