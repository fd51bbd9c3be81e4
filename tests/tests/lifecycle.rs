//! SIGTERM lets connections finish; SIGHUP changes what may change and nothing
//! else.

use std::time::{Duration, Instant};

use mqtt_lb_tests::lb::{self, DataPath, Lb, config};
use mqtt_lb_tests::mqtt::Client;
use mqtt_lb_tests::require::{Need, met};
use mqtt_lb_tests::solo::{self, FRONT, Solo};
use mqtt_lb_tests::wait;

const NEEDS: &[Need] = &[Need::Root, Need::Bpf, Need::Program("ip")];
const POOL: &str = "[pool.brokers.health]\ntype = \"off\"\n[pool.brokers.stick]\nsize = 1000";
const SHORT: Duration = Duration::from_secs(5);

fn grace(solo: &Solo, seconds: u32) -> String {
    let timeouts = format!("[timeouts]\nshutdown_grace = \"{seconds}s\"\n");
    config(FRONT, POOL, &solo.backends()) + &timeouts
}

fn wait_refused(solo: &Solo) {
    wait::for_true("new clients should be refused", SHORT, || {
        solo.ns.connect(FRONT).is_err()
    });
}

fn term_lets_connections_finish(path: DataPath) {
    if !met(NEEDS) {
        return;
    }
    let solo = Solo::new(2);
    let mut lb = Lb::start(&solo.ns, path, &grace(&solo, 30));
    let mut clients: Vec<Client> = (0..4).map(|n| solo.place(&format!("c{n}")).0).collect();
    lb.process.signal(libc::SIGTERM);
    wait_refused(&solo);
    for client in &mut clients {
        client.ping().expect("served during the grace");
    }
    assert!(lb.process.ended().is_none(), "it waits for them");
    for client in clients {
        client.disconnect().expect("disconnect");
    }
    let status = lb.process.wait(SHORT);
    assert!(status.success(), "{status}");
}

#[test]
fn term_lets_connections_finish_sockmap() {
    term_lets_connections_finish(DataPath::Sockmap);
}

#[test]
fn term_lets_connections_finish_copy() {
    term_lets_connections_finish(DataPath::Copy);
}

#[test]
fn term_ends_after_the_grace() {
    if !met(NEEDS) {
        return;
    }
    let solo = Solo::new(1);
    let mut lb = Lb::start(&solo.ns, DataPath::Auto, &grace(&solo, 2));
    let (mut client, _) = solo.place("stays");
    let begin = Instant::now();
    lb.process.signal(libc::SIGTERM);
    wait_refused(&solo);
    client.ping().expect("served during the grace");
    assert!(begin.elapsed() < Duration::from_secs(2), "too slow to tell");
    let status = lb.process.wait(Duration::from_secs(10));
    assert!(status.success(), "{status}");
    assert!(
        begin.elapsed() >= Duration::from_secs(2),
        "after {:?}",
        begin.elapsed()
    );
    assert!(client.ping().is_err(), "closed at the end");
    wait::for_true("the broker's side is closed too", SHORT, || {
        solo.brokers[0].open() == 0
    });
}

/// `POOL` and backends with the given weights.
fn weighted(weights: &[u32]) -> String {
    let backend =
        |(n, weight): (u8, &u32)| lb::backend(&format!("b{n}"), solo::backend(n), *weight);
    config(FRONT, POOL, &[]) + &(1..).zip(weights).map(backend).collect::<String>()
}

#[test]
fn hup_changes_weights_and_backends_under_live_connections() {
    if !met(NEEDS) {
        return;
    }
    let solo = Solo::new(3);
    let lb = Lb::start(&solo.ns, DataPath::Auto, &weighted(&[1, 0]));
    let (mut old, place) = solo.place("old");
    assert_eq!(place, 1, "the other has no weight");

    lb.write_config(&weighted(&[0, 1]));
    assert_eq!(lb.reload(), "ok");
    let places: Vec<usize> = (0..4).map(|n| solo.place(&format!("w{n}")).1).collect();
    assert_eq!(places, [2; 4], "the weights have changed");

    lb.write_config(&weighted(&[0, 0, 1]));
    assert_eq!(lb.reload(), "ok");
    let places: Vec<usize> = (0..4).map(|n| solo.place(&format!("a{n}")).1).collect();
    assert_eq!(places, [3; 4], "a backend was added");
    old.ping().expect("a live connection goes on");
    assert_eq!(solo.place("old").1, 1, "the stick table has survived");
}

#[test]
fn hup_refuses_a_broken_configuration() {
    if !met(NEEDS) {
        return;
    }
    let solo = Solo::new(2);
    let lb = Lb::start(&solo.ns, DataPath::Auto, &weighted(&[1, 0]));
    let (mut old, _) = solo.place("old");
    for broken in [
        "[limits]\nmax_pendink = 1\n",
        "[timeouts]\nconnect = \"5 parsecs\"\n",
        "][",
    ] {
        let lines = lb.log().lines().count();
        lb.write_config(&(weighted(&[0, 1]) + broken));
        assert_eq!(lb.reload(), "refused", "{broken}");
        let log = lb.log();
        let news: Vec<&str> = log.lines().skip(lines).collect();
        let located = news
            .iter()
            .any(|l| l.contains("refused") && l.contains("mqtt-lb.toml:"));
        assert!(located, "no file and line for {broken:?}: {news:?}");
        old.ping().expect("a live connection goes on");
        assert_eq!(solo.place("new").1, 1, "the old configuration stays");
    }
}
