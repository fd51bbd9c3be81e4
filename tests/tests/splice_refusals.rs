//! What cannot be spliced stays on a socket path, works there, and says why.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

use mqtt_lb_tests::lab::{self, Lab};
use mqtt_lb_tests::lb::{self, DataPath, Lb};
use mqtt_lb_tests::mqtt::Connect;
use mqtt_lb_tests::require::{met, say};
use mqtt_lb_tests::size::deadline;
use mqtt_lb_tests::splice::{self, NEEDS};
use mqtt_lb_tests::stream::pattern::Pattern;
use mqtt_lb_tests::watchdog;

const SHORT: Duration = Duration::from_secs(10);
const TEST: Duration = Duration::from_secs(120);
/// Larger than any segment: a wrong MSS would be a black hole.
const BYTES: Pattern = Pattern {
    seed: 47,
    len: 200_000,
};

type Pair = (TcpStream, TcpStream);

fn connect(lab: &Lab, listener: &TcpListener, front: SocketAddr, id: &str) -> Pair {
    let client = lab.client.connect(front).expect("connect");
    lab::introduce(client, listener, &Connect::new(id))
}

/// Both ends send more than a segment, and get it.
fn works((client, broker): &Pair) {
    let bytes = BYTES.bytes(0, BYTES.len as usize);
    for (mut from, mut to) in [(client, broker), (broker, client)] {
        to.set_read_timeout(Some(SHORT)).expect("timeout");
        std::thread::scope(|scope| {
            scope.spawn(|| from.write_all(&bytes).expect("write"));
            let mut got = vec![0; bytes.len()];
            to.read_exact(&mut got).expect("all of it");
            assert!(got == bytes, "other bytes");
        });
    }
}

fn refused(lb: &Lb<'_>, reason: &str) {
    let labels = [("path", "splice"), ("reason", reason)];
    let name = "mqttlb_datapath_refused_total";
    lb.wait_metric(name, &labels, SHORT, |count| count >= 1.0);
}

/// One flow that is refused for a reason; `prepare` makes it so.
fn refusal(reason: &str, prepare: impl FnOnce(&Lab)) {
    if !met(NEEDS) {
        return;
    }
    watchdog::limit(deadline(TEST));
    let lab = Lab::new();
    prepare(&lab);
    let listener = lab.backend.listen(splice::broker(false));
    let lb = Lb::start(&lab.lb, DataPath::Splice, &splice::config(false));
    let pair = connect(&lab, &listener, splice::front(false), "c");
    refused(&lb, reason);
    works(&pair);
    assert_eq!(splice::spliced(&lb), 0.0);
    let listed = splice::list(&lb);
    assert_eq!(listed.len(), 1, "{listed:?}");
    assert_eq!(listed[0].path, "copy");
}

#[test]
fn a_backend_without_timestamps() {
    refusal("timestamps", |lab| {
        lab.backend.sysctl("net.ipv4.tcp_timestamps", "0");
    });
}

#[test]
fn a_backend_without_sack() {
    refusal("sack", |lab| lab.backend.sysctl("net.ipv4.tcp_sack", "0"));
}

/// The client was told that more may come than the backend takes.
#[test]
fn a_backend_that_takes_smaller_segments() {
    refusal("mss", |lab| {
        lab.backend.ip("link set b0 mtu 1300");
        lab.lb.ip("link set back mtu 1300");
    });
}

/// Both addresses must be of one family.
#[test]
fn a_v4_client_of_a_v6_backend() {
    if !met(NEEDS) {
        return;
    }
    watchdog::limit(deadline(TEST));
    let lab = Lab::new();
    let listener = lab.backend.listen(splice::broker(true));
    let pool = "[pool.brokers.health]\ntype = \"off\"\n";
    let config = lb::config(splice::front(false), pool, &[splice::broker(true)]);
    let lb = Lb::start(&lab.lb, DataPath::Splice, &config);
    let pair = connect(&lab, &listener, splice::front(false), "c");
    refused(&lb, "family");
    works(&pair);
    assert_eq!(splice::spliced(&lb), 0.0);
}

/// Room for two flows: the third is refused, and the next one in once there is room.
fn room(keys: &str, reason: &str) {
    if !met(NEEDS) {
        return;
    }
    watchdog::limit(deadline(TEST));
    let lab = Lab::new();
    let listener = lab.backend.listen(splice::broker(false));
    let config = splice::config(false);
    let lb = Lb::start_with(&lab.lb, DataPath::Splice, keys, &config);
    let client = |n: u32| connect(&lab, &listener, splice::front(false), &format!("c{n}"));
    let first = client(1);
    splice::wait_spliced(&lb, 1, SHORT);
    let second = client(2);
    splice::wait_spliced(&lb, 2, SHORT);
    let third = client(3);
    refused(&lb, reason);
    for pair in [&first, &second, &third] {
        works(pair);
    }
    assert_eq!(splice::spliced(&lb), 2.0);
    drop((first, second, third));
    splice::wait_spliced(&lb, 0, Duration::from_secs(30));
    let used = [("state", "resting")];
    lb.wait_metric("mqttlb_splice_slots", &used, SHORT, |slots| slots == 0.0);
    let fourth = client(4);
    splice::wait_spliced(&lb, 1, SHORT);
    works(&fourth);
}

#[test]
fn a_full_table() {
    room("max_flows = 2\n", "table_full");
}

#[test]
fn no_port_left() {
    room("ports = \"10000-10001\"\n", "no_port");
}

/// A client that asks for ECN does not get it, and is spliced.
#[test]
fn a_client_that_asks_for_ecn() {
    if !met(NEEDS) {
        return;
    }
    watchdog::limit(deadline(TEST));
    let lab = Lab::new();
    lab.client.sysctl("net.ipv4.tcp_ecn", "1");
    let listener = lab.backend.listen(splice::broker(false));
    let lb = Lb::start(&lab.lb, DataPath::Splice, &splice::config(false));
    let pair = connect(&lab, &listener, splice::front(false), "c");
    splice::wait_spliced(&lb, 1, SHORT);
    works(&pair);
    let stripped = splice::packets(&lb.metrics(), "ecn_stripped");
    assert_eq!(stripped, 1.0);
    say("a client with tcp_ecn=1 is spliced without ECN");
}
