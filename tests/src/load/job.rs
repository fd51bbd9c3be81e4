//! What a load process is to do, as it stands on its command line.

use std::net::SocketAddr;
use std::time::Duration;

/// Which way bulk data goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// Client to backend.
    Up,
    /// Backend to client.
    Down,
}

/// A kind of work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Work {
    /// The backend's side of all the others, until the process is ended.
    Serve,
    /// On each connection the next message when the answer to the last one is there.
    Request,
    /// Messages at a fixed rate, whenever the answers come.
    Paced,
    /// As many bytes as go through.
    Bulk(Direction),
    /// As many small messages as go through, each written by itself.
    Small(Direction),
    /// Connect, CONNECT, CONNACK, close, and again.
    Connect,
    /// All connections at once, from the start until the last one is let in.
    Storm,
    /// Connections that say nothing, until the start.
    Idle,
    /// The same; after the start each sends PINGREQ once, spread over the measured time.
    Ping,
    /// Real clients of a real broker: half publish, half subscribe, with this QoS (0 or 1).
    PubSub(u8),
}

impl Work {
    /// Connections beside those of the job: one that asks the backend what has come.
    pub fn extra(self) -> usize {
        usize::from(matches!(
            self,
            Work::Bulk(Direction::Up) | Work::Small(Direction::Up)
        ))
    }
}

const WORKS: [(&str, Work); 13] = [
    ("serve", Work::Serve),
    ("request", Work::Request),
    ("paced", Work::Paced),
    ("bulk-up", Work::Bulk(Direction::Up)),
    ("bulk-down", Work::Bulk(Direction::Down)),
    ("small-up", Work::Small(Direction::Up)),
    ("small-down", Work::Small(Direction::Down)),
    ("connect", Work::Connect),
    ("storm", Work::Storm),
    ("idle", Work::Idle),
    ("ping", Work::Ping),
    ("pubsub-0", Work::PubSub(0)),
    ("pubsub-1", Work::PubSub(1)),
];

/// A job for one process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Job {
    /// What to do.
    pub work: Work,
    /// Where to connect, or to listen.
    pub address: SocketAddr,
    /// Connections at the same time.
    pub connections: usize,
    /// Bytes of a message, its MQTT header included.
    pub size: usize,
    /// Messages a second over all connections, for [`Work::Paced`].
    pub rate: u64,
    /// Time of work before the measurement.
    pub warm_up: Duration,
    /// Time that is measured.
    pub measured: Duration,
}

impl Job {
    /// A job with 50 connections and messages of 128 bytes, measured for two seconds.
    pub fn new(work: Work, address: SocketAddr) -> Self {
        Self {
            work,
            address,
            connections: 50,
            size: 128,
            rate: 30_000,
            warm_up: Duration::from_millis(500),
            measured: Duration::from_secs(2),
        }
    }

    /// The arguments from which [`Job::parse`] makes the same job.
    pub fn arguments(&self) -> Vec<String> {
        let name = WORKS.iter().find(|(_, work)| *work == self.work);
        vec![
            name.map_or("", |(name, _)| name).to_owned(),
            self.address.to_string(),
            self.connections.to_string(),
            self.size.to_string(),
            self.rate.to_string(),
            self.warm_up.as_millis().to_string(),
            self.measured.as_millis().to_string(),
        ]
    }

    /// Reads a command line: all arguments, in the order of [`Job::arguments`].
    ///
    /// # Errors
    /// A line that says how it should look.
    pub fn parse(arguments: &[String]) -> Result<Self, String> {
        let job = || {
            let [work, address, connections, size, rate, warm_up, measured] = arguments else {
                return None;
            };
            let (_, work) = WORKS.iter().find(|(name, _)| name == work)?;
            Some(Self {
                work: *work,
                address: address.parse().ok()?,
                connections: connections.parse().ok()?,
                size: size.parse().ok()?,
                rate: rate.parse().ok()?,
                warm_up: Duration::from_millis(warm_up.parse().ok()?),
                measured: Duration::from_millis(measured.parse().ok()?),
            })
        };
        job().ok_or_else(|| {
            let works = WORKS.map(|(name, _)| name).join("|");
            format!("arguments: {works} ADDRESS CONNECTIONS SIZE RATE WARM-UP-MS MEASURED-MS")
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_job_survives_its_command_line() {
        let address = SocketAddr::from(([10, 77, 1, 1], 1883));
        for (_, work) in WORKS {
            let mut job = Job::new(work, address);
            job.measured = Duration::from_millis(1234);
            job.rate = 7;
            assert_eq!(Job::parse(&job.arguments()), Ok(job));
        }
        let mut short = Job::new(Work::Idle, address).arguments();
        short.pop();
        assert!(Job::parse(&short).is_err());
    }
}
