//! nginx.conf: what each directive becomes.

use std::time::Duration;

use mqtt_lb_user::config::{Balance, CheckKind, KeyField, Pattern, Pool, ProxyProtocol};

use crate::common::{Done, done};

/// A stream block with these directives in the upstream, line 2, and the server, line 3.
fn stream(upstream: &str, server: &str) -> Done {
    done(&format!(
        "stream {{\n upstream u {{ {upstream} server 10.0.0.1:1883; }}\n \
         server {{ listen 1883; proxy_pass u; health_check; {server} }}\n}}\n"
    ))
}

fn pool(done: &Done) -> &Pool {
    &done.config.pools["u"]
}

#[test]
fn the_least_that_works() {
    let done = stream("", "");
    assert_eq!(done.notes, [""; 0]);
    let pool = pool(&done);
    assert_eq!(
        (pool.balance, pool.proxy_protocol),
        (Balance::RoundRobin, ProxyProtocol::Off)
    );
    let health = pool.health.expect("checks");
    let five = Duration::from_secs(5);
    let nginx = (health.interval, health.timeout, health.rise, health.fall);
    assert_eq!(nginx, (five, five, 1, 1), "nginx's own defaults");
    assert_eq!(
        done.config.listeners["mqtt"].bind,
        "0.0.0.0:1883".parse().unwrap()
    );
}

#[test]
fn algorithms() {
    assert_eq!(pool(&stream("least_conn;", "")).balance, Balance::LeastConn);
    let done = stream("hash $mqtt_preread_clientid consistent;", "");
    assert_eq!((pool(&done).balance, done.notes.len()), (Balance::Hash, 0));
    let done = stream("hash ${mqtt_preread_clientid};", "");
    assert_eq!(pool(&done).balance, Balance::Hash);
    assert!(
        done.note(2, "hash ${mqtt_preread_clientid}")
            .starts_with("differs: ")
    );
    let done = stream("hash $mqtt_preread_clientid$remote_addr consistent;", "");
    assert_eq!(
        (pool(&done).balance, done.complete),
        (Balance::RoundRobin, false)
    );
}

#[test]
fn servers_of_an_upstream() {
    let done = stream(
        "server 10.0.0.2:1883 weight=3 max_fails=2; server known.example:1883; \
         server other.example:1883; server 10.0.0.4:1883 down; server unix:/s; \
         server 10.0.0.5:1883 frob=1;",
        "",
    );
    let backends = pool(&done).backends.iter();
    let backends: Vec<_> = backends
        .map(|b| (b.name.as_str(), b.weight, b.address.to_string()))
        .collect();
    let expected = [
        ("u1", 3, "10.0.0.2:1883".to_owned()),
        ("known.example", 1, "10.9.9.9:1883".to_owned()),
        ("u6", 1, "10.0.0.5:1883".to_owned()),
        ("u7", 1, "10.0.0.1:1883".to_owned()),
    ];
    assert_eq!(backends, expected);
    let not_taken = [
        "2: down",
        "2: frob=1",
        "2: server other.example:1883",
        "2: server unix:/s",
    ];
    assert_eq!(done.not_taken(), not_taken);
    assert!(done.note(2, "max_fails=2").starts_with("not needed: "));
}

#[test]
fn times_and_headers() {
    let done = stream(
        "",
        "proxy_protocol on; proxy_connect_timeout 1m 5s; preread_timeout 7;",
    );
    assert_eq!(pool(&done).proxy_protocol, ProxyProtocol::V1);
    let timeouts = &done.config.timeouts;
    let both = (
        timeouts.connect.as_secs(),
        timeouts.connect_packet.as_secs(),
    );
    assert_eq!(both, (65, 7));
    assert_eq!(done.notes, [""; 0]);
    // What stands in the stream block holds for its servers.
    let text = "stream {\nproxy_protocol on;\nserver { listen 1; proxy_pass 10.0.0.1:2; }\n}\n";
    let done = crate::common::done(text);
    assert_eq!(done.config.pools["mqtt"].proxy_protocol, ProxyProtocol::V1);
    assert_eq!(
        done.config.pools["mqtt"].backends[0].address,
        "10.0.0.1:2".parse().unwrap()
    );
}

#[test]
fn two_servers_of_one_upstream() {
    let done = done(
        "stream {\nupstream u { server 10.0.0.1:1; }\n\
         server { listen 1883; proxy_pass u; proxy_protocol on; preread_timeout 5s; }\n\
         server { listen 10.1.1.1:1884 backlog=9; proxy_pass u; preread_timeout 6s; }\n}\n",
    );
    assert_eq!(done.config.listeners.len(), 2);
    assert_eq!(done.config.listeners["mqtt-2"].backlog, 9);
    assert_eq!(pool(&done).proxy_protocol, ProxyProtocol::V1);
    assert_eq!(
        done.not_taken(),
        ["4: preread_timeout 6s", "4: proxy_pass u"]
    );
}

