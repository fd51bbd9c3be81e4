//! Segments that overlap what has been received, as after a retransmission with
//! other boundaries: the broker gets every byte once, also where the kernel
//! path sees such segments whole.

use std::io::{ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::time::Duration;

use mqtt_lb_tests::brokers::session::Session;
use mqtt_lb_tests::lab::{BACKEND, Lab};
use mqtt_lb_tests::lb::{DataPath, Lb};
use mqtt_lb_tests::mqtt::Connect;
use mqtt_lb_tests::rawtcp::{self, Missing, RawTcp};
use mqtt_lb_tests::require::{Need, met, say};
use mqtt_lb_tests::stream::pattern::Pattern;

const NEEDS: &[Need] = &[Need::Root, Need::Bpf, Need::Program("ip")];
const SOON: Duration = Duration::from_secs(5);
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

/// A segment: offset of its first byte and of the byte behind its last one,
/// counted from the end of CONNECT (negative: within CONNECT).
type Segment = (i64, i64);

/// Segments sent in this order; the wanted stream goes from 0 to their end.
struct Case {
    name: &'static str,
    segments: &'static [Segment],
    /// The last segment carries the FIN; otherwise it follows alone.
    fin: bool,
    /// Where the sequence numbers wrap in the second run.
    wrap: i64,
}

const fn case(name: &'static str, segments: &'static [Segment], wrap: i64) -> Case {
    Case {
        name,
        segments,
        fin: false,
        wrap,
    }
}

const fn with_fin(name: &'static str, segments: &'static [Segment], wrap: i64) -> Case {
    Case {
        fin: true,
        ..case(name, segments, wrap)
    }
}

const CASES: &[Case] = &[
    case("in order", &[(0, 1000), (1000, 3000), (3000, 3001)], 2000),
    case("one byte again", &[(0, 1000), (999, 2000)], 1000),
    case("a piece again", &[(0, 1000), (500, 1500)], 750),
    case("first, from within CONNECT", &[(-20, 500), (500, 600)], 0),
    case("CONNECT again", &[(-40, 0), (-40, 0), (0, 600)], -10),
    case("4095 bytes again", &[(0, 5000), (905, 6000)], 3000),
    case("4096 bytes again", &[(0, 5000), (904, 6000)], 3000),
    case("29000 bytes again", &[(0, 30_000), (1000, 31_000)], 30_000),
    case(
        "three long ones in a row",
        &[
            (0, 20_000),
            (5_000, 30_000),
            (15_000, 40_000),
            (10_000, 45_000),
        ],
        17_000,
    ),
    case("all again", &[(0, 1000), (0, 1000), (1000, 1500)], 500),
    case("old, then new", &[(0, 2000), (200, 900), (2000, 2500)], 500),
    case(
        "a hole filled too far",
        &[(2000, 3000), (0, 2500), (3000, 3100)],
        2200,
    ),
    case(
        "overlaps behind a hole",
        &[(2000, 3000), (2500, 4000), (0, 2000)],
        2700,
    ),
    case(
        "overlaps before, in and behind a hole",
        &[
            (0, 500),
            (3000, 5000),
            (1000, 3500),
            (4500, 6000),
            (300, 2000),
        ],
        4700,
    ),
    case(
        "a hole filled over others",
        &[(1000, 1500), (2000, 2500), (0, 2200), (2500, 2600)],
        2100,
    ),
    with_fin("a piece again and FIN", &[(0, 1000), (800, 1200)], 900),
    with_fin("nothing new but FIN", &[(0, 1000), (800, 1000)], 1000),
    with_fin("all again and FIN", &[(0, 1000), (0, 1000)], 0),
];

/// The direction from the broker to the client, while the segments come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Down {
    /// It has nothing to do: the kernel path redirects the segments.
    Quiet,
    /// It waits for the client, with bytes in userspace: the flow has to be
    /// copied, and the verdict passes the segments.
    Stuck,
}

struct Stage<'a> {
    lab: &'a Lab,
    lb: &'a Lb<'a>,
    listener: &'a TcpListener,
    path: DataPath,
    down: Down,
}

