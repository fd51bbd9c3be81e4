//! Messages at a fixed rate, a few each millisecond, over the connections in turn.

use std::collections::VecDeque;
use std::io;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::client;
use super::histogram::Histogram;
use super::job::Job;
use super::messages::{Answers, message};
use super::poll::{Interest, Poll};
use super::window::{Part, Window};
use super::wrong;

/// Time between two bursts. A timer for each message would cost more than the message,
/// and hide what it costs elsewhere.
const TICK: Duration = Duration::from_millis(1);

/// One connection: its answers, and when the messages that wait for one were due.
#[derive(Debug, Default)]
struct Flight {
    answers: Answers,
    due: VecDeque<Instant>,
}

/// Runs [`super::Work::Paced`]. The latency of a message begins when it is due, so that
/// a stall also counts for those that it keeps from being sent.
pub fn run(job: &Job, start: impl FnOnce() -> io::Result<()>) -> io::Result<Value> {
    let message = message(job.size)?;
    let clients = client::open_all(job)?;
    let mut poll = Poll::new()?;
    for (token, stream) in clients.iter().enumerate() {
        poll.add(stream, token, Interest::Read)?;
    }
    exact_timers()?;
    start()?;

    let mut window = Window::new(job);
    let mut flights: Vec<Flight> = clients.iter().map(|_| Flight::default()).collect();
    let burst = job.rate as f64 * TICK.as_secs_f64();
    let (mut due, mut ticks, mut sent) = (Instant::now(), 0, 0);
    let (mut ready, mut buffer) = (Vec::new(), [0; 4096]);
    let mut counted = Histogram::default();
    loop {
        let now = Instant::now();
        if window.part(now) == Part::Over {
            return Ok(window.report(&counted));
        }
        while due <= now {
            ticks += 1;
            while (sent as f64) < f64::from(ticks) * burst {
                let turn = sent % clients.len();
                client::send(&clients[turn], &message)?;
                flights[turn].due.push_back(due);
                sent += 1;
            }
            due += TICK;
        }
        poll.wait(
            Some(due.saturating_duration_since(Instant::now())),
            &mut ready,
        )?;
        for token in &ready {
            let flight = &mut flights[*token];
            let read = client::receive(&clients[*token], &mut buffer)?;
            let answers = flight.answers.count(&buffer[..read])?;
            let now = Instant::now();
            let is_measured = window.part(now) == Part::Measured;
            for _ in 0..answers {
                let due = flight.due.pop_front();
                let due = due.ok_or_else(|| wrong("more answers than messages"))?;
                if is_measured {
                    counted.add(now.saturating_duration_since(due));
                }
            }
        }
    }
}

/// The kernel would let this thread's timers be 50 microseconds late.
fn exact_timers() -> io::Result<()> {
    // SAFETY: no pointers.
    match unsafe { libc::prctl(libc::PR_SET_TIMERSLACK, 1) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}
