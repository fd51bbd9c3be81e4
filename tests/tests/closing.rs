//! How connections end: FIN behind queued data, half-close, RST, and the death
//! of the balancer itself.

use std::ffi::OsString;
use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::time::{Duration, Instant};

use mqtt_lb_tests::bpf;
use mqtt_lb_tests::lab::{BACKEND, FRONT, Lab, pair};
use mqtt_lb_tests::lb::{DataPath, Lb};
use mqtt_lb_tests::require::{Need, met, say};
use mqtt_lb_tests::stream::broker::StreamBroker;
use mqtt_lb_tests::stream::plan::{Direction, Flow, Pace};
use mqtt_lb_tests::{stream, wait};
use socket2::SockRef;

const NEEDS: &[Need] = &[Need::Root, Need::Bpf, Need::Program("ip")];
const STALL: Duration = Duration::from_secs(20);
const CONFIG: &str = r#"
[listener.mqtt]
bind = "10.77.1.1:1883"
pool = "brokers"
[pool.brokers]
proxy_protocol = "v2"
[pool.brokers.health]
type = "off"
[[pool.brokers.backend]]
name = "b1"
address = "10.77.2.2:1001"
"#;

/// A big stream to a reader that starts late: the FIN is sent while megabytes
/// are queued. The other direction ends only after that FIN has arrived.
fn late_reader(seed: u64) -> (Direction, Direction) {
    let mut queued = Direction::fast(seed, 6 << 20);
    queued.read = Pace {
        delay: Duration::from_secs(2),
        ..Pace::FAST
    };
    let mut answer = Direction::fast(seed + 1, 300_000);
    answer.tail = 200_000;
    (queued, answer)
}

fn fin_behind_queued_data(path: DataPath) {
    if !met(NEEDS) {
        return;
    }
    let flow = |id: u32| {
        let (queued, answer) = late_reader(u64::from(id) * 2);
        let client_sends = id.is_multiple_of(2);
        let (up, down) = if client_sends {
            (queued, answer)
        } else {
            (answer, queued)
        };
        Flow::new(id, up, down)
    };
    let flows: Arc<[Flow]> = (0..20).map(flow).collect();
    let lab = Lab::new();
    let broker = StreamBroker::start(&lab.backend, (BACKEND, 1001).into(), &flows, STALL);
    let _lb = Lb::start(&lab.lb, path, CONFIG);
    let target = SocketAddr::new(FRONT, 1883);
    let report = stream::run(&lab.client, target, &flows, &[broker], STALL);
    report.assert_intact(&format!("FIN behind queued data, half-close ({path:?})"));
}

/// A pair of ends that has exchanged a byte each way behind CONNACK.
fn tried_pair(lab: &Lab, listener: &TcpListener, n: u32) -> (TcpStream, TcpStream) {
    let (client, broker) = pair(lab, listener, &format!("c{n}"));
    for (from, to) in [(&client, &broker), (&broker, &client)] {
        to.set_read_timeout(Some(STALL)).expect("timeout");
        (&mut &*from).write_all(&[7]).expect("write");
        (&mut &*to).read_exact(&mut [0]).expect("a byte through");
    }
    (client, broker)
}

fn reset(stream: TcpStream) {
    SockRef::from(&stream)
        .set_linger(Some(Duration::ZERO))
        .expect("linger");
}

fn rst_passes(path: DataPath) {
    if !met(NEEDS) {
        return;
    }
    let lab = Lab::new();
    let listener = lab.backend.listen((BACKEND, 1001).into());
    let lb = Lb::start(&lab.lb, path, CONFIG);
    for n in 0..20 {
        let (client, broker) = tried_pair(&lab, &listener, n);
        let (gone, mut left) = if n % 2 == 0 {
            (client, broker)
        } else {
            (broker, client)
        };
        reset(gone);
        let begin = Instant::now();
        let answer = left.read(&mut [0; 16]);
        let kind = answer.as_ref().map_err(std::io::Error::kind);
        assert_eq!(
            kind.err(),
            Some(ErrorKind::ConnectionReset),
            "flow {n}: {answer:?}"
        );
        assert!(
            begin.elapsed() < Duration::from_secs(2),
            "after {:?}",
            begin.elapsed()
        );
    }
    lb.wait_metric(
        "mqttlb_open_connections",
        &[],
        Duration::from_secs(5),
        |open| open == 0.0,
    );
}

