//! An end to every test: one that hangs is stopped, cleaned up after, and fails.

use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::time::Duration;

use crate::require::say;
use crate::{bpffs, netns};

/// Running time that the test of this thread may take; lifted on drop.
#[derive(Debug)]
pub struct Deadline {
    _cancel: Sender<()>,
}

impl Deadline {
    /// From now on. When the time is over, the whole test program ends: threads
    /// that hang cannot be stopped one by one.
    pub fn within(time: Duration) -> Self {
        let name = std::thread::current().name().unwrap_or("test").to_owned();
        let (cancel, cancelled) = mpsc::channel::<()>();
        std::thread::spawn(move || {
            if cancelled.recv_timeout(time) == Err(RecvTimeoutError::Timeout) {
                say(&format!("{name}: hangs: not over after {time:?}"));
                netns::abandon();
                bpffs::abandon();
                std::process::exit(101);
            }
        });
        Self { _cancel: cancel }
    }
}
