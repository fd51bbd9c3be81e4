//! What a spliced flow costs in memory. `MQTT_LB_LONG` measures 100,000 live
//! flows, and HAProxy beside them.

use std::fmt::Write as _;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::Path;
use std::time::Duration;

use mqtt_lb_tests::hold::{self, Holder};
use mqtt_lb_tests::lab::{BACKEND, Lab};
use mqtt_lb_tests::lb::{self, DataPath, Lb};
use mqtt_lb_tests::process::Process;
use mqtt_lb_tests::require::{Need, find, met, say};
use mqtt_lb_tests::size::{deadline, long, size};
use mqtt_lb_tests::splice::{self, NEEDS};
use mqtt_lb_tests::{bpf, wait, watchdog};
use tempfile::TempDir;

/// Connections of one holder: it may have 20,000 descriptors.
const EACH: usize = 9_000;
/// Bytes for a flow in the maps, at most: two index entries, the slot and the note.
const MOST: f64 = 400.0;

#[test]
#[ignore = "a process that the others start"]
fn hold() {
    hold::act();
}

/// Holders of `count` connections to `target`, which leads to the brokers.
struct Load {
    _clients: Vec<Holder>,
    _brokers: Vec<Holder>,
}

fn broker(n: usize) -> SocketAddr {
    (BACKEND, splice::BROKER + n as u16).into()
}

impl Load {
    /// Brokers for that many connections.
    fn brokers(lab: &Lab, dir: &Path, count: usize) -> Vec<Holder> {
        let all = 0..count.div_ceil(EACH);
        all.map(|n| Holder::broker(&lab.backend, dir, broker(n)))
            .collect()
    }

    fn start(lab: &Lab, dir: &Path, brokers: Vec<Holder>, to: SocketAddr, count: usize) -> Self {
        let parts = count.div_ceil(EACH);
        let client = |n: usize| {
            let from = IpAddr::V4(Ipv4Addr::new(10, 77, 1, 100 + n as u8));
            lab.client.ip(&format!("addr add {from}/24 dev c0"));
            let share = count / parts + usize::from(n < count % parts);
            Holder::clients(&lab.client, dir, from, to, share)
        };
        let mut clients: Vec<_> = (0..parts).map(client).collect();
        for holder in &mut clients {
            holder.ready(Duration::from_secs(300));
        }
        Self {
            _clients: clients,
            _brokers: brokers,
        }
    }
}

fn config(count: usize) -> String {
    let brokers: Vec<_> = (0..count.div_ceil(EACH)).map(broker).collect();
    let pool = "balance = \"roundrobin\"\n[pool.brokers.health]\ntype = \"off\"\n";
    lb::config(splice::front(false), pool, &brokers)
}

#[test]
fn bytes_for_a_flow() {
    if !met(NEEDS) {
        return;
    }
    watchdog::limit(deadline(Duration::from_secs(900)));
    let count = size(1_000, 100_000);
    let (lab, dir) = (Lab::new(), TempDir::new().expect("temporary directory"));
    let brokers = Load::brokers(&lab, dir.path(), count);
    let keys = format!("max_flows = {count}\n");
    let lb = Lb::start_with(&lab.lb, DataPath::Splice, &keys, &config(count));
    let before = lb.process.rss_kb();
    let _load = Load::start(&lab, dir.path(), brokers, splice::front(false), count);
    splice::wait_spliced(&lb, count, Duration::from_secs(60));
    let after = lb.process.rss_kb();
    let (mut bytes, mut table) = (0, String::new());
    for pin in lb.pins().pinned() {
        if let Some(held) = bpf::pinned_bytes(&pin) {
            bytes += held;
            let name = pin.file_name().unwrap_or_default().to_string_lossy();
            let _ = write!(table, " {name} {:.1}", held as f64 / count as f64);
        }
    }
    let each = bytes as f64 / count as f64;
    // The program maps the slots: they are in its resident memory too.
    let rss = (after - before) as f64 * 1024.0 / count as f64;
    say(&format!(
        "{count} live flows: {each:.0} B for each in maps ({}), the process grew by {rss:.0} B \
         for each, maps it looks into included",
        table.trim()
    ));
    splice::say_handovers(&lb.metrics());
    let sweep = lb.metrics().gauge("mqttlb_splice_sweep_seconds", &[]);
    say(&format!(
        "a look at all of them, once a second, takes {:.1} ms",
        sweep * 1e3
    ));
    assert!(each <= MOST, "{each:.0} B");
}

