//! Spliced flows need no process: they live through kill -9, a stop and a start,
//! and the next process takes them over, can end them, and lists them.

use std::sync::Arc;
use std::time::{Duration, Instant};

use mqtt_lb_tests::brokers::mosquitto::Mosquitto;
use mqtt_lb_tests::lab::{FRONT, Lab, Layout};
use mqtt_lb_tests::lb::{self, DataPath, Lb};
use mqtt_lb_tests::mqtt::{Client, Connect};
use mqtt_lb_tests::process::Process;
use mqtt_lb_tests::require::{Need, find, met, say};
use mqtt_lb_tests::size::deadline;
use mqtt_lb_tests::splice::{self, NEEDS};
use mqtt_lb_tests::stream::broker::StreamBroker;
use mqtt_lb_tests::stream::plan::{Direction, Flow, Pace};
use mqtt_lb_tests::{stream, wait, watchdog};

const SHORT: Duration = Duration::from_secs(10);
const STALL: Duration = Duration::from_secs(20);

/// Published one by one with QoS 1; the payload is the number.
struct Publisher {
    client: Client,
    sent: u32,
}

impl Publisher {
    fn publish(&mut self, over: Duration) {
        let end = Instant::now() + over;
        while Instant::now() < end {
            let payload = self.sent.to_string();
            self.client
                .publish("t", 1, payload.as_bytes())
                .expect("publish");
            self.sent += 1;
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

/// Seconds; the balancer stays dead for longer than two of them.
const KEEPALIVE: u32 = 5;

#[test]
fn a_subscriber_misses_nothing_while_the_balancer_is_dead() {
    let tools = [Need::Program("mosquitto"), Need::Program("mosquitto_sub")];
    if !met(NEEDS) || !met(&tools) {
        return;
    }
    watchdog::limit(deadline(Duration::from_secs(120)));
    let lab = Lab::new();
    let broker = Mosquitto::start(&lab.backend, splice::broker(false), "");
    let config = lb::config(
        splice::front(false),
        "[pool.brokers.health]\ntype = \"tcp\"\ninterval = \"500ms\"",
        &[broker.address],
    );
    let mut lb = Lb::start(&lab.lb, DataPath::Splice, &config);
    let dir = tempfile::TempDir::new().expect("temporary directory");
    let mut command = lab
        .client
        .command(find("mosquitto_sub").expect("mosquitto_sub"));
    command.args(["-h", &FRONT.to_string(), "-p", "1883", "-i", "subscriber"]);
    command.args(["-t", "t", "-q", "1", "-k", &KEEPALIVE.to_string()]);
    let subscriber = Process::start("mosquitto_sub", dir.path(), &mut command);
    splice::wait_spliced(&lb, 1, SHORT);
    wait::for_true("SUBACK", SHORT, || {
        broker.process.log().contains("Sending SUBACK")
    });

    let stream = lab.backend.connect(broker.address).expect("connect");
    let client = Client::connect(stream, &Connect::new("publisher")).expect("publisher");
    let mut publisher = Publisher { client, sent: 0 };
    publisher.publish(Duration::from_secs(1));
    lb.process.kill();
    let dead = Instant::now();
    publisher.publish(Duration::from_secs(2));
    assert!(
        lab.client.connect(splice::front(false)).is_err(),
        "nobody should listen"
    );
    // A rest, so that the subscriber must ask whether the broker is there.
    std::thread::sleep(Duration::from_secs(u64::from(KEEPALIVE) + 3));
    publisher.publish(Duration::from_secs(2));
    let dead = dead.elapsed();
    assert!(dead > Duration::from_secs(2 * u64::from(KEEPALIVE)));
    lb.start_again();
    publisher.publish(Duration::from_secs(1));

    let expected: Vec<_> = (0..publisher.sent).map(|n| n.to_string()).collect();
    let received = || {
        subscriber
            .log()
            .lines()
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    wait::for_true("every message should come", SHORT, || {
        received().len() >= expected.len()
    });
    assert_eq!(received(), expected, "every message once, in order");
    let log = broker.process.log();
    assert_eq!(
        log.matches(" as subscriber ").count(),
        1,
        "it has come back:\n{log}"
    );
    assert!(
        log.contains("PINGREQ from subscriber"),
        "no keepalive:\n{log}"
    );

    let listed = splice::list(&lb);
    let mine: Vec<_> = listed
        .iter()
        .filter(|flow| flow.id == "subscriber")
        .collect();
    assert_eq!(mine.len(), 1, "{listed:?}");
    assert_eq!(mine[0].path, "splice");
    let scrape = lb.metrics();
    let adopted = [("path", "splice"), ("reason", "adopted")];
    assert_eq!(scrape.sum("mqttlb_datapath_moves_total", &adopted), 1.0);
    assert_eq!(splice::spliced(&lb), 1.0);
    lb.admin_ok(&["backend", "drain", "brokers/b1", "--deadline", "1s"]);
    splice::wait_spliced(&lb, 0, SHORT);
    wait::for_true("the broker should lose it", SHORT, || {
        let log = broker.process.log();
        log.lines()
            .any(|l| l.contains("subscriber") && l.contains("isconnect"))
            || log.contains("Client subscriber closed its connection")
    });
    say(&format!(
        "mosquitto_sub: {} messages, none missing, the balancer dead for {:.1} s (keepalive \
         {KEEPALIVE} s), then adopted and drained",
        expected.len(),
        dead.as_secs_f64()
    ));
}

/// Streams that go on while the program is killed, stopped and started.
fn restarts_under_traffic(path: DataPath) {
    if !met(NEEDS) {
        return;
    }
    watchdog::limit(deadline(Duration::from_secs(120)));
    let lab = Lab::build(&Layout {
        xdp: path == DataPath::Xdp,
        ..Layout::default()
    });
    let paced = |seed| {
        let mut direction = Direction::fast(seed, 8 << 20);
        direction.write = Pace {
            chunk: 30_000..60_000,
            every: 1,
            pause: Duration::from_millis(100),
            delay: Duration::from_secs(1),
        };
        direction
    };
    let flow = |id: u32| Flow::new(id, paced(u64::from(id) * 2), paced(u64::from(id) * 2 + 1));
    let flows: Arc<[_]> = (0..8).map(flow).collect();
    let brokers = [StreamBroker::start(
        &lab.backend,
        splice::broker(false),
        &flows,
        STALL,
    )];
    let mut lb = Lb::start(&lab.lb, path, &splice::config(false));
    let report = std::thread::scope(|scope| {
        let run = || stream::run(&lab.client, splice::front(false), &flows, &brokers, STALL);
        let running = scope.spawn(run);
        splice::wait_spliced(&lb, flows.len(), SHORT);
        std::thread::sleep(Duration::from_millis(700));
        lb.process.kill();
        std::thread::sleep(Duration::from_millis(500));
        lb.start_again();
        splice::wait_spliced(&lb, flows.len(), SHORT);
        lb.process.signal(libc::SIGTERM);
        lb.process.wait(SHORT);
        lb.start_again();
        splice::wait_spliced(&lb, flows.len(), SHORT);
        running.join().expect("the streams")
    });
    report.assert_intact(&format!("kill -9 and SIGTERM under traffic ({path:?})"));
    splice::wait_spliced(&lb, 0, Duration::from_secs(30));
}

#[test]
fn restarts_under_traffic_tcx() {
    restarts_under_traffic(DataPath::Splice);
}

#[test]
fn restarts_under_traffic_xdp() {
    restarts_under_traffic(DataPath::Xdp);
}
