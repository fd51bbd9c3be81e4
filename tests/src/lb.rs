//! The program under test, started in a namespace with a configuration file.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Output;
use std::time::Duration;

use tempfile::TempDir;

use crate::bpffs::PinDir;
use crate::http;
use crate::metrics::Scrape;
use crate::netns::Netns;
use crate::process::Process;
use crate::wait;

/// Which data path the program is to use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DataPath {
    /// `sockmap` for every flow that can.
    Sockmap,
    /// `copy` only.
    Copy,
    /// Both, by the `auto` policy.
    Auto,
    /// `sockmap`, with the short cut for brokers on the balancer's host.
    Local,
    /// `splice` for every flow that can, by tcx.
    Splice,
    /// `splice` for every flow that can, by native XDP.
    Xdp,
}

impl DataPath {
    /// The pure paths, each on its usual hook.
    pub const PURE: [DataPath; 3] = [DataPath::Splice, DataPath::Sockmap, DataPath::Copy];

    /// The label of the metrics.
    pub fn label(self) -> &'static str {
        match self {
            DataPath::Splice | DataPath::Xdp => "splice",
            DataPath::Sockmap | DataPath::Local | DataPath::Auto => "sockmap",
            DataPath::Copy => "copy",
        }
    }

    fn config(self) -> &'static str {
        match self {
            DataPath::Splice => "datapath = [\"splice\", \"copy\"]\n[splice]\nattach = \"tcx\"\n",
            DataPath::Xdp => "datapath = [\"splice\", \"copy\"]\n[splice]\nattach = \"xdp\"\n",
            DataPath::Sockmap => {
                "datapath = [\"sockmap\", \"copy\"]\n[sockmap]\npolicy = \"always\"\n"
            }
            DataPath::Local => {
                "datapath = [\"sockmap\", \"copy\"]\n\
                 [sockmap]\npolicy = \"always\"\nlocal_brokers = true\n"
            }
            DataPath::Copy => "datapath = [\"copy\"]\n",
            DataPath::Auto => "datapath = [\"sockmap\", \"copy\"]\n[sockmap]\npolicy = \"auto\"\n",
        }
    }
}

/// The binary under test: `$MQTT_LB_BIN`, else the workspace's debug build.
pub fn binary() -> PathBuf {
    let path = std::env::var_os("MQTT_LB_BIN").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/debug/mqtt-lb"),
        PathBuf::from,
    );
    assert!(
        path.is_file(),
        "no binary at {}: build it (`cargo xtask build`) or set MQTT_LB_BIN",
        path.display()
    );
    path
}

/// A listener `mqtt` and its pool `brokers` with backends `b1`, `b2`, ...;
/// `pool` holds the pool's keys and then its tables. More sections may follow.
pub fn config(bind: SocketAddr, pool: &str, backends: &[SocketAddr]) -> String {
    let mut text = format!("[listener.mqtt]\nbind = \"{bind}\"\npool = \"brokers\"\n");
    text += &format!("[pool.brokers]\n{pool}\n");
    for (n, address) in (1..).zip(backends) {
        text += &backend(&format!("b{n}"), *address, 1);
    }
    text
}

/// One more backend of the pool `brokers`.
pub fn backend(name: &str, address: SocketAddr, weight: u32) -> String {
    format!(
        "[[pool.brokers.backend]]\nname = \"{name}\"\naddress = \"{address}\"\nweight = {weight}\n"
    )
}

/// A running balancer, killed on drop; what it has pinned goes with it.
#[derive(Debug)]
pub struct Lb<'a> {
    /// The process.
    pub process: Process,
    ns: &'a Netns,
    http: SocketAddr,
    dir: TempDir,
    head: String,
    past: Vec<String>,
    pins: Option<PinDir>,
}

impl<'a> Lb<'a> {
    /// Starts the program and waits until it answers on `/healthz`. `config` is
    /// the file without the top-level keys, `[splice]`, `[sockmap]`, `[admin]`,
    /// `[http]` and `[log]`, which are set here.
    pub fn start(ns: &'a Netns, path: DataPath, config: &str) -> Self {
        Self::start_with(ns, path, "", config)
    }

    /// Like [`Lb::start`], with more keys for the section of the data path.
    pub fn start_with(ns: &'a Netns, path: DataPath, keys: &str, config: &str) -> Self {
        let dir = TempDir::new().expect("temporary directory");
        let http = ns.free_port();
        let spliced = path.label() == "splice";
        let pins = spliced.then(PinDir::new);
        let pin = pins
            .iter()
            .map(|pins| format!("pin = \"{}\"\n", pins.path().display()));
        let head = format!("{}{}{keys}", path.config(), pin.collect::<String>());
        let file = write_config(&dir, &head, http, config);
        let process = run(ns, &file, &dir, 0);
        let mut lb = Self {
            process,
            ns,
            http,
            dir,
            head,
            past: Vec::new(),
            pins,
        };
        lb.wait_healthy();
        let log = lb.log();
        let missing = spliced && log.contains("splice is not available");
        assert!(!missing, "no splice path");
        lb
    }