impl Stage<'_> {
    /// A case with a wrap or without: the bytes of the stream, or what went wrong.
    fn play(&self, case: &Case, port: u16, wraps: bool) -> Result<usize, String> {
        let connect = Connect::new("a client id so long that CONNECT can be cut").encode();
        let begin = connect.len() as u64;
        let place = |at: i64| begin.checked_add_signed(at).expect("an offset");
        // The sequence number of the stream's first byte; the SYN's is one before.
        let first = if wraps {
            (place(case.wrap) as u32).wrapping_neg()
        } else {
            7_000_000
        };
        let end = case.segments.iter().map(|(_, to)| *to).max().unwrap_or(0);
        let stream = Pattern {
            seed: 5,
            len: end as u64,
        };
        let whole = [connect.clone(), stream.bytes(0, end as usize)].concat();

        let mut client = RawTcp::connect(self.lab, port, 1883, first.wrapping_sub(1));
        client.send(0, &connect);
        let mut broker = Session::accept(self.listener).stream;
        broker.write_all(&[0x20, 2, 0, 0]).expect("CONNACK");
        client.read(4, SOON).map_err(named("CONNACK"))?;
        self.wait_for(self.path);
        let path = match self.down {
            Down::Quiet => self.path,
            Down::Stuck => {
                client.close_window();
                fill(&mut broker);
                DataPath::Copy
            }
        };
        self.wait_for(path);

        for (n, (from, to)) in (1..).zip(case.segments) {
            let bytes = &whole[place(*from) as usize..place(*to) as usize];
            if case.fin && n == case.segments.len() {
                client.send_last(place(*from), bytes);
            } else {
                client.send(place(*from), bytes);
            }
        }
        let end = place(end);
        if !case.fin {
            client
                .acked(end, SOON)
                .map_err(named("ACK of the segments"))?;
            self.wait_for(path);
            client.send_last(end, &[]);
        }
        let fin = client.acked(end + 1, SOON);
        compare(&mut broker, stream)?;
        fin.map_err(named("ACK of the FIN"))?;
        drop(broker);
        if self.down == Down::Quiet {
            client.ended(SOON).map_err(named("the broker's FIN"))?;
        }
        Ok(whole.len())
    }

    /// Waits until the only flow is on a data path.
    fn wait_for(&self, path: DataPath) {
        let copied = path == DataPath::Copy;
        let labels = [("path", if copied { "copy" } else { "sockmap" })];
        let one = |flows: f64| flows == 1.0;
        self.lb
            .wait_metric("mqttlb_datapath_flows", &labels, SOON, one);
    }

    fn wait_for_none(&self) {
        let none = |open: f64| open == 0.0;
        self.lb
            .wait_metric("mqttlb_open_connections", &[], SOON, none);
    }
}

/// Says what has not come.
fn named(what: &'static str) -> impl Fn(Missing) -> String {
    move |missing| format!("{what}: {missing:?}")
}

/// Writes until nothing takes more: the client's closed window, then the
/// balancer's buffers.
fn fill(broker: &mut TcpStream) {
    let timeout = Some(Duration::from_millis(200));
    broker.set_write_timeout(timeout).expect("timeout");
    let piece = [0; 65_536];
    let full = (0..1024).find_map(|_| broker.write(&piece).err());
    let full = full.expect("64 MiB are more than anyone takes");
    assert_eq!(full.kind(), ErrorKind::WouldBlock, "{full}");
}

/// Reads up to the FIN and compares.
fn compare(broker: &mut TcpStream, stream: Pattern) -> Result<(), String> {
    broker.set_read_timeout(Some(SOON)).expect("timeout");
    let mut got = Vec::new();
    let end = broker.read_to_end(&mut got);
    let len = got.len() as u64;
    if let Err(wrong) = stream.check(0, &got[..len.min(stream.len) as usize]) {
        return Err(format!("{wrong} ({len} bytes of {} came)", stream.len));
    }
    if len != stream.len {
        return Err(format!("{len} bytes of {} came: {end:?}", stream.len));
    }
    end.map(drop).map_err(|error| format!("no FIN: {error}"))
}

fn every_byte_once(path: DataPath, down: Down) {
    if !met(NEEDS) {
        return;
    }
    let lab = Lab::new();
    rawtcp::prepare(&lab);
    // Room for all segments of a case: what is dropped is not sent again.
    lab.lb.sysctl("net.ipv4.tcp_rmem", "4096 1048576 1048576");
    let listener = lab.backend.listen((BACKEND, 1001).into());
    let lb = Lb::start(&lab.lb, path, CONFIG);
    let stage = Stage {
        lab: &lab,
        lb: &lb,
        listener: &listener,
        path,
        down,
    };
    let (mut failures, mut bytes) = (Vec::new(), 0);
    let runs = CASES.iter().flat_map(|case| [(case, false), (case, true)]);
    for (port, (case, wraps)) in (20_000..).zip(runs) {
        match stage.play(case, port, wraps) {
            Ok(len) => bytes += len,
            Err(error) => {
                let wraps = if wraps { ", numbers wrap" } else { "" };
                failures.push(format!("{}{wraps}: {error}", case.name));
            }
        }
        stage.wait_for_none();
    }
    let failures = failures.join("\n");
    assert!(failures.is_empty(), "{path:?}, {down:?}:\n{failures}");
    let up = lb
        .metrics()
        .sum("mqttlb_bytes_total", &[("direction", "up")]);
    assert_eq!(up, bytes as f64, "bytes counted");
    say(&format!(
        "overlapping segments ({path:?}, other direction {down:?}): {} flows, every byte once",
        2 * CASES.len()
    ));
}

#[test]
fn redirected() {
    every_byte_once(DataPath::Sockmap, Down::Quiet);
}

#[test]
fn passed_to_userspace() {
    every_byte_once(DataPath::Sockmap, Down::Stuck);
}

#[test]
fn copied() {
    every_byte_once(DataPath::Copy, Down::Quiet);
}

#[test]
fn copied_one_way() {
    every_byte_once(DataPath::Copy, Down::Stuck);
}
