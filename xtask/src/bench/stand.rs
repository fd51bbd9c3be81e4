//! Client, balancer and backend, each in a namespace, two links or a switch: what one
//! candidate is measured on.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Result;
use mqtt_lb_tests::lab::{BACKEND, FRONT, Lab, Layout};
use mqtt_lb_tests::load::{Job, Work};
use tempfile::TempDir;

use super::balancer::{Balancer, Sides};
use super::candidate::Candidate;
use super::loader::{Loader, Place};
use super::mosquitto::Mosquitto;

const PORT: u16 = 1883;
/// Time for a backend to listen.
const PATIENCE: Duration = Duration::from_secs(10);
/// Connections of one load process: its descriptors are limited.
pub const PER_PROCESS: usize = 15_000;
/// Client processes for one address of the balancer: its ports are limited.
const PER_FRONT: usize = 4;

/// What all candidates have in common.
#[derive(Debug, Clone, Copy)]
pub struct Setting<'a> {
    /// The balancer under test.
    pub mqtt_lb: &'a Path,
    /// Client and backend.
    pub load: &'a Path,
    /// Whether the balancer has one interface, and all hosts are on one switch.
    pub one_arm: bool,
}

/// What is behind the balancer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Behind {
    /// So many processes with prepared answers.
    Prepared(usize),
    /// A real broker.
    Mosquitto,
}

/// A candidate, ready to be used. Its parts end in this order.
pub struct Stand {
    /// The candidate.
    pub candidate: Candidate,
    /// The balancer; none if the candidate is plain forwarding.
    pub balancer: Option<Balancer>,
    _prepared: Vec<Loader>,
    _broker: Option<Mosquitto>,
    /// The namespaces.
    pub lab: Lab,
    /// Where client process 0, 1, … connects.
    pub targets: Vec<SocketAddr>,
    backends: Vec<SocketAddr>,
    load: PathBuf,
    _dir: TempDir,
}

impl Stand {
    /// Starts everything but clients, for that many connections.
    ///
    /// # Errors
    /// If a part does not start.
    pub fn start(
        candidate: Candidate,
        setting: Setting,
        connections: usize,
        behind: Behind,
    ) -> Result<Self> {
        let lab = Lab::build(&Layout {
            one_arm: setting.one_arm,
            ..Layout::default()
        });
        let dir = TempDir::new()?;
        prepare(&lab, candidate == Candidate::Direct);
        let processes = match behind {
            Behind::Prepared(processes) => processes,
            Behind::Mosquitto => 1,
        };
        let addresses = |ip, n: usize| SocketAddr::new(ip, PORT + n as u16);
        let backends: Vec<_> = (0..processes).map(|n| addresses(BACKEND, n)).collect();
        let fronts: Vec<_> = (0..processes.div_ceil(PER_FRONT)).map(front).collect();
        for front in &fronts[1..] {
            lab.lb.ip(&format!("addr add {}/24 dev front", front.ip()));
        }
        let broker = match behind {
            Behind::Prepared(_) => None,
            Behind::Mosquitto => Some(Mosquitto::start(&lab.backend, backends[0], dir.path())?),
        };
        let running = backends.iter().filter(|_| broker.is_none()).map(|address| {
            let job = Job::new(Work::Serve, *address);
            let place = match processes {
                1 => Place::backend(&lab),
                _ => Place::anywhere(&lab.backend),
            };
            let mut backend = Loader::start(setting.load, &place, &job, PATIENCE)?;
            backend.go()?;
            Ok(backend)
        });
        let running = running.collect::<Result<Vec<_>>>()?;
        let sides = Sides {
            fronts: &fronts,
            backends: &backends,
            connections,
            proxy: broker.is_none(),
        };
        let mut balancer =
            Balancer::spawn(candidate, setting.mqtt_lb, &lab.lb, &sides, dir.path())?;
        if let Some(balancer) = &mut balancer {
            balancer.serve(&lab.lb, fronts[0])?;
        }
        let targets = if balancer.is_some() {
            (0..processes).map(|n| fronts[n / PER_FRONT]).collect()
        } else {
            backends.clone()
        };
        Ok(Self {
            candidate,
            balancer,
            _prepared: running,
            _broker: broker,
            lab,
            targets,
            backends,
            load: setting.load.to_owned(),
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
        let place = Place::client(&self.lab);
        let client = Loader::start(&self.load, &place, &job, PATIENCE)?;
        self.settle(job.connections)?;
        drop(client);
        self.settle(0)
    }

    /// Established connections of each backend.
    pub fn clients_of_backends(&self) -> Vec<usize> {
        let table = self.lab.backend.proc_net("tcp");
        let ports = self.backends.iter().map(SocketAddr::port);
        ports.map(|port| established(&table, port)).collect()
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

/// Established connections of a port, in the text of `/proc/net/tcp`.
fn established(table: &str, port: u16) -> usize {
    let port = format!(":{port:04X}");
    let is_one = |line: &&str| {
        let mut words = line.split_whitespace().skip(1);
        let own = words.next().is_some_and(|local| local.ends_with(&port));
        own && words.nth(1) == Some("01")
    };
    table.lines().filter(is_one).count()
}

/// Addresses, ports and routes of the hosts.
fn prepare(lab: &Lab, is_direct: bool) {
    for side in [&lab.client, &lab.lb] {
        side.sysctl("net.ipv4.tcp_tw_reuse", "1");
    }
    lab.client
        .sysctl("net.ipv4.ip_local_port_range", "1024 65535");
    lab.client.ip(&format!("route add {BACKEND} via {FRONT}"));
    if is_direct {
        for key in ["all", "default", "front"] {
            // With one arm it would tell the hosts to do without it.
            lab.lb
                .sysctl(&format!("net.ipv4.conf.{key}.send_redirects"), "0");
        }
        lab.lb.sysctl("net.ipv4.ip_forward", "1");
        lab.backend.ip("route add 10.77.1.0/24 via 10.77.2.1");
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_are_counted_by_port_and_state() {
        let table = "  sl  local_address rem_address   st tx_queue\n   \
                     0: 0202500A:075B 0102500A:07D0 01 0:0\n   \
                     1: 0202500A:075C 0102500A:07D0 01 0:0\n   \
                     2: 0202500A:075B 00000000:0000 0A 0:0\n";
        assert_eq!(established(table, 1883), 1);
        assert_eq!(established(table, 1885), 0);
    }
}
