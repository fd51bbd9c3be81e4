//! Stick tables shared through a real Redis, which is killed, stopped and emptied meanwhile.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use mqtt_lb_tests::brokers::redis::{RIGHTS, Redis};
use mqtt_lb_tests::lb::{DataPath, Lb, config};
use mqtt_lb_tests::mqtt::{Client, Connect};
use mqtt_lb_tests::require::{Need, met, say};
use mqtt_lb_tests::solo::{FRONT, Solo};
use mqtt_lb_tests::wait;

const NEEDS: &[Need] = &[
    Need::Root,
    Need::Program("ip"),
    Need::Program("redis-server"),
];
/// Where the second balancer listens.
const OTHER: SocketAddr = address(2, 1883);
const REDIS: SocketAddr = address(9, 6379);
const SOON: Duration = Duration::from_secs(20);
const STICK: &str = "[pool.brokers.stick]\nsize = 10000\nshared = true\n";
const NO_CHECKS: &str = "[pool.brokers.health]\ntype = \"off\"\n";

const fn address(host: u8, port: u16) -> SocketAddr {
    SocketAddr::new(
        std::net::IpAddr::V4(std::net::Ipv4Addr::new(127, 0, 0, host)),
        port,
    )
}

/// A balancer that shares its table; `keys` go into `[share]`.
fn sharing<'a>(solo: &'a Solo, bind: SocketAddr, redis: &Redis<'_>, keys: &str) -> Lb<'a> {
    let pool = format!("balance = \"roundrobin\"\n{STICK}{NO_CHECKS}");
    let share = format!("[share]\nredis = \"{}\"\n{keys}", redis.url());
    let text = config(bind, &pool, &solo.backends()) + &share;
    Lb::start(&solo.ns, DataPath::Copy, &text)
}

/// Connects a client through a balancer, and says which broker got it.
fn visit(solo: &Solo, front: SocketAddr, id: &str) -> usize {
    let visits = || solo.brokers.iter().map(|broker| broker.visits(id));
    let before: Vec<usize> = visits().collect();
    let stream = solo.ns.connect(front).expect("connect");
    let mut client = Client::connect(stream, &Connect::new(id)).expect(id);
    client.ping().expect(id);
    let place = visits().zip(before).position(|(now, before)| now > before);
    place.expect("a broker has it")
}

fn synced(lb: &Lb<'_>) {
    lb.wait_metric("mqttlb_share_synced", &[], SOON, |synced| synced == 1.0);
}

fn gone(lb: &Lb<'_>) {
    lb.wait_metric("mqttlb_share_connected", &[], SOON, |up| up == 0.0);
}

/// The backend that a balancer's table has for a client.
fn entry(lb: &Lb<'_>, id: &str) -> Option<String> {
    let out = lb.admin(&["table", "show", "brokers", "--key", id]);
    if !out.status.success() {
        let error = String::from_utf8_lossy(&out.stderr).into_owned();
        assert!(error.contains("has no key"), "{error}");
        return None;
    }
    let text = String::from_utf8_lossy(&out.stdout).into_owned();
    let (_, name) = text.split_once("server_key=").expect("a row");
    Some(name.trim().to_owned())
}

fn wait_entry(lb: &Lb<'_>, id: &str, expected: Option<&str>) {
    let what = format!("{id} should be at {expected:?}");
    wait::for_true(&what, SOON, || entry(lb, id).as_deref() == expected);
}

fn rounds(solo: &Solo, name: &str, count: usize) -> Duration {
    let one = |n: usize| {
        let start = Instant::now();
        visit(solo, FRONT, &format!("{name}-{n}"));
        start.elapsed()
    };
    (0..count).map(one).max().expect("rounds")
}

#[test]
fn a_client_finds_its_broker_through_the_other_balancer() {
    if !met(NEEDS) {
        return;
    }
    let solo = Solo::new(3);
    let redis = Redis::start(&solo.ns, REDIS);
    let lbs = [FRONT, OTHER].map(|bind| sharing(&solo, bind, &redis, ""));
    lbs.iter().for_each(synced);
    for n in 0..20 {
        let id = format!("c{n}");
        let fronts = if n % 2 == 0 {
            [FRONT, OTHER]
        } else {
            [OTHER, FRONT]
        };
        let place = visit(&solo, fronts[0], &id);
        let name = format!("b{}", place + 1);
        wait_entry(&lbs[(n + 1) % 2], &id, Some(&name));
        assert_eq!(visit(&solo, fronts[1], &id), place, "{id}");
    }
    let key = "mqtt-lb/entry/brokers/c0";
    let ttl: u64 = redis.ask(&["PTTL", key]).parse().expect("milliseconds");
    assert!((1..=33 * 60_000).contains(&ttl), "{ttl} ms to live");
    // What a new one reads before it serves.
    drop(lbs);
    let third = sharing(&solo, OTHER, &redis, "wait = \"20s\"\n");
    let text = third.admin_ok(&["table", "show", "brokers"]);
    assert!(text.contains("used:20"), "{text}");
}

