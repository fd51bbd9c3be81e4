//! Request and answer: one message in flight on each connection.

use std::io;
use std::time::Instant;

use serde_json::Value;

use super::histogram::Histogram;
use super::job::Job;
use super::messages::{Answers, message};
use super::poll::{Interest, Poll};
use super::window::{Part, Window};
use super::{client, wrong};

/// Runs [`super::Work::Request`].
pub fn run(job: &Job, start: impl FnOnce() -> io::Result<()>) -> io::Result<Value> {
    let message = message(job.size)?;
    let clients = client::open_all(job)?;
    let mut poll = Poll::new()?;
    for (token, stream) in clients.iter().enumerate() {
        poll.add(stream, token, Interest::Read)?;
    }
    start()?;

    let mut window = Window::new(job);
    let mut states = Vec::new();
    for stream in &clients {
        states.push((Answers::default(), Instant::now()));
        client::send(stream, &message)?;
    }
    let (mut ready, mut buffer) = (Vec::new(), [0; 64]);
    let mut counted = Histogram::default();
    loop {
        let now = Instant::now();
        if window.part(now) == Part::Over {
            return Ok(window.report(&counted));
        }
        poll.wait(Some(window.next(now)), &mut ready)?;
        for token in &ready {
            let (stream, (answers, sent)) = (&clients[*token], &mut states[*token]);
            let read = client::receive(stream, &mut buffer)?;
            match answers.count(&buffer[..read])? {
                0 => continue,
                1 => {}
                _ => return Err(wrong("more answers than requests")),
            }
            let now = Instant::now();
            if window.part(now) == Part::Measured {
                counted.add(now - *sent);
            }
            *sent = now;
            client::send(stream, &message)?;
        }
    }
}
