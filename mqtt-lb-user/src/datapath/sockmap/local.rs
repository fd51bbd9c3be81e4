//! Brokers on this host: what they send goes straight into the client's socket.
//!
//! Only their direction: a redirect into a broker's own receive queue would
//! have no bound and could overtake what TCP has queued.

use std::fs::File;
use std::io;
use std::net::{SocketAddr, TcpStream};
use std::sync::Mutex;

use anyhow::{Context as _, anyhow};
use aya::Ebpf;
use aya::maps::{HashMap, MapData, SockHash};
use aya::programs::{CgroupAttachMode, SkMsg, SockOps};
use mqtt_lb_ebpf::local::{LocalArm, LocalCount, LocalKey};

use crate::datapath::object::{program, refused, take};
use crate::datapath::{Side, tcp};

/// The programs and maps of the short cut.
pub struct Local {
    counts: HashMap<MapData, LocalKey, LocalCount>,
    arms: Mutex<HashMap<MapData, LocalKey, LocalArm>>,
    ports: Mutex<HashMap<MapData, u32, u32>>,
    netns: u64,
    /// Keeps the map that the sk_msg program is attached to.
    _socks: SockHash<MapData, LocalKey>,
}

impl Local {
    /// Attaches sock_ops to the root of cgroup2 and sk_msg to the map it fills.
    ///
    /// # Errors
    /// One line that says what this host lacks.
    pub fn attach(ebpf: &mut Ebpf, netns: u64) -> anyhow::Result<Self> {
        let mounts = std::fs::read_to_string("/proc/mounts").context("reading /proc/mounts")?;
        let root = cgroup2(&mounts).ok_or_else(|| anyhow!("no cgroup2 is mounted"))?;
        let cgroup = File::open(root).with_context(|| format!("opening {root}"))?;

        let socks = SockHash::try_from(take(ebpf, "LOCAL_SOCKS")?)?;
        let counts = HashMap::try_from(take(ebpf, "LOCAL_COUNTS")?)?;
        let arms = HashMap::try_from(take(ebpf, "LOCAL_ARMS")?)?;
        let ports = HashMap::try_from(take(ebpf, "LOCAL_PORTS")?)?;
        let msg: &mut SkMsg = program(ebpf, "mqtt_lb_msg")?.try_into()?;
        msg.load().map_err(refused)?;
        msg.attach(socks.fd()).context("attaching sk_msg")?;
        let ops: &mut SockOps = program(ebpf, "mqtt_lb_ops")?.try_into()?;
        ops.load().map_err(refused)?;
        ops.attach(cgroup, CgroupAttachMode::Single)
            .with_context(|| format!("attaching sock_ops to {root}"))?;
        Ok(Self {
            counts,
            arms: Mutex::new(arms),
            ports: Mutex::new(ports),
            netns,
            _socks: socks,
        })
    }

    /// Watches for connections to these ports, and no others.
    pub fn watch_ports(&self, wanted: &[u16]) -> anyhow::Result<()> {
        let mut ports = self.ports.lock().expect("LOCAL_PORTS");
        let known: Vec<u32> = ports.keys().collect::<Result<_, _>>()?;
        for port in known {
            if !wanted.iter().any(|wanted| u32::from(*wanted) == port) {
                ports.remove(&port)?;
            }
        }
        for port in wanted {
            ports
                .insert(u32::from(*port), 1, 0)
                .context("too many different backend ports")?;
        }
        Ok(())
    }

    /// The other end of a connection to a backend, if it is on this host and known.
    pub fn find(&self, backend: &TcpStream) -> Option<LocalKey> {
        let key = key(
            backend.peer_addr().ok()?,
            backend.local_addr().ok()?,
            self.netns,
        );
        self.sent(&key).map(|_| key)
    }

    /// Bytes the broker has sent over TCP.
    pub fn sent(&self, key: &LocalKey) -> Option<u64> {
        self.counts.get(key, 0).ok().map(|count| count.sent)
    }

    /// Lets the broker write into the client's socket, slot `client`, as soon as
    /// it has sent `sent` bytes over TCP.
    pub fn arm(&self, key: &LocalKey, sent: u64, client: u32) -> Result<(), aya::maps::MapError> {
        let arm = LocalArm {
            arm_at: sent,
            client,
            reserved: 0,
        };
        self.arms.lock().expect("LOCAL_ARMS").insert(key, arm, 0)
    }

    /// Sends what the broker sends from now on over TCP again.
    pub fn disarm(&self, key: &LocalKey) {
        // It is gone already when the broker has closed.
        let _ = self.arms.lock().expect("LOCAL_ARMS").remove(key);
    }
}

/// How much of a stream a local broker's sends have put into the client's socket
/// directly: its position less what userspace has written.
pub fn forwarded(client: &TcpStream, written: u64) -> io::Result<u64> {
    Ok(tcp::position(client, Side::Client)?.saturating_sub(written))
}

fn key(broker: SocketAddr, balancer: SocketAddr, netns: u64) -> LocalKey {
    let octets = |address: SocketAddr| match address {
        SocketAddr::V4(v4) => v4.ip().to_ipv6_mapped().octets(),
        SocketAddr::V6(v6) => v6.ip().octets(),
    };
    LocalKey {
        broker: octets(broker),
        balancer: octets(balancer),
        broker_port: broker.port().into(),
        balancer_port: balancer.port().into(),
        netns,
    }
}

/// Where cgroup2 is mounted, according to `/proc/mounts`.
fn cgroup2(mounts: &str) -> Option<&str> {
    mounts.lines().find_map(|line| {
        let mut fields = line.split(' ');
        let (_, path, kind) = (fields.next()?, fields.next()?, fields.next()?);
        (kind == "cgroup2").then_some(path)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_cgroup2_wherever_it_is() {
        let hybrid = "tmpfs /sys/fs/cgroup tmpfs rw 0 0\n\
                      cgroup /sys/fs/cgroup/cpu cgroup rw,cpu 0 0\n\
                      cgroup2 /sys/fs/cgroup/unified cgroup2 rw 0 0\n";
        assert_eq!(cgroup2(hybrid), Some("/sys/fs/cgroup/unified"));
        assert_eq!(cgroup2("proc /proc proc rw 0 0\n"), None);
    }

    #[test]
    fn a_v4_connection_has_the_same_key_on_a_dual_stack_socket() {
        let v4 = key(
            "127.0.0.1:1883".parse().unwrap(),
            "127.0.0.2:40000".parse().unwrap(),
            7,
        );
        let v6 = key(
            "[::ffff:127.0.0.1]:1883".parse().unwrap(),
            "[::ffff:127.0.0.2]:40000".parse().unwrap(),
            7,
        );
        assert_eq!(v4, v6);
        assert_eq!((v4.broker_port, v4.balancer_port), (1883, 40000));
    }
}