/// Sockets of the namespace in state ESTABLISHED.
fn established(lab: &Lab) -> usize {
    let lines = |text: String| {
        text.lines()
            .filter(|line| line.split_whitespace().nth(3) == Some("01"))
            .count()
    };
    lines(lab.lb.proc_net("tcp"))
}

/// What stands in bpffs where the program pins by default.
fn pinned() -> Vec<OsString> {
    let pinned = std::fs::read_dir("/sys/fs/bpf/mqtt-lb");
    let pinned = pinned.into_iter().flatten().flatten();
    pinned.map(|entry| entry.file_name()).collect()
}

fn kill_9(path: DataPath) {
    if !met(NEEDS) {
        return;
    }
    let before = pinned();
    let lab = Lab::new();
    let listener = lab.backend.listen((BACKEND, 1001).into());
    let mut lb = Lb::start(&lab.lb, path, CONFIG);
    let pairs: Vec<_> = (0..50).map(|n| tried_pair(&lab, &listener, n)).collect();
    if path == DataPath::Sockmap {
        let labels = [("path", "sockmap")];
        lb.wait_metric("mqttlb_datapath_flows", &labels, STALL, |flows| {
            flows == 50.0
        });
        let entries = bpf::entries(lb.process.pid(), "FLOWS");
        assert_eq!(entries, Some(100), "two entries for each flow");
    }
    assert!(established(&lab) >= 100, "both ends of 50 flows");
    let objects = bpf::held_by(lb.process.pid());
    assert_eq!(objects.is_empty(), path == DataPath::Copy, "{objects:?}");

    let begin = Instant::now();
    lb.process.kill();
    for (n, end) in pairs
        .iter()
        .flat_map(|(client, broker)| [client, broker])
        .enumerate()
    {
        end.set_read_timeout(Some(Duration::from_secs(5)))
            .expect("timeout");
        match (&mut &*end).read(&mut [0; 16]) {
            Ok(0) => {}
            Err(e) if e.kind() == ErrorKind::ConnectionReset => {}
            other => panic!("end {n} does not see the close: {other:?}"),
        }
    }
    let closed = begin.elapsed();
    assert!(
        closed < Duration::from_secs(5),
        "the last end saw the close after {closed:?}"
    );
    wait::for_true(
        "every BPF object should be gone",
        Duration::from_secs(10),
        || !objects.iter().any(|object| object.exists()),
    );
    wait::for_true(
        "no connection should be left",
        Duration::from_secs(10),
        || established(&lab) == 0,
    );
    assert_eq!(pinned(), before, "left in bpffs");
    say(&format!(
        "kill -9 ({path:?}): 100 ends closed within {closed:.1?}, {} BPF objects gone",
        objects.len()
    ));
}

#[test]
fn fin_behind_queued_data_sockmap() {
    fin_behind_queued_data(DataPath::Sockmap);
}

#[test]
fn fin_behind_queued_data_copy() {
    fin_behind_queued_data(DataPath::Copy);
}

#[test]
fn rst_passes_sockmap() {
    rst_passes(DataPath::Sockmap);
}

#[test]
fn rst_passes_copy() {
    rst_passes(DataPath::Copy);
}

#[test]
fn kill_9_sockmap() {
    kill_9(DataPath::Sockmap);
}

#[test]
fn kill_9_copy() {
    kill_9(DataPath::Copy);
}
