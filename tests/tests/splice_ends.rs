//! How spliced flows end, whoever ends them: FIN, RST, silence, a death, an
//! order; and what must not end them.

use std::io::{ErrorKind, Read};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::{Duration, Instant};

use mqtt_lb_tests::lab::{self, CLIENT, Lab, pair};
use mqtt_lb_tests::lb::{self, DataPath, Lb};
use mqtt_lb_tests::mqtt::Connect;
use mqtt_lb_tests::pairs::{Pair, RESET, end_of, say_byte, spliced_pairs};
use mqtt_lb_tests::require::{met, say};
use mqtt_lb_tests::size::deadline;
use mqtt_lb_tests::splice::{self, NEEDS};
use mqtt_lb_tests::stream::broker::StreamBroker;
use mqtt_lb_tests::stream::plan::{Direction, Flow};
use mqtt_lb_tests::vanish::vanish;
use mqtt_lb_tests::{stream, wait, watchdog};
use socket2::SockRef;

const SHORT: Duration = Duration::from_secs(10);
const STALL: Duration = Duration::from_secs(20);
const TEST: Duration = Duration::from_secs(180);
/// Most time from the end of a flow to the end of what is kept of it.
const SWEPT: Duration = Duration::from_secs(30);

fn reset(stream: TcpStream) {
    SockRef::from(&stream)
        .set_linger(Some(Duration::ZERO))
        .expect("linger");
}

/// Waits until nothing of the flows is left: no entry, no slot in use.
fn wait_clean(lb: &Lb<'_>) {
    splice::wait_spliced(lb, 0, SWEPT);
    let (name, used) = ("mqttlb_splice_slots", [("state", "used")]);
    lb.wait_metric(name, &used, SWEPT, |slots| slots == 0.0);
    let resting = [("state", "resting")];
    lb.wait_metric(name, &resting, SWEPT, |slots| slots == 0.0);
    lb.wait_metric("mqttlb_open_connections", &[], SHORT, |open| open == 0.0);
}

/// FIN from each side first, data still coming from the other.
fn fins(path: DataPath) {
    if !met(NEEDS) {
        return;
    }
    watchdog::limit(deadline(TEST));
    let flow = |id: u32| {
        let seed = u64::from(id) * 2;
        let mut up = Direction::fast(seed, 400_000);
        let mut down = Direction::fast(seed + 1, 400_000);
        up.write.delay = Duration::from_secs(1);
        down.write.delay = Duration::from_secs(1);
        let late = if id.is_multiple_of(2) {
            &mut up
        } else {
            &mut down
        };
        late.tail = 300_000;
        Flow::new(id, up, down)
    };
    let flows: Arc<[_]> = (0..16).map(flow).collect();
    let lab = splice::lab(path);
    let brokers = [StreamBroker::start(
        &lab.backend,
        splice::broker(false),
        &flows,
        STALL,
    )];
    let lb = Lb::start(&lab.lb, path, &splice::config(false));
    let report = stream::run(&lab.client, splice::front(false), &flows, &brokers, STALL);
    report.assert_intact(&format!("FIN and half-close ({path:?})"));
    assert_eq!(splice::handovers(&lb.metrics()), 16.0);
    let begin = Instant::now();
    wait_clean(&lb);
    say(&format!(
        "  nothing left of them after {:.1?}",
        begin.elapsed()
    ));
}

#[test]
fn fin_and_half_close_tcx() {
    fins(DataPath::Splice);
}

#[test]
fn fin_and_half_close_xdp() {
    fins(DataPath::Xdp);
}

fn rsts(path: DataPath) {
    if !met(NEEDS) {
        return;
    }
    watchdog::limit(deadline(TEST));
    let lab = splice::lab(path);
    let (listener, lb) = splice::setup(&lab, path);
    for (n, (client, broker)) in spliced_pairs(&lab, &listener, &lb, 10)
        .into_iter()
        .enumerate()
    {
        let (gone, left) = if n % 2 == 0 {
            (client, broker)
        } else {
            (broker, client)
        };
        reset(gone);
        assert_eq!(end_of(&left, SHORT), RESET, "flow {n}");
    }
    wait_clean(&lb);
}

#[test]
fn rst_from_each_side_tcx() {
    rsts(DataPath::Splice);
}

#[test]
fn rst_from_each_side_xdp() {
    rsts(DataPath::Xdp);
}

/// A client that lost power comes back from the same port.
#[test]
fn the_same_addresses_again() {
    if !met(NEEDS) {
        return;
    }
    watchdog::limit(deadline(TEST));
    let lab = Lab::new();
    let (listener, lb) = splice::setup(&lab, DataPath::Splice);
    let source = SocketAddr::new(CLIENT, 40_000);
    let client = || lab.client.connect_bound(source, splice::front(false));
    let first = client().expect("connect");
    let (first, old) = lab::introduce(first, &listener, &Connect::new("first"));
    splice::wait_spliced(&lb, 1, SHORT);
    say_byte(&first, &old);
    vanish(first);
    let begin = Instant::now();
    let second = client().expect("connect again");
    let took = begin.elapsed();
    let (second, broker) = lab::introduce(second, &listener, &Connect::new("second"));
    assert_eq!(end_of(&old, SHORT), RESET, "the broker is told");
    splice::wait_spliced(&lb, 1, SHORT);
    say_byte(&second, &broker);
    say_byte(&broker, &second);
    say(&format!(
        "connected again over a stale flow within {took:.1?}"
    ));
    assert!(took < Duration::from_secs(3), "{took:?}");
}