/// Caches that sockets and their descriptors come from.
const CACHES: [&str; 9] = [
    "TCP",
    "sock_inode_cache",
    "dentry",
    "filp",
    "eventpoll_epi",
    "eventpoll_pwq",
    "skbuff_head_cache",
    "skbuff_fclone_cache",
    "skbuff_small_head",
];

/// Bytes of the objects in use in these caches, of the whole machine.
fn slab_bytes() -> u64 {
    let text = std::fs::read_to_string("/proc/slabinfo").expect("/proc/slabinfo");
    let lines = text
        .lines()
        .map(|line| line.split_whitespace().collect::<Vec<_>>());
    let ours = lines.filter(|words| CACHES.contains(&words[0]));
    // name, active objects, all objects, size
    ours.map(|words| {
        let number = |at: usize| words[at].parse::<u64>().expect("a number in slabinfo");
        number(1) * number(3)
    })
    .sum()
}

fn haproxy(lab: &Lab, dir: &Path) -> Process {
    let file = dir.join("haproxy.cfg");
    let (front, server) = (splice::front(false), broker(0));
    let text = format!(
        "global\n  maxconn 9900\ndefaults\n  mode tcp\n  timeout connect 5s\n  \
         timeout client 1h\n  timeout server 1h\nlisten mqtt\n  bind {front}\n  \
         server b1 {server}\n"
    );
    std::fs::write(&file, text).expect("write haproxy.cfg");
    let mut command = lab.lb.command(find("haproxy").expect("haproxy"));
    command.arg("-db").arg("-f").arg(&file);
    let process = Process::start("haproxy", dir, &mut command);
    wait::for_true("haproxy should listen", Duration::from_secs(10), || {
        lab.client.connect(front).is_ok()
    });
    process
}

/// Bytes of slab and of resident memory for a connection, by what is between.
fn measured(what: &str) -> (f64, f64) {
    let (lab, dir) = (Lab::new(), TempDir::new().expect("temporary directory"));
    let brokers = Load::brokers(&lab, dir.path(), EACH);
    let (front, config) = (splice::front(false), config(EACH));
    let started = match what {
        "haproxy" => (Some(haproxy(&lab, dir.path())), None),
        "splice" => (None, Some(Lb::start(&lab.lb, DataPath::Splice, &config))),
        _ => (None, None),
    };
    if what == "direct" {
        lab.lb.sysctl("net.ipv4.ip_forward", "1");
        lab.client.ip("route add 10.77.2.0/24 via 10.77.1.1");
        lab.backend.ip("route add 10.77.1.0/24 via 10.77.2.1");
    }
    let process = match &started {
        (Some(process), _) => Some(process),
        (_, Some(lb)) => Some(&lb.process),
        _ => None,
    };
    let rss = || process.map_or(0, Process::rss_kb) * 1024;
    let (slab, resident) = (slab_bytes(), rss());
    let to = if what == "direct" { broker(0) } else { front };
    let _load = Load::start(&lab, dir.path(), brokers, to, EACH);
    std::thread::sleep(Duration::from_secs(5));
    let grown = |after: u64, before: u64| (after as f64 - before as f64) / EACH as f64;
    let cost = (grown(slab_bytes(), slab), grown(rss(), resident));
    say(&format!(
        "  {what}: slab {:.0} B, process {:.0} B a connection",
        cost.0, cost.1
    ));
    cost
}

#[test]
fn beside_haproxy() {
    if !long() {
        return say("SKIPPED: beside_haproxy: MQTT_LB_LONG is not set");
    }
    if !met(NEEDS) || !met(&[Need::Program("haproxy")]) {
        return;
    }
    watchdog::limit(Duration::from_secs(900));
    let (direct, _) = measured("direct");
    let [splice, haproxy] = ["splice", "haproxy"].map(|what| {
        let (slab, process) = measured(what);
        slab - direct + process
    });
    say(&format!(
        "beyond a direct connection: splice {splice:.0} B (and its maps), HAProxy {haproxy:.0} B"
    ));
    assert!(splice * 4.0 < haproxy, "no gain");
}
