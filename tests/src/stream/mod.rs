//! Byte-exact load: many connections whose every byte is known on both ends.

pub mod broker;
pub mod end;
pub mod pattern;
pub mod plan;
pub mod proxy;

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::thread::{Builder, Scope, ScopedJoinHandle};
use std::time::{Duration, Instant};

use broker::StreamBroker;
use end::{Counts, End};
use plan::Flow;

use crate::netns::Netns;
use crate::require::say;

/// Stack of the many threads: they only copy.
const STACK: usize = 256 << 10;

/// What became of all flows.
#[derive(Debug)]
pub struct Report {
    /// Flows run.
    pub flows: usize,
    /// One line per flow that was not intact.
    pub failures: Vec<String>,
    /// Bytes received and found right, both directions.
    pub bytes: u64,
    /// From the first connect to the last close.
    pub elapsed: Duration,
}

impl Report {
    /// Panics unless every stream arrived whole; prints the figures otherwise.
    pub fn assert_intact(&self, what: &str) {
        assert!(self.failures.is_empty(), "{what}: {self}");
        say(&format!("{what}: {self}"));
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (bad, megabytes) = (self.failures.len(), self.bytes as f64 / 1e6);
        let seconds = self.elapsed.as_secs_f64();
        write!(
            f,
            "{} flows, {bad} damaged, {megabytes:.1} MB in {seconds:.1} s",
            self.flows
        )?;
        for failure in self.failures.iter().take(10) {
            write!(f, "\n  {failure}")?;
        }
        Ok(())
    }
}

/// Runs all flows at once from `client` to `target` and compares both ends.
/// `brokers` are where the flows may come out.
pub fn run(
    client: &Netns,
    target: SocketAddr,
    flows: &Arc<[Flow]>,
    brokers: &[StreamBroker],
    stall: Duration,
) -> Report {
    let begin = Instant::now();
    let outcomes: Vec<Result<Counts, String>> = client.run(|| {
        std::thread::scope(|scope| {
            let clients: Vec<_> = flows
                .iter()
                .map(|flow| spawn(scope, move || play(target, flow, stall)))
                .collect();
            clients
                .into_iter()
                .map(|c| c.join().expect("a client panicked"))
                .collect()
        })
    });
    let mut report = Report {
        flows: flows.len(),
        failures: vec![],
        bytes: 0,
        elapsed: begin.elapsed(),
    };
    for (flow, outcome) in flows.iter().zip(outcomes) {
        let client_failed = outcome.is_err();
        match outcome {
            Ok(counts) => report.bytes += counts.received,
            Err(e) => report
                .failures
                .push(format!("flow {}: client: {e}", flow.id)),
        }
        match wait_ended(
            brokers,
            flow.id,
            if client_failed { Duration::ZERO } else { stall },
        )[..]
        {
            [Ok(counts)] => report.bytes += counts.received,
            [Err(ref e)] => report
                .failures
                .push(format!("flow {}: broker: {e}", flow.id)),
            ref ends => {
                report
                    .failures
                    .push(format!("flow {}: ended {} times", flow.id, ends.len()));
            }
        }
    }
    report
}

fn wait_ended(brokers: &[StreamBroker], flow: u32, most: Duration) -> Vec<Result<Counts, String>> {
    let end = Instant::now() + most;
    loop {
        let ended: Vec<_> = brokers.iter().flat_map(|b| b.ended(flow)).collect();
        if !ended.is_empty() || Instant::now() >= end {
            return ended;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn play(target: SocketAddr, flow: &Flow, stall: Duration) -> Result<Counts, String> {
    std::thread::sleep(flow.start);
    let stream = std::net::TcpStream::connect_timeout(&target, Duration::from_secs(20))
        .map_err(|e| format!("connect: {e}"))?;
    let mut head = Vec::new();
    let mut rest = flow.connect.as_slice();
    for cut in &flow.cuts {
        if *cut < rest.len() {
            let (piece, behind) = rest.split_at(*cut);
            head.push(piece.to_vec());
            rest = behind;
        }
    }
    head.push(rest.to_vec());
    End {
        stream: &stream,
        head,
        send: &flow.up,
        expect_head: flow.connack(),
        received: Vec::new(),
        expect: &flow.down,
        stall,
    }
    .exchange()
}

/// A scoped thread with a small stack, in the namespace of its parent.
pub(crate) fn spawn<'scope, T: Send + 'scope>(
    scope: &'scope Scope<'scope, '_>,
    f: impl FnOnce() -> T + Send + 'scope,
) -> ScopedJoinHandle<'scope, T> {
    Builder::new()
        .stack_size(STACK)
        .spawn_scoped(scope, f)
        .expect("start a thread")
}

/// A detached thread with a small stack.
pub(crate) fn spawn_detached(f: impl FnOnce() + Send + 'static) {
    Builder::new()
        .stack_size(STACK)
        .spawn(f)
        .expect("start a thread");
}