/// The port of a connection that is over is used again at once: nothing of the new
/// connection may go to the old one's broker.
fn again_at_once(path: DataPath, end: impl Fn(TcpStream, TcpStream)) {
    if !met(NEEDS) {
        return;
    }
    watchdog::limit(deadline(TEST));
    let lab = splice::lab(path);
    let (listener, lb) = splice::setup(&lab, path);
    let source = SocketAddr::new(CLIENT, 40_000);
    let begin = Instant::now();
    for n in 0..5 {
        let client = lab.client.connect_bound(source, splice::front(false));
        let client = client.unwrap_or_else(|e| panic!("connection {n}: {e}"));
        client.set_read_timeout(Some(SHORT)).expect("timeout");
        let id = format!("c{n}");
        let (client, broker) = lab::introduce(client, &listener, &Connect::new(&id));
        splice::wait_spliced(&lb, 1, SHORT);
        wait::for_true("the flow should be this one", SHORT, || {
            splice::list(&lb).iter().any(|flow| flow.id == id)
        });
        say_byte(&client, &broker);
        say_byte(&broker, &client);
        end(client, broker);
    }
    let took = begin.elapsed();
    say(&format!(
        "five connections from one port ({path:?}) within {took:.1?}"
    ));
}

/// The broker says goodbye first: the client's port is free at once.
fn fin_of_the_broker(mut client: TcpStream, broker: TcpStream) {
    drop(broker);
    assert_eq!(client.read(&mut [0]).expect("FIN"), 0);
}

#[test]
fn a_port_again_after_fin_tcx() {
    again_at_once(DataPath::Splice, fin_of_the_broker);
}

#[test]
fn a_port_again_after_fin_xdp() {
    again_at_once(DataPath::Xdp, fin_of_the_broker);
}

#[test]
fn a_port_again_after_rst() {
    again_at_once(DataPath::Splice, |client, _broker| reset(client));
}

fn checked(pool: &str) -> String {
    let health = "[pool.brokers.health]\ntype = \"tcp\"\ninterval = \"200ms\"\n\
                  timeout = \"200ms\"\nfall = 2\n";
    let pool = format!("{pool}{health}");
    lb::config(splice::front(false), &pool, &[splice::broker(false)])
}

/// Lets the backend of twenty clients fall off the network, and looks at them once
/// its death is noticed.
fn dies(pool: &str, look: impl FnOnce(&[Pair], Instant)) {
    if !met(NEEDS) {
        return;
    }
    watchdog::limit(deadline(TEST));
    let lab = Lab::new();
    let listener = lab.backend.listen(splice::broker(false));
    let lb = Lb::start(&lab.lb, DataPath::Splice, &checked(pool));
    let pairs = spliced_pairs(&lab, &listener, &lb, 20);
    lab.backend.ip("link set b0 down");
    let begin = Instant::now();
    let down = [("backend", "b1")];
    lb.wait_metric("mqttlb_backend_up", &down, SHORT, |up| up == 0.0);
    look(&pairs, begin);
}

#[test]
fn clients_of_a_dead_backend_are_told() {
    dies("", |pairs, begin| {
        for (n, (client, _)) in pairs.iter().enumerate() {
            assert_eq!(end_of(client, Duration::from_secs(3)), RESET, "client {n}");
        }
        let took = begin.elapsed();
        say(&format!(
            "20 clients of a dead backend are told within {took:.1?} of its death"
        ));
    });
}

#[test]
fn or_they_are_kept() {
    let keep = "[pool.brokers.on_marked_down]\nsessions = \"keep\"\n";
    dies(keep, |pairs, _| {
        let first = end_of(&pairs[0].0, Duration::from_secs(3));
        assert_eq!(first, Err(ErrorKind::WouldBlock), "nothing should come");
    });
}

#[test]
fn an_operator_ends_all_sessions_of_a_backend() {
    if !met(NEEDS) {
        return;
    }
    watchdog::limit(deadline(TEST));
    for path in [DataPath::Splice, DataPath::Xdp] {
        let lab = splice::lab(path);
        let (listener, lb) = splice::setup(&lab, path);
        let pairs = spliced_pairs(&lab, &listener, &lb, 10);
        let said = lb.admin_ok(&["backend", "shutdown", "brokers/b1"]);
        for (client, broker) in &pairs {
            assert_eq!(end_of(client, SHORT), RESET, "{said}");
            assert_eq!(end_of(broker, SHORT), RESET, "{said}");
        }
        wait_clean(&lb);
        let (client, broker) = pair(&lab, &listener, "again");
        say_byte(&client, &broker);
    }
}

/// A client without a word for twice its keepalive is gone; one that pings is not.
#[test]
fn silence_ends_a_flow_and_pings_keep_it() {
    if !met(NEEDS) {
        return;
    }
    watchdog::limit(deadline(TEST));
    let lab = Lab::new();
    let (listener, lb) = splice::setup(&lab, DataPath::Splice);
    let connect = |id| {
        let stream = lab.client.connect(splice::front(false)).expect("connect");
        let connect = Connect {
            keepalive: 1,
            ..Connect::new(id)
        };
        lab::introduce(stream, &listener, &connect)
    };
    let (silent, lively) = (connect("silent"), connect("lively"));
    splice::wait_spliced(&lb, 2, SHORT);
    wait::for_true("the silent one should go", SHORT, || {
        say_byte(&lively.0, &lively.1);
        std::thread::sleep(Duration::from_millis(300));
        splice::spliced(&lb) == 1.0
    });
    assert_eq!(splice::list(&lb)[0].id, "lively");
    assert_eq!(end_of(&silent.0, SHORT), RESET);
    assert_eq!(end_of(&silent.1, SHORT), RESET);
    say_byte(&lively.1, &lively.0);
}