#[test]
fn what_an_operator_does_holds_everywhere() {
    if !met(NEEDS) {
        return;
    }
    let solo = Solo::new(3);
    let redis = Redis::start(&solo.ns, REDIS);
    let lbs = [FRONT, OTHER].map(|bind| sharing(&solo, bind, &redis, ""));
    lbs.iter().for_each(synced);
    for (id, backend) in [("a", "b1"), ("b", "b2"), ("c", "b2"), ("d", "b3")] {
        lbs[0].admin_ok(&["table", "set", "brokers", id, backend]);
        wait_entry(&lbs[1], id, Some(backend));
    }
    lbs[1].admin_ok(&["table", "set", "brokers", "a", "b3"]);
    wait_entry(&lbs[0], "a", Some("b3"));
    lbs[1].admin_ok(&["table", "clear", "brokers", "--key", "a"]);
    wait_entry(&lbs[0], "a", None);
    lbs[0].admin_ok(&["table", "clear", "brokers", "--backend", "b2"]);
    wait_entry(&lbs[1], "b", None);
    wait_entry(&lbs[1], "c", None);
    assert_eq!(entry(&lbs[1], "d").as_deref(), Some("b3"));
    lbs[1].admin_ok(&["table", "clear", "brokers", "--all"]);
    wait_entry(&lbs[0], "d", None);
    // Nothing of it comes back with a balancer that starts now.
    let third = sharing(&solo, address(3, 1883), &redis, "wait = \"20s\"\n");
    let text = third.admin_ok(&["table", "show", "brokers"]);
    assert!(text.contains("used:0"), "{text}");
}

#[test]
fn a_redis_that_stops_dies_and_returns_delays_nobody() {
    if !met(NEEDS) {
        return;
    }
    let solo = Solo::new(3);
    let mut redis = Redis::start(&solo.ns, REDIS);
    // Who waited for Redis would wait so long.
    let keys = "timeout = \"5s\"\n";
    let mut lbs = [FRONT, OTHER].map(|bind| sharing(&solo, bind, &redis, keys));
    lbs.iter().for_each(synced);
    let usual = rounds(&solo, "usual", 50);

    redis.process.signal(libc::SIGSTOP);
    let stopped = rounds(&solo, "stopped", 50);
    lbs.iter().for_each(gone);
    let unreachable = rounds(&solo, "unreachable", 50);
    redis.process.signal(libc::SIGCONT);
    lbs.iter().for_each(synced);
    let known = entry(&lbs[0], "stopped-7");
    assert!(known.is_some());
    wait_entry(&lbs[1], "stopped-7", known.as_deref());
    let place = visit(&solo, FRONT, "unreachable-7");
    assert_eq!(visit(&solo, OTHER, "unreachable-7"), place);

    redis.process.kill();
    lbs.iter().for_each(gone);
    let dead = rounds(&solo, "dead", 50);
    let moved = visit(&solo, OTHER, "apart");
    lbs[0].admin_ok(&["table", "clear", "brokers", "--key", "usual-1"]);
    redis.start_again();
    lbs.iter().for_each(synced);
    assert_eq!(visit(&solo, FRONT, "apart"), moved);
    for id in ["usual-7", "dead-7"] {
        let place = visit(&solo, FRONT, id);
        assert_eq!(visit(&solo, OTHER, id), place, "{id}");
    }
    wait_entry(&lbs[1], "usual-1", None);
    // The emptied server knows everything again: from both sides.
    let ids = ["apart", "usual-7", "dead-7", "stopped-7"];
    for key in ids.map(|id| format!("mqtt-lb/entry/brokers/{id}")) {
        wait::for_true(&key, SOON, || redis.ask(&["EXISTS", &key]) == "1");
    }

    redis.process.kill();
    lbs[0].process.kill();
    let start = Instant::now();
    lbs[0].start_again();
    let started = start.elapsed();
    say(&format!(
        "longest CONNECT to PINGRESP of 50: usual {usual:?}, Redis stopped {stopped:?}, \
         unreachable {unreachable:?}, dead {dead:?}; start without Redis {started:?}"
    ));
    for time in [stopped, unreachable, dead] {
        assert!(
            time < Duration::from_secs(2),
            "a client has waited {time:?}"
        );
    }
    visit(&solo, FRONT, "served");
}

#[test]
fn a_reconnect_storm_is_not_passed_on() {
    if !met(NEEDS) {
        return;
    }
    let solo = Solo::new(2);
    let redis = Redis::start(&solo.ns, REDIS);
    let lb = sharing(&solo, FRONT, &redis, "");
    synced(&lb);
    for _ in 0..10 {
        for n in 0..20 {
            visit(&solo, FRONT, &format!("c{n}"));
        }
    }
    let counted = |sent: f64| sent >= 20.0;
    lb.wait_metric("mqttlb_share_sent_total", &[], SOON, counted);
    let queue = |waiting: f64| waiting == 0.0;
    lb.wait_metric("mqttlb_share_queue", &[], SOON, queue);
    let sent = lb.metrics().sum("mqttlb_share_sent_total", &[]);
    assert_eq!(sent, 20.0, "200 connects of 20 clients");
}

