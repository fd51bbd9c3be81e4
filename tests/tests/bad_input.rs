//! What is not an MQTT CONNECT is refused at once and named; nobody who dawdles
//! keeps others out.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use mqtt_lb_tests::brokers::mosquitto::Mosquitto;
use mqtt_lb_tests::lb::{DataPath, Lb, config};
use mqtt_lb_tests::require::{Need, met, say};
use mqtt_lb_tests::solo::{FRONT, Solo, backend};

const NEEDS: &[Need] = &[Need::Root, Need::Program("ip")];
const POOL: &str = "[pool.brokers.health]\ntype = \"off\"";

/// First bytes, the reason counted, and words of the log line.
const NOT_MQTT: &[(&[u8], &str, &str)] = &[
    (
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        "tls",
        "TLS ClientHello",
    ),
    (
        b"GET / HTTP/1.1\r\nHost: broker\r\n\r\n",
        "http",
        "HTTP request",
    ),
    (b"SSH-2.0-OpenSSH_9.2\r\n", "ssh", "SSH banner"),
    (
        b"PROXY TCP4 10.0.0.1 10.0.0.2 1 2\r\n",
        "proxy_header",
        "PROXY protocol header",
    ),
    (
        b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c",
        "proxy_header",
        "PROXY protocol header",
    ),
    (b"\xc0\x00", "other_packet", "PINGREQ sent before CONNECT"),
    (
        b"\x30\x05\x00\x01t42",
        "other_packet",
        "PUBLISH sent before CONNECT",
    ),
    (
        b"\x11\x0f\x00\x04MQTT\x04\x02\0\0\0\x03foo",
        "header_flags",
        "0x11",
    ),
    (
        b"\x10\xff\xff\xff\xff\x01",
        "long_length",
        "more than four bytes",
    ),
    (
        b"\x10\x0f\x00\x04MQTX\x04\x02\0\0\0\x03foo",
        "protocol_name",
        "protocol name",
    ),
    (
        b"\x10\x0f\x00\x04MQTT\x04\x02\0\0\0\x30foo",
        "beyond_packet",
        "beyond the packet",
    ),
    (b"\xfe\xed\xfa\xce", "not_mqtt", "first byte 0xfe"),
];

/// Reads to the close; what came before it, and whether it closed in time.
fn until_closed(stream: &TcpStream, within: Duration) -> (Vec<u8>, bool) {
    let (mut stream, mut got) = (stream, Vec::new());
    stream.set_read_timeout(Some(within)).expect("timeout");
    match stream.read_to_end(&mut got) {
        Err(e) if e.kind() == ErrorKind::WouldBlock => (got, false),
        Ok(_) | Err(_) => (got, true),
    }
}

#[test]
fn not_mqtt_is_refused_at_once_and_named() {
    if !met(NEEDS) {
        return;
    }
    let solo = Solo::new(1);
    let lb = Lb::start(
        &solo.ns,
        DataPath::Copy,
        &config(FRONT, POOL, &solo.backends()),
    );
    for (bytes, reason, words) in NOT_MQTT {
        let refused = || {
            lb.metrics()
                .sum("mqttlb_refused_total", &[("reason", reason)])
        };
        let before = refused();
        let mut stream = solo.ns.connect(FRONT).expect("connect");
        stream.write_all(bytes).expect("write");
        let begin = Instant::now();
        let (answer, closed) = until_closed(&stream, Duration::from_secs(3));
        assert!(closed, "{words}: not closed after {:?}", begin.elapsed());
        assert!(answer.is_empty(), "{words}: answered {answer:02x?}");
        assert_eq!(refused(), before + 1.0, "{words}: not counted as {reason}");
        let client = stream.local_addr().expect("address").to_string();
        let mut lines = lb.log();
        lines = lines
            .lines()
            .filter(|line| line.contains(&client))
            .collect::<Vec<_>>()
            .join("\n");
        assert!(lines.contains(words), "{words}: not in the log: {lines}");
    }
    assert!(
        solo.brokers[0].visitors().is_empty(),
        "nothing of it reached the broker"
    );
    solo.place("a-real-client");
}

