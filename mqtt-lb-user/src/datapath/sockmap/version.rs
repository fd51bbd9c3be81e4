//! Which kernels the sockmap path may run on.

use anyhow::ensure;

use crate::datapath::release::Release;

/// First release in which a worker that could send only part of a segment goes on
/// behind that part; before, from 6.4 on, it sent the whole segment again
/// (`sk_psock_backlog`, "Fix duplicated data transmission"). Older ones were not tried.
const FIRST: (u32, u32) = (6, 16);

/// Refuses kernels that may damage streams.
///
/// # Errors
/// One line with the kernel's release and the one that is needed.
pub fn check() -> anyhow::Result<()> {
    let release = Release::running()?;
    let (major, minor) = FIRST;
    ensure!(
        release.is_at_least(FIRST),
        "Linux {release} may send bytes twice on this path; it needs {major}.{minor} or newer"
    );
    Ok(())
}
