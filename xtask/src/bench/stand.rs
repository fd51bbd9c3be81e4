//! Client, balancer and backend, each in a namespace, two links: what one candidate
//! is measured on.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Result;
use mqtt_lb_tests::lab::{BACKEND, FRONT, Lab};
use mqtt_lb_tests::load::{Job, Work};

use super::balancer::{Balancer, Sides};
use super::candidate::Candidate;
use super::loader::Loader;
use tempfile::TempDir;

const PORT: u16 = 1883;
/// Time for a backend to listen.
const PATIENCE: Duration = Duration::from_secs(10);
/// Connections of one load process: its descriptors are limited.
pub const PER_PROCESS: usize = 15_000;
/// Client processes for one address of the balancer: its ports are limited.
const PER_FRONT: usize = 4;

/// The two programs that are started.
#[derive(Debug, Clone, Copy)]
pub struct Programs<'a> {
    /// The balancer.
    pub mqtt_lb: &'a Path,
    /// Client and backend.
    pub load: &'a Path,
}

/// A candidate, ready to be used. Its parts end in this order.
pub struct Stand {
    /// The candidate.
    pub candidate: Candidate,
    /// The balancer; none if the candidate is plain forwarding.
    pub balancer: Option<Balancer>,
    _backends: Vec<Loader>,
    /// The namespaces.
    pub lab: Lab,
    /// Where client process 0, 1, … connects.
    pub targets: Vec<SocketAddr>,
    load: PathBuf,
    _dir: TempDir,
}

impl Stand {
    /// Starts everything but clients, for that many connections.
    ///
    /// # Errors
    /// If a part does not start.
    pub fn start(candidate: Candidate, programs: Programs, connections: usize) -> Result<Self> {
        let lab = Lab::new();
        let dir = TempDir::new()?;
        for side in [&lab.client, &lab.lb] {
            side.sysctl("net.ipv4.tcp_tw_reuse", "1");
        }
        lab.client
            .sysctl("net.ipv4.ip_local_port_range", "1024 65535");
        lab.client.ip(&format!("route add {BACKEND} via {FRONT}"));
        if candidate == Candidate::Direct {
            lab.lb.sysctl("net.ipv4.ip_forward", "1");
            lab.backend.ip("route add 10.77.1.0/24 via 10.77.2.1");
        }
        let processes = connections.div_ceil(PER_PROCESS);
        let addresses = |ip, n: usize| SocketAddr::new(ip, PORT + n as u16);
        let backends: Vec<_> = (0..processes).map(|n| addresses(BACKEND, n)).collect();
        let fronts: Vec<_> = (0..processes.div_ceil(PER_FRONT)).map(front).collect();
        for front in &fronts[1..] {
            lab.lb.ip(&format!("addr add {}/24 dev front", front.ip()));
        }
        let running = backends.iter().map(|address| {
            let job = Job::new(Work::Serve, *address);
            let mut backend = Loader::start(programs.load, &lab.backend, &job, PATIENCE)?;
            backend.go()?;
            Ok(backend)
        });
        let running = running.collect::<Result<Vec<_>>>()?;
        let sides = Sides {
            fronts: &fronts,
            backends: &backends,
            connections,
        };
        let balancer = Balancer::start(candidate, programs.mqtt_lb, &lab.lb, &sides, dir.path())?;
        let through = (0..processes).map(|n| fronts[n / PER_FRONT]).collect();
        let targets = if balancer.is_some() {
            through
        } else {
            backends
        };
        Ok(Self {
            candidate,
            balancer,
            _backends: running,
            lab,
            targets,
            load: programs.load.to_owned(),
            _dir: dir,
        })
    }

    /// The program of the clients.
    pub fn load(&self) -> &Path {
        &self.load
    }

    /// Shows with one connection that what is to be measured works here.
    ///
    /// # Errors
    /// If it does not.
    pub fn prove(&mut self) -> Result<()> {
        let mut job = Job::new(Work::Idle, self.targets[0]);
        job.connections = 1;
        let _client = Loader::start(&self.load, &self.lab.client, &job, PATIENCE)?;
        self.settle(job.connections)
    }

    /// Waits until that many connections are where they are to be measured.
    ///
    /// # Errors
    /// If they do not get there.
    pub fn settle(&mut self, connections: usize) -> Result<()> {
        match &mut self.balancer {
            Some(balancer) => balancer.settle(&self.lab.lb, connections),
            None => Ok(()),
        }
    }
}

/// The balancer's address number `n` on the clients' side.
fn front(n: usize) -> SocketAddr {
    let ip = match n {
        0 => FRONT,
        n => IpAddr::V4(Ipv4Addr::new(10, 77, 1, 100 + n as u8)),
    };
    SocketAddr::new(ip, PORT)
}
