//! A reader that does not read: the sender stalls, what the balancer holds
//! stays bounded, and nothing is lost when the reader goes on.

use std::io::{ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use mqtt_lb_tests::forwarder::{Fault, Forwarder};
use mqtt_lb_tests::lab::{BACKEND, FRONT, Lab, pair};
use mqtt_lb_tests::lb::{DataPath, Lb};
use mqtt_lb_tests::require::{Need, met, say};
use mqtt_lb_tests::stream::pattern::Pattern;
use mqtt_lb_tests::wait;

const CONFIG: &str = r#"
[listener.mqtt]
bind = "10.77.1.1:1883"
pool = "brokers"
[pool.brokers]
proxy_protocol = "off"
[pool.brokers.health]
type = "off"
[[pool.brokers.backend]]
name = "b1"
address = "10.77.2.2:1001"
"#;

/// Connections at once.
const FLOWS: u64 = 8;
/// What each sender wants to get rid of.
const LEN: u64 = 48 << 20;
/// The most a socket buffer may hold here (tcp_rmem and tcp_wmem).
const SOCKET: u64 = 1 << 20;
/// Bytes of one flow that may be on the way: the limit of the data path plus
/// the four socket buffers between the two applications, with a third of slack.
const LIMIT: u64 = ((1 << 20) + 4 * SOCKET) * 4 / 3;
/// KiB that the balancer itself may grow by: half a MiB for each flow.
const RSS_KB: u64 = FLOWS * 512;

fn pairs(lab: &Lab, listener: &TcpListener) -> Vec<(TcpStream, TcpStream)> {
    (0..FLOWS)
        .map(|n| pair(lab, listener, &format!("slow-{n}")))
        .collect()
}

fn pattern(flow: u64) -> Pattern {
    Pattern {
        seed: 1_000 + flow,
        len: LEN,
    }
}

/// Writes a whole stream; `sent` counts what the kernel has taken.
fn push(mut to: &TcpStream, pattern: Pattern, sent: &AtomicU64) {
    to.set_write_timeout(Some(Duration::from_secs(30)))
        .expect("timeout");
    while sent.load(Relaxed) < pattern.len {
        let piece = pattern.bytes(sent.load(Relaxed), 65_536);
        let n = to.write(&piece).expect("write");
        sent.fetch_add(n as u64, Relaxed);
    }
    to.shutdown(std::net::Shutdown::Write).expect("close");
}

/// Reads a whole stream up to the FIN and compares it.
fn pull(mut from: &TcpStream, pattern: Pattern) {
    from.set_read_timeout(Some(Duration::from_secs(30)))
        .expect("timeout");
    let (mut at, mut buffer) = (0, vec![0; 65_536]);
    loop {
        let n = match from.read(&mut buffer) {
            Ok(n) => n,
            Err(e) if e.kind() == ErrorKind::WouldBlock => panic!("stalled after {at} bytes"),
            Err(e) => panic!("after {at} bytes: {e}"),
        };
        pattern
            .check(at, &buffer[..n])
            .unwrap_or_else(|e| panic!("{e}"));
        at += n as u64;
        if n == 0 {
            assert_eq!(at, pattern.len, "lost bytes before the FIN");
            return;
        }
    }
}

/// Narrow socket buffers, so that a limit means something.
fn lab() -> Lab {
    let lab = Lab::new();
    for ns in [&lab.client, &lab.lb, &lab.backend] {
        ns.sysctl("net.ipv4.tcp_rmem", &format!("4096 131072 {SOCKET}"));
        ns.sysctl("net.ipv4.tcp_wmem", &format!("4096 65536 {SOCKET}"));
    }
    lab
}

/// Lets every sender push until it stalls, then lets the readers read and
/// compare everything. Returns the most that one sender got rid of before
/// anyone read. `watch` is called all the while the senders push.
fn stall(pairs: &[(TcpStream, TcpStream)], up: bool, mut watch: impl FnMut()) -> u64 {
    let sent: Vec<AtomicU64> = pairs.iter().map(|_| AtomicU64::new(0)).collect();
    let read = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for (flow, (client, broker)) in (0..).zip(pairs) {
            let (from, to) = if up {
                (client, broker)
            } else {
                (broker, client)
            };
            let (sent, read) = (&sent[flow as usize], &read);
            scope.spawn(move || push(from, pattern(flow), sent));
            scope.spawn(move || {
                wait::for_true("the readers should start", Duration::from_secs(90), || {
                    read.load(Relaxed)
                });
                pull(to, pattern(flow));
            });
        }
        let total = || sent.iter().map(|s| s.load(Relaxed)).sum::<u64>();
        let (mut last, mut since) = (0, Instant::now());
        wait::for_true("the senders should stall", Duration::from_secs(60), || {
            watch();
            if total() != last {
                (last, since) = (total(), Instant::now());
            }
            since.elapsed() > Duration::from_secs(2) || total() == FLOWS * LEN
        });
        let most = sent
            .iter()
            .map(|s| s.load(Relaxed))
            .max()
            .unwrap_or_default();
        read.store(true, Relaxed);
        most
    })
}

fn slow_reader(path: DataPath, up: bool) {
    if !met(&[Need::Root, Need::Bpf, Need::Program("ip")]) {
        return;
    }
    let lab = lab();
    let listener = lab.backend.listen((BACKEND, 1001).into());
    let lb = Lb::start(&lab.lb, path, CONFIG);
    let pairs = pairs(&lab, &listener);
    let (rss, tcp) = (lb.process.rss_kb(), lab.lb.tcp_memory_kb());
    let (mut rss_peak, mut tcp_peak) = (rss, tcp);
    let most = stall(&pairs, up, || {
        rss_peak = rss_peak.max(lb.process.rss_kb());
        tcp_peak = tcp_peak.max(lab.lb.tcp_memory_kb());
    });

    let direction = if up {
        "client to broker"
    } else {
        "broker to client"
    };
    let (most_kb, limit_kb) = (most >> 10, LIMIT >> 10);
    say(&format!(
        "slow reader ({path:?}, {direction}): {FLOWS} flows, at most {most_kb} KiB of one on the \
         way (limit {limit_kb} KiB); balancer {rss} -> {rss_peak} KiB (limit +{RSS_KB} KiB), TCP \
         buffers of the host {tcp} -> {tcp_peak} KiB"
    ));
    assert!(
        most > 0 && most <= LIMIT,
        "a sender got rid of {most_kb} KiB"
    );
    assert!(
        rss_peak <= rss + RSS_KB,
        "the balancer has grown by {} KiB",
        rss_peak - rss
    );
}

#[test]
fn a_hoarder_is_noticed() {
    if !met(&[Need::Root, Need::Program("ip")]) {
        return;
    }
    let lab = lab();
    let listener = lab.backend.listen((BACKEND, 1001).into());
    let to = (BACKEND, 1001).into();
    let _forwarder = Forwarder::start(&lab.lb, (FRONT, 1883).into(), to, Fault::Hoard);
    let most = stall(&pairs(&lab, &listener), true, || {});
    assert!(most > LIMIT, "only {most} bytes: the test could not tell");
}

#[test]
fn broker_does_not_read_sockmap() {
    slow_reader(DataPath::Sockmap, true);
}

#[test]
fn broker_does_not_read_copy() {
    slow_reader(DataPath::Copy, true);
}

#[test]
fn client_does_not_read_sockmap() {
    slow_reader(DataPath::Sockmap, false);
}

#[test]
fn client_does_not_read_copy() {
    slow_reader(DataPath::Copy, false);
}

#[test]
fn broker_does_not_read_auto() {
    slow_reader(DataPath::Auto, true);
}
