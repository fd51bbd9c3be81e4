//! The guard: a flood of SYNs from one address, while clients of others connect.

use std::net::{IpAddr, Ipv4Addr};
use std::time::{Duration, Instant};

use mqtt_lb_tests::brokers::mosquitto::Mosquitto;
use mqtt_lb_tests::cpu::Machine;
use mqtt_lb_tests::flood::Flood;
use mqtt_lb_tests::lab::Lab;
use mqtt_lb_tests::lb::{self, DataPath, Lb};
use mqtt_lb_tests::mqtt::{Client, Connect};
use mqtt_lb_tests::require::{Need, met, say};
use mqtt_lb_tests::splice;

const NEEDS: &[Need] = &[
    Need::Root,
    Need::Bpf,
    Need::Program("ip"),
    Need::Program("mosquitto"),
];
/// Clients that mean it.
const CLIENTS: u8 = 200;
/// SYNs a second of the one that does not.
const RATE: u32 = 20_000;
const FLOODER: Ipv4Addr = Ipv4Addr::new(10, 77, 1, 253);
const MAC: [u8; 6] = [2, 0, 0, 0x4d, 0, 1];

fn config(guard: &str) -> String {
    let pool = "[pool.brokers.health]\ntype = \"off\"\n";
    let text = lb::config(splice::front(false), pool, &[splice::broker(false)]);
    format!("{text}{guard}")
}

/// A network whose clients have an address each.
fn lab() -> Lab {
    let lab = Lab::new();
    let mac = MAC.map(|byte| format!("{byte:02x}")).join(":");
    lab.lb.ip(&format!("link set front address {mac}"));
    for n in 0..CLIENTS {
        lab.client.ip(&format!("addr add {}/24 dev c0", address(n)));
    }
    lab
}

fn address(n: u8) -> IpAddr {
    Ipv4Addr::new(10, 77, 1, 10 + n).into()
}

/// A client connects and publishes; how long until its CONNACK.
fn client(lab: &Lab, n: u8) -> Duration {
    let begin = Instant::now();
    let stream = lab.client.connect_from(address(n), splice::front(false));
    let id = format!("client-{n}");
    let connected = Client::connect(stream.expect("connect"), &Connect::new(&id));
    let mut client = connected.expect("CONNACK");
    let took = begin.elapsed();
    client.publish("t", 1, b"hello").expect("PUBACK");
    took
}

struct Round {
    latency: Vec<Duration>,
    busy: f64,
    sent: u64,
    /// SYNs that cost the kernel an answer.
    answered: u64,
}

fn round(lab: &Lab) -> Round {
    let before = answered(lab);
    let (machine, begin) = (Machine::now(), Instant::now());
    let flood = Flood::start(&lab.client, "c0", MAC, FLOODER, splice::front(false), RATE);
    let mut latency: Vec<_> = (0..CLIENTS).map(|n| client(lab, n)).collect();
    // So much of the flood as there can be in any case.
    std::thread::sleep(Duration::from_secs(2).saturating_sub(begin.elapsed()));
    let sent = flood.sent();
    drop(flood);
    let busy = Machine::now().busy_since(machine).as_secs_f64() / begin.elapsed().as_secs_f64();
    latency.sort_unstable();
    Round {
        latency,
        busy,
        sent,
        answered: answered(lab) - before,
    }
}

/// SYN cookies sent and half-open connections made, over the life of the namespace.
fn answered(lab: &Lab) -> u64 {
    let text = lab.lb.proc_net("netstat");
    let mut lines = text.lines().filter(|line| line.starts_with("TcpExt:"));
    let (names, values) = (lines.next().expect("names"), lines.next().expect("values"));
    let mut pairs = names.split_whitespace().zip(values.split_whitespace());
    let cookies = pairs.find(|(name, _)| *name == "SyncookiesSent");
    cookies
        .expect("SyncookiesSent")
        .1
        .parse()
        .expect("a number")
}

fn show(what: &str, round: &Round) {
    let at = |share: f64| {
        let index = (round.latency.len() as f64 * share) as usize;
        round.latency[index.min(round.latency.len() - 1)].as_secs_f64() * 1e3
    };
    say(&format!(
        "  {what}: CONNECT to CONNACK median {:.2} ms, 99 % {:.2} ms, {:.2} processors busy, \
         {} SYNs of the flood, {} SYN cookies",
        at(0.5),
        at(0.99),
        round.busy,
        round.sent,
        round.answered
    ));
}

#[test]
fn a_flood_costs_no_sockets() {
    if !met(NEEDS) {
        return;
    }
    let lab = lab();
    let _broker = Mosquitto::start(&lab.backend, splice::broker(false), "");
    let open = {
        let _lb = Lb::start(&lab.lb, DataPath::Copy, &config(""));
        round(&lab)
    };
    show("without the guard", &open);
    assert!(open.answered > 1000, "the flood did not reach the listener");

    let guard = "[guard]\nrate = 50\nburst = 100\nallow = [\"10.77.1.10/32\"]\n";
    let lb = Lb::start(&lab.lb, DataPath::Splice, &config(guard));
    let guarded = round(&lab);
    show("with it", &guarded);
    assert_eq!(guarded.answered, 0, "SYN cookies");
    let metrics = lb.metrics();
    let syns = |verdict| metrics.sum("mqttlb_guard_syns_total", &[("verdict", verdict)]);
    // The burst, and the rate while it went on.
    assert!(
        syns("dropped") >= guarded.sent as f64 * 0.9,
        "{}",
        syns("dropped")
    );
    assert_eq!(syns("allowed"), 1.0);
    let top = lb.admin_ok(&["guard", "top", "-n", "1"]);
    let first = top.lines().nth(2).expect("a prefix");
    assert!(first.starts_with("10.77.1.253 "), "{top}");
    assert!(lb.log().contains("guard: tcx on front"));
}

#[test]
fn other_terms_hold_after_a_reload() {
    if !met(NEEDS) {
        return;
    }
    let lab = lab();
    let _broker = Mosquitto::start(&lab.backend, splice::broker(false), "");
    let guard = |burst: u32, allow: &str| {
        format!("[guard]\nrate = 1\nburst = {burst}\nallow = [{allow}]\n")
    };
    let lb = Lb::start(&lab.lb, DataPath::Copy, &config(&guard(2, "")));
    let connect = || {
        let short = Duration::from_millis(700);
        let begin = Instant::now();
        let stream = lab.client.connect_from(address(0), splice::front(false));
        stream.is_ok() && begin.elapsed() < short
    };
    assert!(connect() && connect());
    // The next SYN is dropped; the client's kernel repeats it a second later.
    assert!(!connect(), "over its budget");
    lb.write_config(&config(&guard(2, "\"10.77.1.0/24\"")));
    assert_eq!(lb.reload(), "ok");
    for _ in 0..5 {
        assert!(connect(), "the network is allowed now");
    }
    lb.write_config(&config("[guard]\nrate = \"off\"\n"));
    assert_eq!(lb.reload(), "ok");
    for _ in 0..5 {
        assert!(connect(), "the guard is off");
    }
    let refused = lb.admin(&["guard", "top"]);
    assert!(refused.status.success(), "it is loaded still");
}
