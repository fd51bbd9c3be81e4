//! Network namespaces made by a test, and gone with it.
//!
//! They are entered by `setns`: `ip netns exec` would mount another `/sys` and
//! hide bpffs and the cgroup tree from the program under test.

use std::ffi::OsStr;
use std::fs::File;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::os::fd::AsRawFd;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;
use std::sync::Once;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use socket2::{Domain, Protocol, Socket, Type};

const PREFIX: &str = "mqttlb";
static COUNT: AtomicU32 = AtomicU32::new(0);
static SWEEP: Once = Once::new();

/// A network namespace, deleted on drop.
#[derive(Debug)]
pub struct Netns {
    name: String,
    file: File,
}

impl Netns {
    /// A new namespace with its loopback up; `role` is part of its name.
    pub fn new(role: &str) -> Self {
        SWEEP.call_once(sweep);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("{PREFIX}-{}-{count}-{role}", std::process::id());
        ip(&["netns", "add", &name]);
        let file = File::open(Path::new("/run/netns").join(&name)).expect("open the namespace");
        let ns = Self { name, file };
        ns.ip("link set lo up");
        ns
    }

    /// The name, as `ip netns` lists it.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Runs `ip -n NAME ARGS` and panics when it fails.
    pub fn ip(&self, args: &str) {
        let mut all = vec!["-n", &self.name];
        all.extend(args.split_whitespace());
        ip(&all);
    }

    /// Runs a closure on a thread of its own inside the namespace. Sockets
    /// made there stay in the namespace wherever they are used.
    pub fn run<T: Send>(&self, f: impl FnOnce() -> T + Send) -> T {
        std::thread::scope(|scope| {
            let inside = scope.spawn(|| {
                enter(&self.file).expect("enter the namespace");
                f()
            });
            inside
                .join()
                .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        })
    }

    /// A command that runs inside the namespace.
    pub fn command(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new(program);
        let file = self
            .file
            .try_clone()
            .expect("duplicate the namespace handle");
        // SAFETY: setns is async-signal-safe and the handle lives in the closure.
        unsafe { command.pre_exec(move || enter(&file)) };
        command
    }

    /// Sets a `net.*` sysctl of this namespace.
    pub fn sysctl(&self, key: &str, value: &str) {
        let path = Path::new("/proc/sys").join(key.replace('.', "/"));
        self.run(|| std::fs::write(&path, value))
            .unwrap_or_else(|e| panic!("cannot set {key}: {e}"));
    }

    /// Reads a file below `/proc/net` of this namespace.
    pub fn proc_net(&self, name: &str) -> String {
        let path = Path::new("/proc/thread-self/net").join(name);
        self.run(|| std::fs::read_to_string(path))
            .expect("read /proc/net")
    }

    /// Kilobytes that TCP holds in socket buffers (`mem` in sockstat, in pages).
    pub fn tcp_memory_kb(&self) -> u64 {
        let text = self.proc_net("sockstat");
        let line = text
            .lines()
            .find(|l| l.starts_with("TCP:"))
            .expect("TCP in sockstat");
        let pages = line.split_whitespace().skip_while(|w| *w != "mem").nth(1);
        pages
            .and_then(|p| p.parse::<u64>().ok())
            .expect("mem in sockstat")
            * 4
    }

    /// Bytes in the queues of all IPv4 TCP sockets of this namespace: come and not
    /// taken out (also what a sockmap keeps), and sent and not acknowledged.
    pub fn queued_bytes(&self) -> u64 {
        let text = self.proc_net("tcp");
        // "tx_queue:rx_queue" in hex; a listener's are counts of connections.
        let queues = text
            .lines()
            .skip(1)
            .map(|line| line.split_whitespace().skip(3).take(2).collect::<Vec<_>>())
            .filter(|columns| columns.first() != Some(&"0A"))
            .filter_map(|columns| columns.get(1)?.split_once(':'));
        queues
            .flat_map(|(tx, rx)| [tx, rx])
            .map(|hex| u64::from_str_radix(hex, 16).expect("a queue in /proc/net/tcp"))
            .sum()
    }

