//! Spliced flows need no process: they live through kill -9, a stop and a start,
//! and the next process takes them over, can end them, and lists them.

use std::collections::BTreeSet;
use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::{Duration, Instant};

use mqtt_lb_tests::brokers::mosquitto::Mosquitto;
use mqtt_lb_tests::capture::{Seen, Traces};
use mqtt_lb_tests::impair::Impairment;
use mqtt_lb_tests::lab::{FRONT, Lab, Layout, pair};
use mqtt_lb_tests::lb::{self, DataPath, Lb, binary};
use mqtt_lb_tests::mqtt::{Client, Connect};
use mqtt_lb_tests::process::Process;
use mqtt_lb_tests::require::{Need, find, met, say};
use mqtt_lb_tests::rng::Rng;
use mqtt_lb_tests::size::deadline;
use mqtt_lb_tests::splice::{self, NEEDS};
use mqtt_lb_tests::stream::broker::StreamBroker;
use mqtt_lb_tests::stream::end::End;
use mqtt_lb_tests::stream::plan::{Direction, Flow, Pace};
use mqtt_lb_tests::{stream, wait, watchdog};

const SHORT: Duration = Duration::from_secs(10);
const STALL: Duration = Duration::from_secs(20);

/// Two ends that say something to each other.
fn talk(client: &TcpStream, broker: &TcpStream) {
    for (from, to) in [(client, broker), (broker, client)] {
        to.set_read_timeout(Some(SHORT)).expect("timeout");
        (&mut &*from).write_all(&[7]).expect("write");
        (&mut &*to).read_exact(&mut [0]).expect("a byte through");
    }
}

fn is_reset(mut end: &TcpStream) -> bool {
    end.set_read_timeout(Some(SHORT)).expect("timeout");
    matches!(end.read(&mut [0]), Err(e) if e.kind() == ErrorKind::ConnectionReset)
}

/// Whether a connection is reset, at the latest when something is sent on it.
fn is_lost(mut end: &TcpStream) -> bool {
    let told =
        |e: &std::io::Error| matches!(e.kind(), ErrorKind::ConnectionReset | ErrorKind::BrokenPipe);
    end.write_all(&[7]).is_err_and(|e| told(&e)) || is_reset(end)
}

type Pair = (TcpStream, TcpStream);

fn spliced_pairs(lab: &Lab, listener: &TcpListener, lb: &Lb<'_>, count: usize) -> Vec<Pair> {
    let pairs: Vec<_> = (0..count)
        .map(|n| pair(lab, listener, &format!("c{n}")))
        .collect();
    splice::wait_spliced(lb, count, SHORT);
    pairs
}

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

/// What became of a client's flow.
struct Fate {
    address: SocketAddr,
    error: Option<String>,
}

/// One flow after the other, refused connections tried again.
fn client(flows: &[Flow], next: &AtomicUsize, over: &AtomicUsize, fates: &Mutex<Vec<Fate>>) {
    while over.load(Relaxed) == 0 {
        let Some(flow) = flows.get(next.fetch_add(1, Relaxed)) else {
            return;
        };
        let stream = loop {
            let target = splice::front(false);
            match TcpStream::connect_timeout(&target, Duration::from_secs(2)) {
                Ok(stream) => break stream,
                Err(_) if over.load(Relaxed) == 0 => {}
                Err(_) => return,
            }
            std::thread::sleep(Duration::from_millis(20));
        };
        let address = stream.local_addr().expect("address");
        let end = End {
            stream: &stream,
            head: vec![flow.connect.clone()],
            send: &flow.up,
            expect_head: flow.connack(),
            received: Vec::new(),
            expect: &flow.down,
            stall: STALL,
        };
        let error = end.exchange().err();
        fates.lock().expect("fates").push(Fate { address, error });
    }
}

fn brief(id: u32, rng: &mut Rng) -> Flow {
    let mut direction = || {
        let len = rng.within(&(1_000..60_000)) as u64;
        let mut direction = Direction::fast(rng.word(), len);
        direction.write = Pace {
            chunk: 100..4_000,
            every: 1,
            pause: Duration::from_millis(60),
            delay: rng.up_to(Duration::from_millis(400)),
        };
        direction
    };
    Flow::new(id, direction(), direction())
}

/// Whether an end's report speaks of bytes that should not be there.
fn is_damage(error: &str) -> bool {
    error.contains("wrong byte") || error.contains("not the expected packet")
}