#[test]
fn a_reload_shares_and_stops_sharing() {
    if !met(NEEDS) {
        return;
    }
    let solo = Solo::new(2);
    let redis = Redis::start(&solo.ns, REDIS);
    let other = sharing(&solo, OTHER, &redis, "");
    let text = |stick: &str, share: &str| {
        let pool = format!("balance = \"roundrobin\"\n{stick}{NO_CHECKS}");
        config(FRONT, &pool, &solo.backends()) + share
    };
    let alone = text("[pool.brokers.stick]\n", "");
    let lb = Lb::start(&solo.ns, DataPath::Copy, &alone);
    lb.admin_ok(&["table", "set", "brokers", "before", "b2"]);
    let share = format!("[share]\nredis = \"{}\"\n", redis.url());
    lb.write_config(&text(STICK, &share));
    assert_eq!(lb.reload(), "ok");
    synced(&lb);
    wait_entry(&other, "before", Some("b2"));
    // A table that a reload has replaced is filled and shared again.
    lb.write_config(&text("", &share));
    assert_eq!(lb.reload(), "ok");
    lb.write_config(&text(STICK, &share));
    assert_eq!(lb.reload(), "ok");
    wait_entry(&lb, "before", Some("b2"));
    lb.admin_ok(&["table", "set", "brokers", "again", "b1"]);
    wait_entry(&other, "again", Some("b1"));
    lb.write_config(&alone);
    assert_eq!(lb.reload(), "ok");
    gone(&lb);
    lb.admin_ok(&["table", "set", "brokers", "after", "b2"]);
    other.admin_ok(&["table", "set", "brokers", "marker", "b1"]);
    let key = "mqtt-lb/entry/brokers/marker";
    wait::for_true(key, SOON, || redis.ask(&["EXISTS", key]) == "1");
    assert_eq!(redis.ask(&["EXISTS", "mqtt-lb/entry/brokers/after"]), "0");
    assert_eq!(entry(&lb, "marker"), None);
}

#[test]
fn a_large_table_is_read_while_clients_are_served() {
    const ENTRIES: usize = 100_000;
    if !met(NEEDS) {
        return;
    }
    let solo = Solo::new(2);
    let redis = Redis::start(&solo.ns, REDIS);
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    let version = now.expect("after 1970").as_millis() << 20;
    let script = "for i = 1, tonumber(ARGV[2]) do redis.call('SET', 'mqtt-lb/entry/brokers/big-' \
                  .. i, ARGV[1], 'PX', 600000) end return 'OK'";
    let value = format!("{version:020} b1 b1");
    let filled = redis.ask(&["EVAL", script, "0", &value, &ENTRIES.to_string()]);
    assert_eq!(filled, "OK");
    let pool = format!(
        "balance = \"roundrobin\"\n[pool.brokers.stick]\nsize = \"1M\"\nshared = true\n{NO_CHECKS}"
    );
    let share = format!("[share]\nredis = \"{}\"\nwait = \"0s\"\n", redis.url());
    let start = Instant::now();
    let lb = Lb::start(
        &solo.ns,
        DataPath::Copy,
        &(config(FRONT, &pool, &solo.backends()) + &share),
    );
    let meanwhile = rounds(&solo, "meanwhile", 50);
    lb.wait_metric("mqttlb_share_synced", &[], 6 * SOON, |synced| synced == 1.0);
    let took = start.elapsed();
    let entries = lb.metrics().gauge("mqttlb_stick_table_entries", &[]);
    say(&format!(
        "{ENTRIES} entries reconciled {took:?} after the start; longest CONNECT to PINGRESP of 50 \
         meanwhile {meanwhile:?}"
    ));
    assert!(entries >= ENTRIES as f64, "{entries} entries");
    assert!(
        meanwhile < Duration::from_secs(2),
        "a client has waited {meanwhile:?}"
    );
    assert_eq!(visit(&solo, FRONT, "big-77777"), 0, "the entry says b1");
    assert_eq!(visit(&solo, FRONT, "big-77778"), 0, "the entry says b1");
}

#[test]
fn without_redis_the_hash_answers_alike_on_two_balancers() {
    if !met(&[Need::Root, Need::Program("ip")]) {
        return;
    }
    let solo = Solo::new(3);
    let pool = format!("balance = \"hash\"\n{NO_CHECKS}");
    let _lbs = [FRONT, OTHER].map(|bind| {
        Lb::start(
            &solo.ns,
            DataPath::Copy,
            &config(bind, &pool, &solo.backends()),
        )
    });
    let mut used = [false; 3];
    for n in 0..30 {
        let id = format!("c{n}");
        let place = visit(&solo, FRONT, &id);
        assert_eq!(visit(&solo, OTHER, &id), place, "{id}");
        used[place] = true;
    }
    assert_eq!(used, [true; 3], "all on few brokers shows nothing");
}

#[test]
fn the_documentation_names_the_rights_of_these_tests() {
    let page = include_str!("../../docs/sharing.md");
    assert!(
        page.contains(RIGHTS),
        "docs/sharing.md should have: {RIGHTS}"
    );
}