    /// A listening socket inside the namespace.
    pub fn listen(&self, address: SocketAddr) -> TcpListener {
        self.run(|| {
            let socket = tcp(address);
            socket.set_reuse_address(true)?;
            socket.bind(&address.into())?;
            socket.listen(4096)?;
            Ok::<_, io::Error>(socket.into())
        })
        .unwrap_or_else(|e| panic!("cannot listen on {address} in {}: {e}", self.name))
    }

    /// A connection made from inside the namespace.
    pub fn connect(&self, to: SocketAddr) -> io::Result<TcpStream> {
        self.run(|| TcpStream::connect_timeout(&to, Duration::from_secs(10)))
    }

    /// A connection with a chosen source address.
    pub fn connect_from(&self, source: IpAddr, to: SocketAddr) -> io::Result<TcpStream> {
        self.connect_bound(SocketAddr::new(source, 0), to)
    }

    /// A connection with a chosen source address and port (0: any).
    pub fn connect_bound(&self, source: SocketAddr, to: SocketAddr) -> io::Result<TcpStream> {
        self.run(|| {
            let socket = tcp(to);
            socket.set_reuse_address(source.port() != 0)?;
            socket.bind(&source.into())?;
            socket.connect_timeout(&to.into(), Duration::from_secs(10))?;
            Ok(socket.into())
        })
    }

    /// A loopback address whose port is free in this namespace now.
    pub fn free_port(&self) -> SocketAddr {
        let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        self.run(|| TcpListener::bind(any).and_then(|l| l.local_addr()))
            .expect("a free port")
    }
}

impl Drop for Netns {
    fn drop(&mut self) {
        let _ = Command::new("ip")
            .args(["netns", "del", &self.name])
            .status();
    }
}

/// Connects two namespaces by a veth pair, both ends up.
pub fn veth(a: &Netns, a_if: &str, b: &Netns, b_if: &str) {
    ip(&[
        "link", "add", a_if, "netns", &a.name, "type", "veth", "peer", "name", b_if, "netns",
        &b.name,
    ]);
    a.ip(&format!("link set {a_if} up"));
    b.ip(&format!("link set {b_if} up"));
}

fn tcp(address: SocketAddr) -> Socket {
    Socket::new(
        Domain::for_address(address),
        Type::STREAM,
        Some(Protocol::TCP),
    )
    .expect("socket")
}

fn enter(namespace: &File) -> io::Result<()> {
    // SAFETY: the descriptor is an open namespace file.
    let answer = unsafe { libc::setns(namespace.as_raw_fd(), libc::CLONE_NEWNET) };
    if answer < 0 {
        Err(io::Error::last_os_error())
    } else {
        Ok(())
    }
}

fn ip(args: &[&str]) {
    let out = Command::new("ip")
        .args(args)
        .output()
        .expect("run ip (iproute2)");
    let error = String::from_utf8_lossy(&out.stderr);
    assert!(
        out.status.success(),
        "ip {}: {}",
        args.join(" "),
        error.trim()
    );
}

/// Deletes the namespaces of test processes that were killed.
fn sweep() {
    delete(|pid| !Path::new("/proc").join(pid).exists());
}

/// Deletes the namespaces of this process, before it leaves without its drops.
pub(crate) fn abandon() {
    let own = std::process::id().to_string();
    delete(|pid| pid == own);
}

/// Deletes the namespaces of test processes whose id satisfies the condition.
fn delete(whose: impl Fn(&str) -> bool) {
    for entry in std::fs::read_dir("/run/netns")
        .into_iter()
        .flatten()
        .flatten()
    {
        let name = entry.file_name().to_string_lossy().into_owned();
        let pid = name
            .strip_prefix(PREFIX)
            .and_then(|rest| rest.split('-').nth(1));
        if pid.is_some_and(&whose) {
            let _ = Command::new("ip").args(["netns", "del", &name]).status();
        }
    }
}