#[test]
fn random_deaths_cost_only_flows_that_were_not_spliced() {
    if !met(NEEDS) {
        return;
    }
    watchdog::limit(deadline(Duration::from_secs(300)));
    let delay = Impairment {
        delay: Duration::from_millis(1),
        ..Impairment::default()
    };
    let lab = Lab::impaired(delay, 41);
    let mut rng = Rng::new(43);
    let flows: Arc<[_]> = (0..20_000).map(|id| brief(id, &mut rng)).collect();
    let broker = StreamBroker::start(&lab.backend, splice::broker(false), &flows, STALL);
    let mut lb = Lb::start(&lab.lb, DataPath::Splice, &splice::config(false));
    let [front, _back] = <[_; 2]>::try_from(lab.capture()).expect("two captures");
    let (next, over, fates) = (AtomicUsize::new(0), AtomicUsize::new(0), Mutex::new(vec![]));
    let deaths = 8;
    lab.client.run(|| {
        std::thread::scope(|scope| {
            for _ in 0..40 {
                scope.spawn(|| client(&flows, &next, &over, &fates));
            }
            for _ in 0..deaths {
                std::thread::sleep(Duration::from_millis(500) + rng.up_to(Duration::from_secs(1)));
                lb.process.kill();
                std::thread::sleep(rng.up_to(Duration::from_millis(300)));
                lb.start_again();
            }
            std::thread::sleep(Duration::from_millis(500));
            over.store(1, Relaxed);
        });
    });
    let fates = fates.into_inner().expect("fates");
    let seen = front.finish();
    let traces = Traces::new(&seen);
    let spliced: BTreeSet<_> = traces
        .iter()
        .filter(|(_, trace)| trace.forwarded > 0)
        .map(|((_, client), _)| *client)
        .collect();
    let lost: Vec<_> = fates.iter().filter(|fate| fate.error.is_some()).collect();
    let text = |fate: &Fate| fate.error.clone().unwrap_or_default();
    let wrong: Vec<_> = lost
        .iter()
        .map(|f| text(f))
        .filter(|e| is_damage(e))
        .collect();
    let broken: Vec<_> = lost
        .iter()
        .filter(|fate| spliced.contains(&fate.address))
        .map(|fate| format!("{}: {}", fate.address, text(fate)))
        .collect();
    let ends = (0..flows.len() as u32).flat_map(|id| broker.ended(id));
    let wrong_up: Vec<_> = ends
        .filter_map(Result::err)
        .filter(|e| is_damage(e))
        .collect();
    say(&format!(
        "{deaths} deaths: {} flows, {} of them spliced, {} lost, {} of these spliced",
        fates.len(),
        spliced.len(),
        lost.len(),
        broken.len()
    ));
    assert!(
        wrong.is_empty() && wrong_up.is_empty(),
        "{wrong:?} {wrong_up:?}"
    );
    if let Some(fate) = lost.iter().find(|fate| spliced.contains(&fate.address)) {
        let of = |(_, s): &&Seen| s.to == fate.address;
        let all: Vec<_> = seen.iter().filter(of).collect();
        let last = &all[all.len().saturating_sub(12)..];
        panic!(
            "spliced flows were lost: {broken:#?}\n{last:#?}\n{}",
            lb.log()
        );
    }
    assert!(
        spliced.len() > 50 && !lost.is_empty(),
        "the test could not have failed"
    );
}

#[test]
fn sigterm_leaves_flows_and_the_next_process_takes_them() {
    if !met(NEEDS) {
        return;
    }
    watchdog::limit(deadline(Duration::from_secs(120)));
    let lab = Lab::new();
    let listener = lab.backend.listen(splice::broker(false));
    let mut lb = Lb::start(&lab.lb, DataPath::Splice, &splice::config(false));
    let pairs = spliced_pairs(&lab, &listener, &lb, 10);
    lb.process.signal(libc::SIGTERM);
    assert!(lb.process.wait(SHORT).success());
    for (client, broker) in &pairs {
        talk(client, broker);
    }
    lb.start_again();
    splice::wait_spliced(&lb, 10, SHORT);
    assert_eq!(splice::list(&lb).len(), 10);
    let more = pair(&lab, &listener, "more");
    splice::wait_spliced(&lb, 11, SHORT);
    for (client, broker) in pairs.iter().chain([&more]) {
        talk(client, broker);
    }
    drop((pairs, more));
    splice::wait_spliced(&lb, 0, Duration::from_secs(30));
}

