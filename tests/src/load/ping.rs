//! Idle connections whose clients send PINGREQ, as real ones do.

use std::io;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use socket2::SockRef;

use super::histogram::Histogram;
use super::job::Job;
use super::messages::{PINGREQ, PINGRESP};
use super::poll::{Interest, Poll};
use super::{client, wrong};

/// Time for the last answer.
const PATIENCE: Duration = Duration::from_secs(10);
/// Pings between two looks at what has come.
const BURST: usize = 32;

/// Runs [`super::Work::Ping`]: one ping on each connection, spread over the measured
/// time.
pub fn run(job: &Job, start: impl FnOnce() -> io::Result<()>) -> io::Result<Value> {
    let clients = client::open_all(job)?;
    start()?;
    let mut poll = Poll::new()?;
    for (token, stream) in clients.iter().enumerate() {
        poll.add(stream, token, Interest::Read)?;
        SockRef::from(stream).set_linger(Some(Duration::ZERO))?;
    }
    let each = job.measured / clients.len().max(1) as u32;
    let begin = Instant::now();
    let mut asked: Vec<Instant> = Vec::with_capacity(clients.len());
    let mut counted = Histogram::default();
    let mut ready = Vec::new();
    while counted.count() < clients.len() as u64 {
        if begin.elapsed() > job.measured + PATIENCE {
            let (count, all) = (counted.count(), clients.len());
            return Err(wrong(format!("{count} of {all} pings were answered")));
        }
        for _ in 0..BURST {
            let next = asked.len();
            if next == clients.len() || begin.elapsed() < each * next as u32 {
                break;
            }
            asked.push(Instant::now());
            client::send(&clients[next], &PINGREQ)?;
        }
        poll.wait(Some(Duration::from_millis(1)), &mut ready)?;
        for token in &ready {
            let mut answer = [0; 8];
            let read = client::receive(&clients[*token], &mut answer)?;
            match (&answer[..read], asked.get(*token)) {
                ([], _) => {}
                (bytes, Some(asked)) if bytes == PINGRESP => counted.add(asked.elapsed()),
                (bytes, _) => return Err(wrong(format!("not an answer: {bytes:02x?}"))),
            }
        }
    }
    Ok(json!({
        "lost": 0,
        "rate": counted.count() as f64 / begin.elapsed().as_secs_f64(),
        "p50": counted.quantile_us(0.5),
        "p99": counted.quantile_us(0.99),
    }))
}
