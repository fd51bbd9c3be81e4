//! Sample clients: each connects through the balancer for a few seconds, goes,
//! and comes back with the same client id.

use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use super::TICK;
use crate::kept::Kept;

/// Subscribers, and as many publishers.
const PAIRS: usize = 4;

/// Client ids in all.
pub const COUNT: usize = 2 * PAIRS;

/// The running clients; dropped, they stop.
pub struct Clients {
    stop: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

impl Clients {
    /// Starts them; each has a log in `dir`.
    pub fn start(lb: SocketAddr, dir: &Path) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let commands: [fn(SocketAddr, &str) -> Command; 2] = [subscriber, publisher];
        let names = ["display", "sensor"];
        let threads = (0..COUNT)
            .map(|i| {
                let id = format!("{}-{}", names[i % 2], i / 2 + 1);
                let (stop, log) = (Arc::clone(&stop), dir.join(format!("{id}.log")));
                thread::spawn(move || come_and_go(&id, || commands[i % 2](lb, &id), &log, &stop))
            })
            .collect();
        Self { stop, threads }
    }
}

impl Drop for Clients {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            if thread.join().is_err() {
                eprintln!("warning: a client's thread panicked");
            }
        }
    }
}

fn come_and_go(id: &str, command: impl Fn() -> Command, log: &Path, stop: &AtomicBool) {
    while !stop.load(Ordering::Relaxed) {
        match Kept::start(id, &mut command(), log.to_path_buf()) {
            Ok(mut client) => {
                while client.must_run().is_ok() && !stop.load(Ordering::Relaxed) {
                    thread::sleep(TICK);
                }
            }
            Err(error) => {
                eprintln!("warning: {error:#}");
                return;
            }
        }
        thread::sleep(Duration::from_millis(500));
    }
}

/// Shows what its broker gets from the sensors: brokers that are no cluster
/// know only the messages of their own clients.
fn subscriber(lb: SocketAddr, id: &str) -> Command {
    let mut command = client("mosquitto_sub", lb, id);
    command.args(["-c", "-v", "-t", "demo/#", "-W", "3"]);
    command
}

fn publisher(lb: SocketAddr, id: &str) -> Command {
    let mut command = client("mosquitto_pub", lb, id);
    let topic = format!("demo/{id}");
    command.args([
        "-t",
        &topic,
        "-m",
        "21.5 °C",
        "--repeat",
        "8",
        "--repeat-delay",
        "0.5",
    ]);
    command
}

fn client(program: &str, lb: SocketAddr, id: &str) -> Command {
    let mut command = Command::new(program);
    let (host, port) = (lb.ip().to_string(), lb.port().to_string());
    command.args(["-h", &host, "-p", &port, "-i", id, "-q", "1"]);
    command
}