#[test]
fn drop_flows_ends_them_on_sigterm() {
    if !met(NEEDS) {
        return;
    }
    watchdog::limit(deadline(Duration::from_secs(120)));
    let lab = Lab::new();
    let listener = lab.backend.listen(splice::broker(false));
    let keys = "drop_flows = true\n";
    let config = splice::config(false);
    let mut lb = Lb::start_with(&lab.lb, DataPath::Splice, keys, &config);
    let pairs = spliced_pairs(&lab, &listener, &lb, 10);
    lb.process.signal(libc::SIGTERM);
    assert!(lb.process.wait(SHORT).success());
    for (client, broker) in &pairs {
        assert!(is_reset(client) && is_reset(broker), "both ends are told");
    }
}

fn flush(lab: &Lab, lb: &Lb<'_>) -> String {
    let mut command = lab.lb.command(binary());
    command
        .args(["flows", "flush", "--pin"])
        .arg(lb.pins().path());
    let out = command.output().expect("run mqtt-lb");
    let text = [out.stdout, out.stderr].concat();
    String::from_utf8_lossy(&text).into_owned()
}

#[test]
fn flush_ends_what_nobody_holds() {
    if !met(NEEDS) {
        return;
    }
    watchdog::limit(deadline(Duration::from_secs(120)));
    let lab = Lab::new();
    let listener = lab.backend.listen(splice::broker(false));
    let mut lb = Lb::start(&lab.lb, DataPath::Splice, &splice::config(false));
    let pairs = spliced_pairs(&lab, &listener, &lb, 3);
    let said = flush(&lab, &lb);
    for (client, broker) in &pairs {
        talk(client, broker);
    }
    assert_eq!(splice::spliced(&lb), 3.0, "held by a process: {said}");
    lb.process.kill();
    assert!(!lb.pins().pinned().is_empty());
    let said = flush(&lab, &lb);
    assert!(lb.pins().pinned().is_empty(), "{said}");
    for (client, broker) in &pairs {
        assert!(is_lost(client) && is_lost(broker), "{said}");
    }
    say(&format!("flows flush: {}", said.trim()));
}

#[test]
fn an_unknown_layout_goes_on_and_is_reported() {
    if !met(NEEDS) {
        return;
    }
    watchdog::limit(deadline(Duration::from_secs(120)));
    let lab = Lab::new();
    let listener = lab.backend.listen(splice::broker(false));
    let mut lb = Lb::start(&lab.lb, DataPath::Splice, &splice::config(false));
    let old = spliced_pairs(&lab, &listener, &lb, 3);
    lb.process.kill();
    let base = lb.pins().path().to_owned();
    let layout = std::fs::read_dir(&base).expect("pins").flatten().next();
    let layout = layout.expect("a layout").path();
    std::fs::rename(&layout, base.join("v65535")).expect("rename");
    lb.start_again();
    let log = lb.log();
    assert!(log.contains("flows flush"), "not reported:\n{log}");
    for (client, broker) in &old {
        talk(client, broker);
    }
    assert_eq!(splice::spliced(&lb), 0.0, "they are nobody's");
    flush(&lab, &lb);
    assert!(!base.join("v65535").exists(), "flush removes it");
    assert!(is_lost(&old[0].0));
    let new = pair(&lab, &listener, "new");
    splice::wait_spliced(&lb, 1, SHORT);
    talk(&new.0, &new.1);
}

#[test]
fn two_processes_do_not_share_a_directory() {
    if !met(NEEDS) {
        return;
    }
    watchdog::limit(deadline(Duration::from_secs(60)));
    let lab = Lab::new();
    let lb = Lb::start(&lab.lb, DataPath::Splice, &splice::config(false));
    let dir = tempfile::TempDir::new().expect("temporary directory");
    let file = dir.path().join("second.toml");
    let text = format!(
        "datapath = [\"splice\"]\n[splice]\npin = \"{}\"\n{}",
        lb.pins().path().display(),
        lb::config((FRONT, 1884).into(), "", &[splice::broker(false)])
    );
    std::fs::write(&file, text).expect("write the configuration");
    let mut command = lab.lb.command(binary());
    command.arg("run").arg("-f").arg(&file);
    let mut second = Process::start("second", dir.path(), &mut command);
    let line = second.wait_line("another mqtt-lb", SHORT);
    say(&format!("the second process says: {line}"));
}