    fn wait_healthy(&mut self) {
        wait::for_true(
            "mqtt-lb should answer on /healthz",
            Duration::from_secs(20),
            || {
                if let Some(status) = self.process.ended() {
                    panic!("mqtt-lb ended with {status}:\n{}", self.process.log());
                }
                matches!(http::get(self.ns, self.http, "/healthz"), Ok((200, _)))
            },
        );
    }

    /// Starts it again after its death, with the same file, sockets and pins.
    pub fn start_again(&mut self) {
        assert!(self.process.ended().is_some(), "it is still there");
        let file = self.dir.path().join(FILE);
        self.past.push(self.process.log());
        self.process = run(self.ns, &file, &self.dir, self.past.len());
        self.wait_healthy();
    }

    /// The directory it pins to.
    pub fn pins(&self) -> &PinDir {
        self.pins.as_ref().expect("a path that pins")
    }

    /// Writes another configuration; [`Lb::reload`] makes the program read it.
    pub fn write_config(&self, config: &str) {
        write_config(&self.dir, &self.head, self.http, config);
    }

    /// Sends SIGHUP and waits until the reload is counted as `ok` or `refused`.
    pub fn reload(&self) -> &'static str {
        let count = |result| {
            self.metrics()
                .sum("mqttlb_config_reloads_total", &[("result", result)])
        };
        let results = ["ok", "refused"];
        let before = results.map(count);
        self.process.signal(libc::SIGHUP);
        wait::until(
            "the reload should be counted",
            Duration::from_secs(10),
            || {
                results
                    .into_iter()
                    .zip(before)
                    .find(|(r, n)| count(*r) > *n)
                    .map(|(r, _)| r)
            },
        )
    }

    /// A scrape of `/metrics`.
    pub fn metrics(&self) -> Scrape {
        let (status, body) = self.get("/metrics");
        assert_eq!(status, 200, "{body}");
        Scrape::parse(&body)
    }

    /// Waits until a series is there and its sum satisfies a condition.
    pub fn wait_metric(
        &self,
        name: &str,
        labels: &[(&str, &str)],
        within: Duration,
        good: impl Fn(f64) -> bool,
    ) -> f64 {
        let what = format!("{name}{labels:?} should get there");
        wait::until(&what, within, || {
            let scrape = self.metrics();
            let value = scrape.has(name, labels).then(|| scrape.sum(name, labels));
            value.filter(|v| good(*v))
        })
    }

    /// `GET` of a path on the HTTP port.
    pub fn get(&self, path: &str) -> (u16, String) {
        http::get(self.ns, self.http, path).unwrap_or_else(|e| panic!("GET {path}: {e}"))
    }

    /// Runs an admin command line (`table show`, `backend list`, ...) against
    /// this process.
    pub fn admin(&self, words: &[&str]) -> Output {
        let mut command = self.ns.command(binary());
        command.args(words).arg("--socket").arg(self.socket());
        command.output().expect("run mqtt-lb")
    }

    /// Like [`Lb::admin`], for commands that must work: what they print.
    pub fn admin_ok(&self, words: &[&str]) -> String {
        let out = self.admin(words);
        let error = String::from_utf8_lossy(&out.stderr);
        assert!(out.status.success(), "mqtt-lb {}: {error}", words.join(" "));
        String::from_utf8_lossy(&out.stdout).into_owned()
    }

    /// The unix admin socket.
    pub fn socket(&self) -> PathBuf {
        self.dir.path().join("admin.sock")
    }

    /// Waits for a line of the log.
    pub fn wait_log(&self, within: Duration, good: impl Fn(&str) -> bool) {
        wait::for_true("the log should have the line", within, || {
            self.log().lines().any(&good)
        });
    }

    /// The session and event log so far, of all its lives.
    pub fn log(&self) -> String {
        self.past.concat() + &self.process.log()
    }
}

const FILE: &str = "mqtt-lb.toml";

fn run(ns: &Netns, file: &Path, dir: &TempDir, lives: usize) -> Process {
    let mut command = ns.command(binary());
    command.arg("run").arg("-f").arg(file);
    let name = match lives {
        0 => "mqtt-lb".to_owned(),
        n => format!("mqtt-lb-{n}"),
    };
    Process::start(&name, dir.path(), &mut command)
}

/// `head` holds the top-level keys and the section of the data path.
fn write_config(dir: &TempDir, head: &str, http: SocketAddr, config: &str) -> PathBuf {
    let file = dir.path().join(FILE);
    let text = format!(
        "workers = 2\n{head}[admin]\nsocket = \"{}\"\n[http]\nlisten = \"{http}\"\n\
         [log]\nlevel = \"info\"\nsessions = true\n{config}",
        dir.path().join("admin.sock").display(),
    );
    std::fs::write(&file, text).expect("write the configuration");
    file
}
