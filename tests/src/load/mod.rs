//! Load for measurements: a client and a backend, each a process with one thread,
//! plain epoll and prepared buffers, so that what is between them is what costs.
//!
//! The binary `mqtt-lb-load` runs a [`Job`]. It prints `ready`, waits for a line on its
//! standard input, works, and prints what it has measured as one line of JSON.

mod backend;
mod bulk;
mod client;
mod connect;
mod histogram;
mod idle;
mod job;
mod messages;
mod paced;
mod ping;
mod poll;
mod pubsub;
mod received;
mod request;
mod storm;
mod window;

#[cfg(test)]
mod tests;

use std::io::{self, BufRead, Write};

pub use job::{Direction, Job, Work};

/// Runs a job with the standard streams of this process.
///
/// # Errors
/// Those of the network, and anything that the other side should not have sent.
pub fn run(job: &Job) -> io::Result<()> {
    let start = || {
        println!("ready");
        io::stdout().flush()?;
        io::stdin().lock().read_line(&mut String::new()).map(drop)
    };
    let report = perform(job, start)?;
    println!("{report}");
    Ok(())
}

/// Prepares a job, calls `start`, which says when, and returns the report.
fn perform(job: &Job, start: impl FnMut() -> io::Result<()>) -> io::Result<serde_json::Value> {
    match job.work {
        Work::Serve => backend::serve(job, start),
        Work::Request => request::run(job, start),
        Work::Paced => paced::run(job, start),
        Work::Bulk(direction) | Work::Small(direction) => bulk::run(job, direction, start),
        Work::Connect => connect::run(job, start),
        Work::Storm => storm::run(job, start),
        Work::Idle => idle::run(job, start),
        Work::Ping => ping::run(job, start),
        Work::PubSub(qos) => pubsub::run(job, qos, start),
    }
}

/// An error that names what is wrong.
fn wrong(what: impl Into<String>) -> io::Error {
    io::Error::other(what.into())
}