#[test]
fn checks() {
    let check = "interval=10 passes=2 fails=3 match=m";
    let text = |expect: &str| {
        format!(
            "stream {{\nmatch m {{ send \\x10\\x10\\x00\\x04MQTT; expect ~* \"{expect}\"; }}\n\
             upstream u {{ server 10.0.0.1:1; }}\n\
             server {{ listen 1; proxy_pass u; health_check {check}; health_check_timeout 3s; }}\n}}\n"
        )
    };
    let mqtt = done(&text("\\x20\\x02"));
    let health = pool(&mqtt).health.expect("checks");
    assert_eq!(
        (health.kind, health.rise, health.fall),
        (CheckKind::Mqtt, 2, 3)
    );
    assert_eq!(
        (health.interval.as_secs(), health.timeout.as_secs()),
        (10, 3)
    );
    let other = done(&text("OK"));
    assert_eq!(pool(&other).health.map(|h| h.kind), Some(CheckKind::Tcp));
    assert!(!other.complete);
}

#[test]
fn what_is_left_out() {
    let done = done(
        "user nginx;\nworker_processes 3;\nevents { worker_connections 9; }\ninclude x.conf;\n\
         http { server { location / { proxy_pass http://x; } } }\n\
         stream {\nupstream u { server 10.0.0.1:1; }\nupstream unused { server 10.0.0.2:1; }\n\
         server { listen 1883; proxy_pass u; allow 10.0.0.0/8; deny all; }\n\
         server { listen 8883 ssl; proxy_pass u; ssl_certificate x; }\n\
         server { listen 1884 proxy_protocol; proxy_pass $up; }\n\
         map $remote_addr $up { default u; }\nfrobnicate on;\n}\n",
    );
    assert_eq!(done.config.workers, 3);
    assert_eq!(done.config.listeners.len(), 1);
    assert_eq!(
        done.not_taken(),
        [
            "4: include x.conf",
            "5: http",
            "9: allow 10.0.0.0/8",
            "9: deny all",
            "10: listen 8883 ssl",
            "10: server",
            "11: proxy_pass $up",
            "11: proxy_protocol",
            "12: map $remote_addr $up",
            "13: frobnicate on",
        ]
    );
    assert!(done.note(8, "upstream unused").starts_with("not needed: "));
    assert!(done.note(1, "user nginx").starts_with("not needed: "));
}

#[test]
fn the_part_that_a_stream_block_includes() {
    let done = done("upstream u { server 10.0.0.1:1; }\nserver { listen 1; proxy_pass u; }\n");
    assert_eq!(done.config.pools["u"].backends.len(), 1);
}

#[test]
fn keys_and_limits() {
    let done = stream("hash $mqtt_preread_username consistent;", "");
    assert_eq!(pool(&done).key.from, KeyField::Username);
    let done = stream("hash $remote_addr consistent;", "");
    assert_eq!(
        (pool(&done).balance, done.notes.len()),
        (Balance::Source, 0)
    );
    let done = stream("random two least_conn;", "");
    assert_eq!(
        (pool(&done).balance, done.notes.len()),
        (Balance::Random, 0)
    );
    let done = stream("server 10.0.0.2:1 max_conns=9 backup slow_start=30s;", "");
    let first = &pool(&done).backends[0];
    assert_eq!((first.maxconn, first.backup), (Some(9), true));
    assert_eq!(pool(&done).slow_start, Duration::from_secs(30));
    assert_eq!(pool(&done).queue, None, "nginx has nobody wait");
    assert_eq!(done.notes, [""; 0]);
}

#[test]
fn a_map_over_a_field_of_connect_is_routes() {
    let text = "stream {\n\
         map $mqtt_preread_username $up {\n ~^t[0-9] u;\n exact v;\n default v;\n ~*x 10.0.0.9:1;\n hostnames;\n}\n\
         upstream u { server 10.0.0.1:1; }\nupstream v { server 10.0.0.2:1; }\n\
         server { listen 1883; proxy_pass $up; health_check; proxy_protocol on; }\n}\n";
    let done = crate::common::done(text);
    assert_eq!(done.not_taken(), ["7: hostnames"]);
    let listener = &done.config.listeners["mqtt"];
    assert_eq!(listener.pool, "v");
    let routes = listener.routes.iter();
    let routes: Vec<_> = routes
        .map(|r| (r.pool.as_str(), r.username.clone()))
        .collect();
    let pattern = |text: &str| Some(Pattern::new(text).unwrap());
    let expected = [
        ("v", pattern("(?i)^exact$")),
        ("u", pattern("^t[0-9]")),
        ("mqtt", pattern("(?i)x")),
    ];
    assert_eq!(routes, expected, "strings before expressions");
    let pools = done.config.pools.values();
    assert!(
        pools
            .into_iter()
            .all(|pool| pool.proxy_protocol == ProxyProtocol::V1)
    );
}
