//! Brings the records of the kernel programs (aya-log) to the program's log.

use aya_log::EbpfLogger;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// Reads the records and writes them through the `log` facade, at level debug.
pub type Logger = EbpfLogger<&'static dyn log::Log>;

/// Forwards records until the process ends.
pub async fn forward(logger: Logger) -> anyhow::Result<()> {
    // SAFETY: the ring's descriptor stays open, its AsyncFd owns it.
    let mut logger = unsafe { AsyncFd::register_with_interest(logger, Interest::READABLE)? };
    loop {
        let mut guard = logger.readable_mut().await?;
        guard.get_inner_mut().flush();
        guard.clear_ready();
    }
}
