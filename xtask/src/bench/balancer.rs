//! A balancer in its namespace: mqtt-lb on one path, or HAProxy, both with a stick
//! table of client ids, PROXY v2 to the backends, no health checks and no log.

use std::fmt::Write as _;
use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path as File, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use mqtt_lb_tests::http;
use mqtt_lb_tests::metrics::Scrape;
use mqtt_lb_tests::netns::Netns;

use super::candidate::{Candidate, Path};
use super::pins::Pins;
use crate::kept::Kept;
use crate::{paths, sys};

/// Each balancer has a namespace of its own, so the port is free.
const HTTP: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 9180);
/// Time to start, and to take established connections onto a path.
const PATIENCE: Duration = Duration::from_secs(10);
/// Entries of the stick tables.
const STICK: usize = 100_000;

/// A running balancer.
pub struct Balancer {
    process: Kept,
    path: Option<Path>,
    _pins: Option<Pins>,
}

/// What a balancer has between its two sides.
pub struct Sides<'a> {
    /// Where clients connect.
    pub fronts: &'a [SocketAddr],
    /// Where backends listen.
    pub backends: &'a [SocketAddr],
    /// Connections that there will be at most.
    pub connections: usize,
}

impl Balancer {
    /// Starts a candidate in `ns`, with its files in `dir`, and waits until it serves;
    /// none for [`Candidate::Direct`].
    ///
    /// # Errors
    /// If it does not; its last words are in the message.
    pub fn start(
        candidate: Candidate,
        mqtt_lb: &File,
        ns: &Netns,
        sides: &Sides,
        dir: &File,
    ) -> Result<Option<Self>> {
        let mut pins = None;
        let (text, path, mut command) = match candidate {
            Candidate::Direct => return Ok(None),
            Candidate::MqttLb(path) => {
                if path == Path::Splice {
                    pins = Some(Pins::new());
                }
                let mut command = ns.command(mqtt_lb);
                command.args(["run", "-f"]);
                (
                    mqtt_lb_config(path, pins.as_ref(), sides),
                    Some(path),
                    command,
                )
            }
            Candidate::Haproxy(threads) => {
                let haproxy = paths::program("haproxy").context("haproxy is not installed")?;
                let mut command = ns.command(haproxy);
                command.args(["-db", "-f"]);
                (haproxy_config(threads, sides), None, command)
            }
        };
        let config: PathBuf = dir.join("balancer.conf");
        fs::write(&config, text)?;
        command.arg(&config);
        let process = Kept::start(&candidate.name(), &mut command, dir.join("balancer.log"))?;
        let mut balancer = Self {
            process,
            path,
            _pins: pins,
        };
        let serves = || match path {
            Some(_) => matches!(http::get(ns, HTTP, "/healthz"), Ok((200, _))),
            None => ns.connect(sides.fronts[0]).is_ok(),
        };
        balancer
            .wait(|| Ok(serves().then_some(())))?
            .with_context(|| format!("{} does not serve", candidate.name()))?;
        Ok(Some(balancer))
    }

    /// The process id.
    pub fn pid(&self) -> u32 {
        self.process.pid()
    }

    /// Waits until that many connections are on the path that is to be measured.
    ///
    /// # Errors
    /// If they do not get there.
    pub fn settle(&mut self, ns: &Netns, connections: usize) -> Result<()> {
        let Some(path) = self.path else {
            return Ok(());
        };
        let mut last = 0.0;
        let there = self.wait(|| {
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
    fn wait<T>(&mut self, mut ask: impl FnMut() -> Result<Option<T>>) -> Result<Option<T>> {
        let end = Instant::now() + PATIENCE;
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

fn mqtt_lb_config(path: Path, pins: Option<&Pins>, sides: &Sides) -> String {
    let flows = sides.connections.max(1000);
    let mut text = format!("datapath = [\"{}\"]\n", path.name());
    text += "[admin]\nsocket = \"off\"\n[log]\nlevel = \"warn\"\nsessions = false\n";
    text += "[timeouts]\nshutdown_grace = \"1s\"\n";
    let _ = writeln!(text, "[http]\nlisten = \"{HTTP}\"");
    match (path, pins) {
        (Path::Splice, Some(pins)) => {
            let _ = writeln!(text, "[splice]\nmax_flows = {flows}\ndrop_flows = true");
            let _ = writeln!(text, "pin = \"{}\"", pins.dir().display());
        }
        (Path::Sockmap, _) => {
            let _ = writeln!(text, "[sockmap]\npolicy = \"always\"\nmax_flows = {flows}");
        }
        _ => {}
    }
    for (n, front) in sides.fronts.iter().enumerate() {
        let _ = writeln!(
            text,
            "[listener.mqtt{n}]\nbind = \"{front}\"\npool = \"brokers\""
        );
    }
    let size = sides.connections.max(STICK);
    let _ = writeln!(text, "[pool.brokers]\nproxy_protocol = \"v2\"");
    let _ = writeln!(
        text,
        "[pool.brokers.stick]\nsize = {size}\nexpire = \"30m\""
    );
    text += "[pool.brokers.health]\ntype = \"off\"\n";
    for (n, backend) in sides.backends.iter().enumerate() {
        text += "[[pool.brokers.backend]]\n";
        let _ = writeln!(text, "name = \"b{n}\"\naddress = \"{backend}\"");
    }
    text
}

/// The published recipe with the two lines that make it stick, and without its log.
fn haproxy_config(threads: u32, sides: &Sides) -> String {
    let size = sides.connections.max(STICK);
    let mut text = format!("global\n  nbthread {threads}\n  maxconn 9900\n");
    text += "defaults\n  mode tcp\n  maxconn 9900\n  timeout connect 30s\n";
    text += "  timeout client 600s\n  timeout server 600s\nfrontend mqtt\n";
    for front in sides.fronts {
        let _ = writeln!(text, "  bind {front}");
    }
    text += "  tcp-request inspect-delay 10s\n";
    text += "  tcp-request content reject unless { req.payload(0,0),mqtt_is_valid }\n";
    text += "  default_backend brokers\nbackend brokers\n  mode tcp\n";
    let _ = writeln!(
        text,
        "  stick-table type string len 32 size {size} expire 30m"
    );
    text += "  stick on req.payload(0,0),mqtt_field_value(connect,client_identifier)\n";
    for (n, backend) in sides.backends.iter().enumerate() {
        let _ = writeln!(text, "  server b{n} {backend} send-proxy-v2");
    }
    text
}
