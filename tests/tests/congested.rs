//! Congestion between the balancer and a receiver: a link whose queue refuses
//! segments, and a broker that reads no more because nobody reads its answers.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use mqtt_lb_tests::brokers::session::Session;
use mqtt_lb_tests::lab::{BACKEND, FRONT, Lab};
use mqtt_lb_tests::lb::{self, DataPath, Lb};
use mqtt_lb_tests::mqtt::Connect;
use mqtt_lb_tests::require::{Need, met, say};
use mqtt_lb_tests::shaper::Shaper;
use mqtt_lb_tests::stream;
use mqtt_lb_tests::stream::broker::StreamBroker;
use mqtt_lb_tests::stream::pattern::Pattern;
use mqtt_lb_tests::stream::plan::{Direction, Flow};

const NEEDS: &[Need] = &[Need::Root, Need::Bpf, Need::Program("ip"), Need::Shaper];
/// Longest time without progress: a flow that loses the same segment seven times waits 25
/// seconds for the eighth (RFC 6298, 5.5), while others fill the queue.
const STALL: Duration = Duration::from_secs(60);
/// Time to move a flow into the kernel before it becomes busy.
const QUIET: Duration = Duration::from_millis(500);
/// Flows through the narrow link, and what each sends: more than the kernel's path
/// takes at once, so that each has to go on in userspace behind what is queued.
const FLOWS: u32 = 16;
const EACH: u64 = 2_000_000;
/// Time between the starts of two flows.
const BETWEEN: Duration = Duration::from_millis(100);

/// Send buffers of the balancer's sockets stay small unless it asks for more.
fn lab() -> Lab {
    let lab = Lab::new();
    lab.lb.sysctl("net.ipv4.tcp_wmem", "4096 16384 131072");
    lab.lb.sysctl("net.ipv4.tcp_rmem", "4096 131072 33554432");
    lab
}

fn start(lab: &Lab, path: DataPath) -> Lb<'_> {
    let config = lb::config(
        (FRONT, 1883).into(),
        "health = { type = \"off\" }",
        &[(BACKEND, 1883).into()],
    );
    Lb::start(&lab.lb, path, &config)
}

/// Panics unless that many flows have been in the kernel.
fn were_in_kernel(lb: &Lb<'_>, flows: u32) {
    let labels = [("path", "sockmap")];
    let moves = lb.metrics().sum("mqttlb_datapath_moves_total", &labels);
    assert!(
        moves >= f64::from(flows),
        "only {moves} moves into the kernel"
    );
}

/// The balancer's own queue refuses segments on the way to the receiver. TCP
/// sends them again and counts them twice; the bytes must come once.
fn narrow_link(interface: &str, up: u64, down: u64) {
    if !met(NEEDS) {
        return;
    }
    let lab = lab();
    let flow = |id: u32| {
        let seed = u64::from(2 * id);
        let directions = [Direction::fast(seed, up), Direction::fast(seed + 1, down)];
        let [up, down] = directions.map(|mut direction| {
            direction.write.delay = QUIET;
            direction
        });
        let mut flow = Flow::new(id, up, down);
        flow.start = BETWEEN * id;
        flow
    };
    let flows: Arc<[_]> = (0..FLOWS).map(flow).collect();
    let broker = StreamBroker::start(&lab.backend, (BACKEND, 1883).into(), &flows, STALL);
    let lb = start(&lab, DataPath::Sockmap);
    let shaper = Shaper::start(&lab.lb, interface);
    let report = stream::run(&lab.client, (FRONT, 1883).into(), &flows, &[broker], STALL);
    let refused = shaper.refused();
    report.assert_intact(&format!(
        "narrow link {interface}, {refused} segments refused"
    ));
    assert!(refused >= 100, "the link was not narrow");
    were_in_kernel(&lb, FLOWS);
}

#[test]
fn a_queue_towards_the_broker_refuses_segments() {
    narrow_link("back", EACH, 1_000);
}

#[test]
fn a_queue_towards_the_client_refuses_segments() {
    narrow_link("front", 1_000, EACH);
}

/// What the client sends, and the broker sends back.
const ECHO: Pattern = Pattern {
    seed: 3,
    len: 256 << 20,
};
/// How long the client only writes.
const DEAF: Duration = Duration::from_secs(4);
/// Bytes that may stand in the balancer's sockets: in each direction a receive buffer
/// of 32 MiB and a send buffer of 4 MiB (four times the path's limit).
const QUEUED: u64 = 2 * ((32 + 4) << 20);

