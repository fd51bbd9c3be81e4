//! How soon a balancer serves, and how soon it does what a new configuration says.

use std::collections::BTreeMap;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use mqtt_lb_tests::brokers::fake::FakeBroker;
use mqtt_lb_tests::cpu::Clock;
use mqtt_lb_tests::lab::{BACKEND, FRONT, Lab};
use mqtt_lb_tests::mqtt::Connect;
use mqtt_lb_tests::netns::Netns;
use tempfile::TempDir;

use super::Round;
use crate::bench::balancer::{Balancer, Sides};
use crate::bench::candidate::Candidate;
use crate::bench::stand::Setting;
use crate::sys;

const PORT: u16 = 1883;
/// Time to start, or to reload.
const LIMIT: Duration = Duration::from_secs(20);
/// Time for one client to get in.
const VISIT: Duration = Duration::from_secs(1);
/// Time for it to be connected: one that comes too early comes again soon.
const CONNECT: Duration = Duration::from_millis(100);
/// Between start and reload: a balancer that has just begun may not know the signal yet.
const REST: Duration = Duration::from_millis(500);
/// Between two clients.
const PAUSE: Duration = Duration::from_millis(1);

/// A start and a reload, in milliseconds.
///
/// # Errors
/// If it does not start, or goes on with its old configuration.
pub fn round(candidate: Candidate, setting: Setting) -> Result<Round> {
    let lab = Lab::new();
    let dir = TempDir::new()?;
    let fronts = [SocketAddr::new(FRONT, PORT)];
    let addresses = [PORT, PORT + 1].map(|port| SocketAddr::new(BACKEND, port));
    let brokers = addresses.map(|address| FakeBroker::start(&lab.backend, address));
    let sides = |n: usize| Sides {
        fronts: &fronts,
        backends: &addresses[n..=n],
        connections: 100,
        proxy: true,
    };
    let clock = Clock::now();
    let begin = Instant::now();
    let (ns, dir) = (&lab.lb, dir.path());
    let Some(mut balancer) = Balancer::spawn(candidate, setting.mqtt_lb, ns, &sides(0), dir)?
    else {
        bail!("nothing starts");
    };
    let mut visits = Visits {
        ns: &lab.client,
        front: fronts[0],
        count: 0,
    };
    let start = visits.until(&mut balancer, &brokers[0], begin)?;
    std::thread::sleep(REST);
    let begin = Instant::now();
    balancer.reload(&sides(1))?;
    let reload = visits.until(&mut balancer, &brokers[1], begin)?;
    Ok(Round {
        values: BTreeMap::from([("start", start), ("reload", reload)]),
        foreign: Clock::now().foreign_since(clock),
    })
}

/// Clients that come one after the other.
struct Visits<'a> {
    ns: &'a Netns,
    front: SocketAddr,
    count: usize,
}

impl Visits<'_> {
    /// Sends clients until a broker has seen one; the time since `begin`.
    fn until(
        &mut self,
        balancer: &mut Balancer,
        broker: &FakeBroker,
        begin: Instant,
    ) -> Result<f64> {
        loop {
            let visit = self.visit();
            let time = begin.elapsed();
            if visit.is_ok() && !broker.visitors().is_empty() {
                return Ok(time.as_secs_f64() * 1000.0);
            }
            if sys::interrupted() {
                bail!("interrupted");
            }
            balancer.must_run()?;
            if time > LIMIT {
                bail!("no client gets to the backend in {} s", LIMIT.as_secs());
            }
            std::thread::sleep(PAUSE);
        }
    }

    fn visit(&mut self) -> io::Result<()> {
        self.count += 1;
        let connect = || TcpStream::connect_timeout(&self.front, CONNECT);
        let mut stream = self.ns.run(connect)?;
        stream.set_read_timeout(Some(VISIT))?;
        let id = format!("visit-{}", self.count);
        stream.write_all(&Connect::new(&id).encode())?;
        stream.read_exact(&mut [0; 4])
    }
}
