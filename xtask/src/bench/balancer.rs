//! A balancer in its namespace: mqtt-lb on one path, HAProxy or nginx, with client
//! ids that stick, PROXY headers to the backends, no health checks and no log.

mod haproxy;
mod mqtt_lb;
mod nginx;

use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path as File, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use mqtt_lb_tests::http;
use mqtt_lb_tests::metrics::Scrape;
use mqtt_lb_tests::netns::Netns;

use super::candidate::{Candidate, Path};
use super::memory;
use super::pins::Pins;
use crate::kept::Kept;
use crate::{paths, sys};

/// Each balancer has a namespace of its own, so the port is free.
const HTTP: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 9180);
/// Time to start, and to take established connections onto a path, beside a fifth of a
/// millisecond for each.
const PATIENCE: Duration = Duration::from_secs(10);
/// Entries of the stick tables.
const STICK: usize = 100_000;

/// A running balancer.
pub struct Balancer {
    candidate: Candidate,
    process: Kept,
    dir: PathBuf,
    pins: Option<Pins>,
}

/// What a balancer has between its two sides.
pub struct Sides<'a> {
    /// Where clients connect.
    pub fronts: &'a [SocketAddr],
    /// Where backends listen.
    pub backends: &'a [SocketAddr],
    /// Connections that there will be at most.
    pub connections: usize,
    /// Whether the backends take a PROXY header.
    pub proxy: bool,
}

impl Balancer {
    /// Starts a candidate in `ns`, with its files in `dir`; none for
    /// [`Candidate::Direct`].
    ///
    /// # Errors
    /// If it cannot be started.
    pub fn spawn(
        candidate: Candidate,
        mqtt_lb: &File,
        ns: &Netns,
        sides: &Sides,
        dir: &File,
    ) -> Result<Option<Self>> {
        let mut command = match candidate {
            Candidate::Direct => return Ok(None),
            Candidate::MqttLb(_) => {
                let mut command = ns.command(mqtt_lb);
                command.args(["run", "-f"]);
                command
            }
            // With a master process, which can reload.
            Candidate::Haproxy(_) => program(ns, "haproxy", &["-W", "-db", "-f"])?,
            Candidate::Nginx => program(ns, "nginx", &["-e", "stderr", "-c"])?,
        };
        let is_splice = candidate == Candidate::MqttLb(Path::Splice);
        let pins = is_splice.then(Pins::new);
        command.arg(configure(candidate, pins.as_ref(), sides, dir)?);
        let log = dir.join("balancer.log");
        let process = Kept::start(&candidate.name(), &mut command, log)?;
        Ok(Some(Self {
            candidate,
            process,
            dir: dir.to_owned(),
            pins,
        }))
    }

    /// Waits until it serves.
    ///
    /// # Errors
    /// If it does not; its last words are in the message.
    pub fn serve(&mut self, ns: &Netns, front: SocketAddr) -> Result<()> {
        let candidate = self.candidate;
        let serves = || match candidate {
            Candidate::MqttLb(_) => matches!(http::get(ns, HTTP, "/healthz"), Ok((200, _))),
            _ => ns.connect(front).is_ok(),
        };
        self.wait(PATIENCE, || Ok(serves().then_some(())))?
            .with_context(|| format!("{} does not serve", candidate.name()))
    }

    /// # Errors
    /// If it has ended; its last words are in the message.
    pub fn must_run(&mut self) -> Result<()> {
        self.process.must_run()
    }

    /// The ids of its process and of those that this has started.
    pub fn pids(&self) -> Vec<u32> {
        memory::family(self.process.pid())
    }

    /// Lets it take up another configuration.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn reload(&self, sides: &Sides) -> Result<()> {
        configure(self.candidate, self.pins.as_ref(), sides, &self.dir)?;
        self.process.signal(match self.candidate {
            Candidate::Haproxy(_) => libc::SIGUSR2,
            _ => libc::SIGHUP,
        });
        Ok(())
    }

    /// Waits until that many connections are on the path that is to be measured.
    ///
    /// # Errors
    /// If they do not get there.
    pub fn settle(&mut self, ns: &Netns, connections: usize) -> Result<()> {
        let Candidate::MqttLb(path) = self.candidate else {
            return Ok(());
        };
        let time = PATIENCE + Duration::from_micros(200 * connections as u64);
        let mut last = 0.0;
        let there = self.wait(time, || {
            let (_, body) = http::get(ns, HTTP, "/metrics")?;
            last = Scrape::parse(&body).sum("mqttlb_datapath_flows", &[("path", path.name())]);
            Ok((last as usize == connections).then_some(()))
        })?;
        if there.is_none() {
            let log = self.process.log()?;
            let said = log.lines().last().unwrap_or("nothing");
            bail!(
                "{last} of {connections} connections are on the path {}; it logged: {said}",
                path.name()
            );
        }
        Ok(())
    }

    /// Asks until there is an answer; none when there is none in time.
    fn wait<T>(
        &mut self,
        time: Duration,
        mut ask: impl FnMut() -> Result<Option<T>>,
    ) -> Result<Option<T>> {
        let end = Instant::now() + time;
        loop {
            if let Some(answer) = ask()? {
                return Ok(Some(answer));
            }
            if sys::interrupted() {
                bail!("interrupted");
            }
            self.process.must_run()?;
            if Instant::now() > end {
                return Ok(None);
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

/// A program of Debian's, in a namespace.
fn program(ns: &Netns, name: &str, arguments: &[&str]) -> Result<Command> {
    let path = paths::program(name).with_context(|| format!("{name} is not installed"))?;
    let mut command = ns.command(path);
    command.args(arguments);
    Ok(command)
}

/// Writes the configuration of a candidate; the file.
fn configure(
    candidate: Candidate,
    pins: Option<&Pins>,
    sides: &Sides,
    dir: &File,
) -> Result<PathBuf> {
    let text = match candidate {
        Candidate::Direct => String::new(),
        Candidate::MqttLb(path) => mqtt_lb::config(path, pins, sides),
        Candidate::Haproxy(how) => haproxy::config(how, sides),
        Candidate::Nginx => nginx::config(sides, dir, sys::open_files_limit()?.0)?,
    };
    let file = dir.join("balancer.conf");
    fs::write(&file, text)?;
    Ok(file)
}