/// A broker that does not read while it cannot write.
fn echo(listener: &TcpListener) {
    let Session {
        mut stream,
        connect,
        rest,
        ..
    } = Session::accept(listener);
    stream.set_read_timeout(None).expect("no timeout");
    stream.write_all(connect.connack()).expect("CONNACK");
    stream.write_all(&rest).expect("write");
    let mut piece = vec![0; 65_536];
    // An error is the client's end, who tells what is wrong.
    while let Ok(n @ 1..) = stream.read(&mut piece) {
        if stream.write_all(&piece[..n]).is_err() {
            return;
        }
    }
}

fn write(mut to: &TcpStream, sent: &AtomicU64) -> Result<(), String> {
    to.set_write_timeout(Some(STALL)).expect("timeout");
    while sent.load(Relaxed) < ECHO.len {
        let at = sent.load(Relaxed);
        let n = to
            .write(&ECHO.bytes(at, 65_536))
            .map_err(|e| format!("writing after {at} bytes: {e}"))?;
        sent.fetch_add(n as u64, Relaxed);
    }
    to.shutdown(Shutdown::Write).map_err(|e| e.to_string())
}

fn read(mut from: &TcpStream) -> Result<(), String> {
    from.set_read_timeout(Some(STALL)).expect("timeout");
    let (mut at, mut buffer) = (0, vec![0; 65_536]);
    loop {
        match from.read(&mut buffer) {
            Ok(0) if at == ECHO.len => return Ok(()),
            Ok(0) => return Err(format!("closed after {at} bytes")),
            Ok(n) => {
                ECHO.check(at, &buffer[..n]).map_err(|e| e.to_string())?;
                at += n as u64;
            }
            Err(e) if e.kind() == ErrorKind::WouldBlock => {
                return Err(format!("nothing came after {at} bytes"));
            }
            Err(e) => return Err(format!("reading after {at} bytes: {e}")),
        }
    }
}

/// Calls `look` until `over`, and keeps the greatest answer.
fn greatest(over: &AtomicBool, look: impl Fn() -> u64) -> u64 {
    let mut most = 0;
    while !over.load(Relaxed) {
        most = most.max(look());
        std::thread::sleep(Duration::from_millis(20));
    }
    most
}

/// Client and broker both write before they read on: both directions fill up,
/// both must go on when the client reads, and the kernel must not hoard.
fn blocking_echo(path: DataPath) {
    if !met(&[Need::Root, Need::Bpf, Need::Program("ip")]) {
        return;
    }
    let lab = lab();
    let listener = lab.backend.listen((BACKEND, 1883).into());
    let broker = std::thread::spawn(move || echo(&listener));
    let lb = start(&lab, path);
    let mut client = lab.client.connect((FRONT, 1883).into()).expect("connect");
    client
        .write_all(&Connect::new("echo").encode())
        .expect("CONNECT");
    client.read_exact(&mut [0; 4]).expect("CONNACK");
    if path == DataPath::Sockmap {
        lb.wait_metric(
            "mqttlb_datapath_flows",
            &[("path", "sockmap")],
            STALL,
            |n| n == 1.0,
        );
    }

    let (sent, over) = (AtomicU64::new(0), AtomicBool::new(false));
    let begin = Instant::now();
    let (deaf, result, most) = std::thread::scope(|scope| {
        let watcher = scope.spawn(|| greatest(&over, || lab.lb.queued_bytes()));
        let writer = scope.spawn(|| write(&client, &sent));
        std::thread::sleep(DEAF);
        let deaf = sent.load(Relaxed);
        let result = read(&client);
        if result.is_err() {
            let _ = client.shutdown(Shutdown::Both);
        }
        let written = writer.join().expect("the writer");
        over.store(true, Relaxed);
        (
            deaf,
            result.and(written),
            watcher.join().expect("the watcher"),
        )
    });
    let (mib, deaf, most) = (ECHO.len >> 20, deaf >> 20, most as f64 / f64::from(1 << 20));
    say(&format!(
        "blocking echo ({path:?}): {mib} MiB there and back in {:.1} s, {deaf} MiB of it before \
         the client read; at most {most:.1} MiB in the balancer's sockets (limit {} MiB)",
        begin.elapsed().as_secs_f64(),
        QUEUED >> 20
    ));
    result.unwrap_or_else(|e| panic!("{e}"));
    assert!(
        most * f64::from(1 << 20) <= QUEUED as f64,
        "the kernel hoards"
    );
    drop(client);
    broker.join().expect("the broker");
    if path == DataPath::Sockmap {
        were_in_kernel(&lb, 1);
    }
}

#[test]
fn a_blocking_echo_goes_on_sockmap() {
    blocking_echo(DataPath::Sockmap);
}

#[test]
fn a_blocking_echo_goes_on_copy() {
    blocking_echo(DataPath::Copy);
}
