//! A haproxy.cfg with what is usual beside the published recipes: HAProxy takes it,
//! `mqtt-lb import` takes all of it, and what comes out does it in front of real brokers.

use std::time::Duration;

use mqtt_lb_tests::brokers::mosquitto::Mosquitto;
use mqtt_lb_tests::imported::{Imported, haproxy_check};
use mqtt_lb_tests::mosquitto_clients::{self as clients, Who, publish, subscribe};
use mqtt_lb_tests::netns::Netns;
use mqtt_lb_tests::require::{Need, met};
use mqtt_lb_tests::solo::{FRONT, backend};

const NEEDS: &[Need] = &[
    Need::Root,
    Need::Program("ip"),
    Need::Program("haproxy"),
    Need::Program("mosquitto"),
];
const SHORT: Duration = Duration::from_secs(20);

/// The brokers 1 and 2 share the clients, 3 has those of the user `legacy-…`, and
/// nobody is at 4.
const HAPROXY: &str = "\
global
  log stdout format raw local0
  stats socket DIR/admin.sock mode 600 level admin
  nbthread 2
  maxconn 2000

defaults
  log global
  mode tcp
  option tcplog
  timeout connect 3s
  timeout client 10m
  timeout server 10m
  timeout queue 2s

frontend mqtt
  bind 127.0.0.1:1883 name plain
  tcp-request inspect-delay 5s
  tcp-request content reject unless { req.payload(0,0),mqtt_is_valid }
  acl legacy req.payload(0,0),mqtt_field_value(connect,username) -m beg legacy-
  use_backend old if legacy
  default_backend brokers

backend brokers
  balance leastconn
  stick-table type string len 64 size 1k expire 10m
  stick on req.payload(0,0),mqtt_field_value(connect,client_identifier)
  default-server check inter 500ms rise 1 fall 2 on-marked-down shutdown-sessions
  server b1 127.0.0.101:1883 weight 2 maxconn 100
  server b2 127.0.0.102:1883 weight 2 maxconn 100
  server b4 127.0.0.104:1883 backup

backend old
  balance source
  hash-type consistent
  server o1 127.0.0.103:1883 check on-marked-down shutdown-sessions
";

/// Which broker, counted from 1, has had a client with this id.
fn brokers_of(brokers: &[Mosquitto], id: &str) -> Vec<usize> {
    let connected = format!(" as {id} (");
    let has = |broker: &Mosquitto| broker.process.log().contains(&connected);
    let had = brokers.iter().enumerate().filter(|(_, broker)| has(broker));
    had.map(|(at, _)| at + 1).collect()
}

#[test]
fn what_is_usual_is_taken_and_runs() {
    if !met(NEEDS) || !met(clients::NEEDS) {
        return;
    }
    let ns = Netns::new("import");
    let check = haproxy_check(&ns, HAPROXY);
    let error = String::from_utf8_lossy(&check.stderr);
    assert!(check.status.success(), "HAProxy takes it: {error}");

    let brokers = [1, 2, 3].map(|n| Mosquitto::start(&ns, backend(n), ""));
    let lb = Imported::start(&ns, "haproxy.cfg", HAPROXY);
    assert_eq!(lb.code, Some(0), "{}", lb.notes);

    let dir = tempfile::TempDir::new().expect("temporary directory");
    for (id, user, places) in [
        ("new-1", "user", &[1, 2][..]),
        ("new-2", "user", &[1, 2]),
        ("new-3", "user", &[1, 2]),
        ("old-1", "legacy-7", &[3]),
        ("old-2", "legacy-8", &[3]),
    ] {
        let who = Who { id, user };
        let first = subscribe(&ns, dir.path(), FRONT, who, id);
        drop(first);
        let mut again = subscribe(&ns, dir.path(), FRONT, who, id);
        let been = brokers_of(&brokers, id);
        assert_eq!(been.len(), 1, "{id} came back to its broker: {been:?}");
        assert!(places.contains(&been[0]), "{id} is at {been:?}");
        // Past the balancer, to the broker that has the subscriber.
        let publisher = Who {
            id: "publisher",
            user,
        };
        publish(&ns, backend(been[0] as u8), publisher, id, "hello");
        again.wait_line("hello", SHORT);
    }
    let table = lb.admin(&["table", "show", "brokers"]);
    assert!(
        table.starts_with("# table: brokers, type: string, size:1024, used:3\n"),
        "{table}"
    );
    lb.stop();
}

#[test]
fn what_is_not_taken_is_said_with_its_line() {
    if !met(NEEDS) {
        return;
    }
    let ns = Netns::new("import");
    let _broker = Mosquitto::start(&ns, backend(3), "");
    let source = HAPROXY
        .replace("name plain", "name plain accept-proxy")
        .replace("  balance source\n", "  balance first\n");
    let check = haproxy_check(&ns, &source);
    assert!(check.status.success(), "HAProxy takes it");
    let lb = Imported::start(&ns, "haproxy.cfg", &source);
    assert_eq!(lb.code, Some(3), "{}", lb.notes);
    let lines: Vec<&str> = lb
        .notes
        .lines()
        .filter(|n| n.contains(": not taken: "))
        .collect();
    assert_eq!(lines.len(), 2, "{lines:#?}");
    assert!(
        lines[0].contains("haproxy.cfg:17: accept-proxy: "),
        "{lines:#?}"
    );
    assert!(
        lines[1].contains("haproxy.cfg:34: balance first: "),
        "{lines:#?}"
    );
    lb.stop();
}
