//! Connections that say nothing.

use std::io;
use std::time::Duration;

use serde_json::{Value, json};
use socket2::SockRef;

use super::client;
use super::job::Job;
use super::poll::{Interest, Poll};

/// Runs [`super::Work::Idle`]: `start` returns when they may go. They go by a reset,
/// so that none stays behind in TIME_WAIT.
pub fn run(job: &Job, start: impl FnOnce() -> io::Result<()>) -> io::Result<Value> {
    let clients = client::open_all(job)?;
    start()?;
    let mut poll = Poll::new()?;
    for (token, stream) in clients.iter().enumerate() {
        poll.add(stream, token, Interest::Read)?;
        SockRef::from(stream).set_linger(Some(Duration::ZERO))?;
    }
    // Nothing has come, and none has ended, if none is readable.
    let mut ready = Vec::new();
    poll.wait(Some(Duration::ZERO), &mut ready)?;
    Ok(json!({ "connections": clients.len(), "lost": ready.len() }))
}
