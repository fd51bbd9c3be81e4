//! Clients that come all at once, as after an outage.

use std::io;
use std::net::TcpStream;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use socket2::SockRef;

use super::connect::{Attempt, attempt};
use super::histogram::Histogram;
use super::job::Job;
use super::poll::{Interest, Poll};
use super::{client, wrong};

/// How long a client that was turned away waits before it comes again.
const PAUSE: Duration = Duration::from_millis(100);

/// Runs [`super::Work::Storm`]: each client comes again until it is let in, and the
/// report is on the time until the last one is. `measured` is the time they may take.
/// `start` is called again when all are inside, and they stay until it returns.
pub fn run(job: &Job, mut start: impl FnMut() -> io::Result<()>) -> io::Result<Value> {
    start()?;
    let begin = Instant::now();
    let mut storm = Storm {
        job,
        poll: Poll::new()?,
        attempts: Vec::new(),
        inside: vec![false; job.connections],
        turned_away: Vec::new(),
        retries: 0,
        counted: Histogram::default(),
    };
    for token in 0..job.connections {
        let attempt = attempt(job, &storm.poll, token)?;
        storm.attempts.push(attempt);
    }
    let mut ready = Vec::new();
    while storm.counted.count() < job.connections as u64 {
        if begin.elapsed() > job.measured {
            let (inside, all) = (storm.counted.count(), job.connections);
            return Err(wrong(format!(
                "{inside} of {all} clients are let in after {} s, with {} retries",
                job.measured.as_secs(),
                storm.retries
            )));
        }
        storm.poll.wait(Some(PAUSE), &mut ready)?;
        for token in &ready {
            if let Err(e) = storm.step(*token, begin) {
                storm.give_up(*token, &e)?;
            }
        }
        storm.come_again()?;
    }
    let seconds = begin.elapsed().as_secs_f64();
    for attempt in &storm.attempts {
        // They go by a reset, so that none stays behind in TIME_WAIT.
        SockRef::from(&attempt.stream).set_linger(Some(Duration::ZERO))?;
    }
    start()?;
    Ok(json!({
        "seconds": seconds,
        "p50": storm.counted.quantile_us(0.5) / 1000.0,
        "p99": storm.counted.quantile_us(0.99) / 1000.0,
        "retries": storm.retries,
    }))
}

/// All clients.
struct Storm<'a> {
    job: &'a Job,
    poll: Poll,
    attempts: Vec<Attempt>,
    /// Who has been let in.
    inside: Vec<bool>,
    /// Those who wait to come again, and since when; in order.
    turned_away: Vec<(Instant, usize)>,
    retries: usize,
    counted: Histogram,
}

impl Storm<'_> {
    /// Takes a client further. An error is the end of its connection.
    fn step(&mut self, token: usize, begin: Instant) -> io::Result<()> {
        let this = &mut self.attempts[token];
        if !this.asked {
            if let Some(e) = this.stream.take_error()? {
                return Err(e);
            }
            client::send(&this.stream, &client::connect(self.job, token))?;
            this.asked = true;
            return self.poll.change(&this.stream, token, Interest::Read);
        }
        let mut buffer = [0; 64];
        let read = client::receive(&this.stream, &mut buffer)?;
        if read == 0 {
            return Ok(());
        }
        if &buffer[..read] != client::connack() {
            return Err(wrong("not a CONNACK"));
        }
        self.inside[token] = true;
        self.counted.add(begin.elapsed());
        Ok(())
    }

    /// A client has been turned away. Anything but that is an error.
    fn give_up(&mut self, token: usize, why: &io::Error) -> io::Result<()> {
        if self.inside[token] {
            return Err(wrong(format!("a client was let in and thrown out: {why}")));
        }
        match why.kind() {
            io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionRefused
            | io::ErrorKind::BrokenPipe
            | io::ErrorKind::TimedOut
            | io::ErrorKind::UnexpectedEof => {}
            kind => return Err(io::Error::new(kind, why.to_string())),
        }
        self.retries += 1;
        self.turned_away.push((Instant::now(), token));
        // Out of the poll until it comes again.
        let idle = TcpStream::from(socket2::Socket::new(
            socket2::Domain::IPV4,
            socket2::Type::STREAM,
            None,
        )?);
        self.attempts[token].stream = idle;
        Ok(())
    }

    fn come_again(&mut self) -> io::Result<()> {
        let due = self
            .turned_away
            .iter()
            .take_while(|(since, _)| since.elapsed() >= PAUSE)
            .count();
        for (_, token) in self.turned_away.drain(..due) {
            self.attempts[token] = attempt(self.job, &self.poll, token)?;
        }
        Ok(())
    }
}