/// Vectors of other projects' suites, read where they stand.
#[test]
fn what_every_broker_refuses_is_refused() {
    if !met(&[Need::Root, Need::Program("ip"), Need::Program("mosquitto")]) {
        return;
    }
    let beside = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/vectors");
    let dir = std::env::var_os("MQTT_LB_VECTORS").map_or_else(beside, PathBuf::from);
    let file = dir.join("connect.jsonl");
    let Ok(vectors) = std::fs::read_to_string(&file) else {
        say(&format!("SKIPPED: shared vectors: no {}", file.display()));
        return;
    };
    let solo = Solo::new(0);
    let _broker = Mosquitto::start(&solo.ns, backend(1), "");
    let _lb = Lb::start(
        &solo.ns,
        DataPath::Copy,
        &config(FRONT, POOL, &[backend(1)]),
    );
    let (mut refused, mut accepted) = (0, 0);
    for vector in vectors.lines().filter(|line| !line.trim().is_empty()) {
        let vector: serde_json::Value = serde_json::from_str(vector).expect("JSON");
        let mut stream = solo.ns.connect(FRONT).expect("connect");
        stream.set_nodelay(true).expect("nodelay");
        for chunk in vector["chunks"].as_array().expect("chunks") {
            // The peer may refuse at the first chunk already.
            let _ = stream.write_all(&unhex(chunk.as_str().expect("hex")));
            std::thread::sleep(Duration::from_millis(5));
        }
        stream
            .set_read_timeout(Some(Duration::from_secs(5)))
            .expect("timeout");
        let mut connack = [0xff; 4];
        let answered = stream.read_exact(&mut connack).is_ok();
        let welcome = answered && connack[0] == 0x20 && connack[3] == 0;
        match vector["consensus"].as_str() {
            Some("valid") => {
                assert!(welcome, "should be accepted ({connack:02x?}): {vector}");
                accepted += 1;
            }
            Some("invalid") => {
                assert!(!welcome, "should be refused ({connack:02x?}): {vector}");
                let (_, closed) = until_closed(&stream, Duration::from_secs(5));
                assert!(closed, "should be closed: {vector}");
                refused += 1;
            }
            _ => {}
        }
    }
    assert!(
        refused >= 30 && accepted >= 20,
        "{refused} refused, {accepted} accepted"
    );
    say(&format!(
        "shared vectors: {refused} refused, {accepted} accepted through mosquitto"
    ));
}

fn unhex(text: &str) -> Vec<u8> {
    let byte = |at| u8::from_str_radix(&text[at..at + 2], 16).expect("hex");
    (0..text.len()).step_by(2).map(byte).collect()
}

const DAWDLERS: usize = 10_000;
const DEADLINE: Duration = Duration::from_secs(6);

#[test]
fn ten_thousand_dawdlers_are_dropped_at_the_deadline() {
    if !met(NEEDS) {
        return;
    }
    let solo = Solo::new(2);
    let sections = "[limits]\nmax_pending = \"15k\"\n[timeouts]\nconnect_packet = \"6s\"\n";
    let config = config(FRONT, POOL, &solo.backends()) + sections;
    let lb = Lb::start(&solo.ns, DataPath::Auto, &config);
    let (rss, fds) = (lb.process.rss_kb(), lb.process.open_fds());

    let begin = Instant::now();
    let dawdlers: Vec<TcpStream> = solo.ns.run(|| {
        let one = |n: usize| {
            let mut stream = TcpStream::connect(FRONT).expect("connect");
            if n.is_multiple_of(2) {
                stream.write_all(&[0x10]).expect("one byte");
            }
            stream
        };
        (0..DAWDLERS).map(one).collect()
    });
    let connected = begin.elapsed();
    let pending = lb.metrics().gauge("mqttlb_pending_connections", &[]);
    let mut served = Vec::new();
    while begin.elapsed() < DEADLINE {
        let begin = Instant::now();
        solo.place(&format!("real-{}", served.len()));
        served.push(begin.elapsed());
    }
    let peak = lb.process.rss_kb();
    for (n, stream) in dawdlers.iter().enumerate() {
        let (answer, closed) = until_closed(stream, Duration::from_secs(10));
        assert!(closed && answer.is_empty(), "dawdler {n}: {answer:02x?}");
    }
    let dropped = begin.elapsed();
    served.sort();
    let (median, worst) = (served[served.len() / 2], served[served.len() - 1]);
    say(&format!(
        "{DAWDLERS} dawdlers in {connected:.1?} ({pending} pending at once), all dropped after \
         {dropped:.1?} (deadline {DEADLINE:?}); meanwhile {} clients served, median {median:.1?}, \
         worst {worst:.1?}; balancer {rss} -> {peak} KiB",
        served.len()
    ));
    assert!(
        pending > DAWDLERS as f64 * 0.5,
        "they were not pending at once: {pending}"
    );
    assert!(
        worst < Duration::from_secs(2),
        "a real client waited {worst:?}"
    );
    assert!(
        dropped < connected + DEADLINE + Duration::from_secs(4),
        "dropped after {dropped:?}"
    );
    let labels = [("reason", "connect_timeout")];
    let counted = |n: f64| n == DAWDLERS as f64;
    lb.wait_metric(
        "mqttlb_refused_total",
        &labels,
        Duration::from_secs(5),
        counted,
    );
    lb.wait_metric(
        "mqttlb_pending_connections",
        &[],
        Duration::from_secs(5),
        |n| n == 0.0,
    );
    assert!(
        lb.process.open_fds() <= fds + 8,
        "{} descriptors left",
        lb.process.open_fds()
    );
}
