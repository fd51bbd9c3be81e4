//! haproxy.cfg: what each line becomes.

use std::time::Duration;

use mqtt_lb_user::config::{
    Balance, CheckKind, Config, KeyField, KeySpec, Pattern, Pool, ProxyProtocol,
};

use crate::common::{Done, done, resolve};

const FRONT: &str = "frontend f\n bind 10.1.1.1:1883\n default_backend b\nbackend b\n";
const SERVER: &str = " server s1 10.0.0.1:1883 check on-marked-down shutdown-sessions\n";

/// A backend with `lines` and a server, behind a frontend; the first of its lines is 5.
fn backend(lines: &str) -> Done {
    done(&format!("{FRONT}{lines}{SERVER}"))
}

/// A server with `params` behind its address, on line 5.
fn server(params: &str) -> Done {
    done(&format!("{FRONT} server s1 10.0.0.1:1883 {params}\n"))
}

fn pool(done: &Done) -> &Pool {
    &done.config.pools["b"]
}

#[test]
fn the_least_that_works() {
    let done = backend("");
    assert!(done.complete);
    assert_eq!(done.notes, [""; 0]);
    let pool = pool(&done);
    assert_eq!((pool.stick, pool.balance), (None, Balance::RoundRobin));
    assert_eq!(pool.proxy_protocol, ProxyProtocol::Off);
    assert_eq!(
        done.config.listeners["f"].bind,
        "10.1.1.1:1883".parse().unwrap()
    );
}

#[test]
fn a_listen_section_is_both() {
    let done = done(
        "listen mqtt\n bind :1883,:1884 name x\n server s1 10.0.0.1\n server s2 10.0.0.2:1883\n",
    );
    assert_eq!(done.config.listeners.len(), 2);
    let first = &done.config.listeners["x"];
    assert_eq!(first.bind, "0.0.0.0:1883".parse().unwrap());
    assert_eq!(done.config.pools[&first.pool].backends.len(), 1);
    let address = "3: server s1 10.0.0.1";
    assert_eq!(
        done.not_taken(),
        [address],
        "two ports, so it has none in common"
    );
}

#[test]
fn a_server_without_a_port_has_that_of_its_clients() {
    let done = done("listen mqtt\n bind :1884\n server s1 10.0.0.1 check\n");
    let address = done.config.pools["mqtt"].backends[0].address;
    assert_eq!(address, "10.0.0.1:1884".parse().unwrap());
}

#[test]
fn checks() {
    let done = server("check inter 3s rise 4 fall 5 on-marked-down shutdown-sessions");
    let health = pool(&done).health.expect("checks");
    assert_eq!(
        (health.interval, health.rise, health.fall),
        (Duration::from_secs(3), 4, 5)
    );
    assert_eq!(done.notes, [""; 0]);
    let done = backend(" timeout check 700\n");
    assert_eq!(
        pool(&done).health.unwrap().timeout,
        Duration::from_millis(700)
    );
    let done = backend(" timeout check 10s\n");
    assert_eq!(pool(&done).health.unwrap().timeout, Duration::from_secs(2));
    assert!(done.note(5, "timeout check 10s").starts_with("differs: "));
    let done = backend(
        " option tcp-check\n tcp-check send-binary 101000044d5154540402003c000463686b31\n \
         tcp-check expect binary 20020000\n",
    );
    assert_eq!(pool(&done).health.unwrap().kind, CheckKind::Mqtt);
    assert_eq!(done.notes, [""; 0]);
    let done = backend(" option httpchk GET /status\n");
    assert_eq!(done.not_taken(), ["5: option httpchk GET /status"]);
    assert_eq!(pool(&done).health.unwrap().kind, CheckKind::Tcp);
}

#[test]
fn servers_that_differ_in_what_is_the_pools() {
    let done = backend(
        " server s2 10.0.0.2:1883 check inter 3s\n server s3 10.0.0.3:1883 check inter 4s send-proxy\n",
    );
    assert_eq!(pool(&done).health.unwrap().interval, Duration::from_secs(3));
    let why = done.note(6, "inter 4s");
    assert!(why.contains("line 5 has set it to \"3s\""), "{why}");
    assert!(
        done.not_taken().contains(&"6: send-proxy"),
        "{:?}",
        done.notes
    );
    assert_eq!(pool(&done).proxy_protocol, ProxyProtocol::Off);
}

#[test]
fn defaults_for_servers() {
    let done = backend(
        " default-server check inter 3s weight 7\n server s2 10.0.0.2:1883 weight 9 no-check\n",
    );
    let pool = pool(&done);
    assert_eq!(pool.health.unwrap().interval, Duration::from_secs(3));
    let weights: Vec<u32> = pool.backends.iter().map(|b| b.weight).collect();
    assert_eq!(weights, [9, 7]);
    assert!(
        done.note(6, "server s2 10.0.0.2:1883")
            .contains("no `check`")
    );
}

#[test]
fn defaults_for_proxies_and_what_they_say_themselves() {
    let text = format!(
        "defaults a\n timeout connect 7s\n balance leastconn\n no option tcplog\ndefaults from a\n \
         timeout queue 3s\n{FRONT}{SERVER}"
    );
    let named = done(&text);
    assert_eq!(named.config.timeouts.connect, Duration::from_secs(7));
    assert_eq!(pool(&named).balance, Balance::LeastConn);
    let text = text.replace("backend b\n", "backend b\n balance roundrobin\n");
    // Also the line `default_backend b`, which no longer names the backend.
    let own = done(&text.replace(
        "default_backend b\n balance roundrobin\n",
        "default_backend b\n",
    ));
    assert_eq!(pool(&own).balance, Balance::RoundRobin);
}

#[test]
fn out_of_range_is_left_out_and_shown() {
    let done = server("weight 257 check on-marked-down shutdown-sessions");
    assert_eq!(done.not_taken(), ["5: weight 257"]);
    assert!(done.note(5, "weight 257").contains("allowed is 0 to 256"));
    assert!(
        done.text.contains("# weight = 257 # line 5\n"),
        "{}",
        done.text
    );
    assert!(!done.complete);
}

#[test]
fn addresses_of_servers() {
    let done = backend(
        " server s2 known.example:1883\n server s3 other.example:1883\n server s4 /run/s\n \
         server s5 10.0.0.5:1883 ssl verify none\n server s6 10.0.0.6:1883 disabled\n \
         server s7 [2001:db8::1]:1883\n server s8 10.0.0.1:1883\n",
    );
    let pool = pool(&done);
    let backends = pool
        .backends
        .iter()
        .map(|b| (b.name.as_str(), b.address.to_string()));
    let expected = [
        ("s2", "10.9.9.9:1883"),
        ("s7", "[2001:db8::1]:1883"),
        ("s8", "10.0.0.1:1883"),
    ];
    let expected = expected.map(|(name, address)| (name, address.to_owned()));
    assert_eq!(
        backends.collect::<Vec<_>>(),
        expected,
        "the second of one address is left out"
    );
    let resolved = "5: server s2 known.example:1883: differs: taken as 10.9.9.9";
    assert!(
        done.notes.iter().any(|note| note.starts_with(resolved)),
        "{:#?}",
        done.notes
    );
    for (line, name) in [(6, "s3"), (7, "s4"), (8, "s5"), (9, "s6"), (12, "s1")] {
        let shown = format!("# name = \"{name}\" # line {line}\n");
        assert!(
            done.text.contains(&shown),
            "{name} is shown:\n{}",
            done.text
        );
        let place = format!("{line}: ");
        assert!(
            done.not_taken().iter().any(|n| n.starts_with(&place)),
            "{name}"
        );
    }
}

#[test]
fn binds() {
    let front = |binds: &str| {
        done(&format!(
            "listen l\n{binds} server s1 10.0.0.1:1883 check on-marked-down shutdown-sessions\n"
        ))
    };
    let tls = front(" bind :1883\n bind :8883 ssl crt /x.pem\n");
    assert_eq!(tls.config.listeners.len(), 1);
    assert_eq!(tls.not_taken(), ["3: bind :8883 ssl crt /x.pem"]);
    let twice = front(" bind :1883\n bind :1883\n");
    assert_eq!(twice.config.listeners.len(), 1);
    assert_eq!(twice.not_taken(), ["3: bind :1883"]);
    let range = front(" bind :1883-1885 backlog 100\n");
    assert_eq!(range.config.listeners.len(), 3);
    assert!(range.config.listeners.values().all(|l| l.backlog == 100));
    let proxied = front(" bind :1883 accept-proxy\n");
    assert_eq!(proxied.not_taken(), ["2: accept-proxy"]);
    let own = front(
        " bind 10.0.0.1:1883\n bind :1884\n server s2 10.0.0.2:1883 check on-marked-down shutdown-sessions\n",
    );
    assert_eq!(
        own.config.pools["l"].backends[0].name, "s2",
        "s1 is the listener itself"
    );
}

#[test]
fn stick_tables() {
    let id = "req.payload(0,0),mqtt_field_value(connect,client_identifier)";
    let stick = |lines: &str| {
        let done = backend(lines);
        pool(&done)
            .stick
            .map(|s| (s.size, s.expire.as_secs(), s.nopurge))
    };
    let table = " stick-table type string len 64 size 1m expire 2h nopurge\n";
    let expected = Some((1 << 20, 7200, true));
    assert_eq!(stick(&format!("{table} stick on {id}\n")), expected);
    let two = format!("{table} stick match {id}\n stick store-request {id}\n");
    assert_eq!(stick(&two), expected);
    assert_eq!(stick(table), None, "nothing sticks");
    assert!(!backend(table).complete);
    let lower = backend(&format!("{table} stick on {id},lower\n"));
    assert_eq!((pool(&lower).stick, lower.not_taken().len()), (None, 2));
    // A table of another section, as HAProxy's manual likes them.
    let text = format!("backend t\n{table}{FRONT} stick on {id} table t\n{SERVER}");
    let apart = done(&text);
    assert!(apart.complete, "{:?}", apart.notes);
    assert_eq!(pool(&apart).stick.map(|s| s.size), Some(1 << 20));
    let never = backend(&format!(
        " stick-table type string size 10\n stick on {id}\n"
    ));
    assert_eq!(
        pool(&never).stick.map(|s| s.expire.as_secs()),
        Some(365 * 86_400)
    );
    let peers = backend(&format!(
        " stick-table type string size 10 expire 1m peers p\n stick on {id}\n"
    ));
    assert_eq!(peers.not_taken(), ["5: peers p"]);
}

#[test]
fn limits_of_connections() {
    let limit = |text: &str| done(text).config.limits.max_connections;
    let global = "global\n maxconn 5000\n";
    let front = FRONT.replace("frontend f\n", "frontend f\n maxconn 300\n");
    assert_eq!(limit(&format!("{global}{FRONT}{SERVER}")), 5000);
    assert_eq!(limit(&format!("{front}{SERVER}")), 300);
    assert_eq!(limit(&format!("{global}{front}{SERVER}")), 300);
    let second = "frontend g\n bind :1884\n default_backend b\n";
    let two = done(&format!("{global}{front}{SERVER}{second}"));
    assert_eq!(two.config.limits.max_connections, 5000);
    assert_eq!(two.not_taken(), ["4: maxconn 300"]);
}

#[test]
fn the_global_section() {
    let text = format!(
        "global\n stats socket unix@/run/x.sock level admin mode 600\n nbthread 3\n \
         hard-stop-after 5m\n daemon\n tune.bufsize 32768\n frobnicate\n{FRONT}{SERVER}"
    );
    let done = done(&text);
    let Config {
        workers,
        admin,
        timeouts,
        ..
    } = &done.config;
    assert_eq!(
        (*workers, admin.as_deref()),
        (3, Some("/run/x.sock".as_ref()))
    );
    assert_eq!(timeouts.shutdown_grace, Duration::from_secs(300));
    assert_eq!(done.not_taken(), ["7: frobnicate"]);
}

#[test]
fn what_waits_for_connect_is_done_anyway() {
    let valid = "req.payload(0,0),mqtt_is_valid";
    for rule in [
        format!("reject unless {{ {valid} }}"),
        format!("reject if !{{ {valid} }}"),
        format!("accept if {{ {valid} }}"),
    ] {
        let text = FRONT.replace(
            "\n default",
            &format!("\n tcp-request content {rule}\n default"),
        );
        let done = done(&format!("{text}{SERVER}"));
        assert_eq!(done.notes, [""; 0], "{rule}");
    }
    for rule in [
        "content reject if { src 10.0.0.0/8 }",
        "connection reject if { src -f /x }",
    ] {
        let text = FRONT.replace("\n default", &format!("\n tcp-request {rule}\n default"));
        let done = done(&format!("{text}{SERVER}"));
        assert_eq!(done.not_taken(), [format!("3: tcp-request {rule}")]);
    }
}

#[test]
fn figures_over_http() {
    let stats = "frontend stats\n mode http\n bind 127.0.0.1:8404\n http-request use-service prometheus-exporter if { path /metrics }\n";
    let done = done(&format!("{FRONT}{SERVER}{stats}"));
    assert_eq!(done.config.http, Some("127.0.0.1:8404".parse().unwrap()));
    assert!(done.complete, "{:?}", done.notes);
}

#[test]
fn what_no_line_can_say() {
    let done = done(&format!(
        "stray\n.if defined(X)\nglobal\n maxconn 1\n.endif\npeers p\n peer a 10.0.0.9:1\n{FRONT} \
         balance \"${{HOW}}\"\n{SERVER}backend unused\n server x 10.0.0.3:1\nlisten web\n mode http\n bind :80\n"
    ));
    let lines: Vec<&str> = done.not_taken();
    assert_eq!(
        lines,
        [
            "1: stray",
            "2: .if defined(X)",
            "6: peers p",
            "12: balance \"${HOW}\"",
            "16: listen web"
        ]
    );
    assert!(done.note(14, "backend unused").starts_with("not needed: "));
    assert_eq!(done.config.limits, Config::default().limits);
}

#[test]
fn nothing_is_left() {
    for (text, why) in [
        (
            "frontend f\n bind :1883\n default_backend nowhere\n",
            "no listener",
        ),
        (
            "listen l\n bind :1883\n server s unknown.example:1883\n",
            "no ",
        ),
        (
            "listen l\n bind :8883 ssl\n server s 10.0.0.1:1883\n",
            "no listener",
        ),
    ] {
        let failed = mqtt_lb_user::import::import("f", text, &resolve).expect_err(text);
        assert!(
            failed.why.iter().any(|w| w.contains(why)),
            "{:?}",
            failed.why
        );
        assert!(!failed.notes.is_empty(), "{text}");
    }
}

#[test]
fn algorithms() {
    let balance = |lines: &str| {
        let done = backend(lines);
        (
            pool(&done).balance,
            pool(&done).bounded_load,
            done.notes.len(),
        )
    };
    assert_eq!(
        balance(" balance leastconn\n"),
        (Balance::LeastConn, None, 0)
    );
    assert_eq!(
        balance(" balance static-rr\n"),
        (Balance::RoundRobin, None, 0)
    );
    assert_eq!(balance(" balance random\n"), (Balance::Random, None, 0));
    assert_eq!(balance(" balance random(3)\n"), (Balance::Random, None, 1));
    assert_eq!(balance(" balance source\n"), (Balance::Source, None, 1));
    assert_eq!(balance(" balance first\n"), (Balance::RoundRobin, None, 1));
    let hash = format!(" balance hash {ID}\n hash-type consistent\n");
    assert_eq!(balance(&hash), (Balance::Hash, None, 2));
    let bounded = format!("{hash} hash-balance-factor 150\n");
    assert_eq!(balance(&bounded), (Balance::Hash, Some(150), 2));
    let off = format!("{hash} hash-balance-factor 0\n");
    assert_eq!(balance(&off), (Balance::Hash, None, 2));
}

const ID: &str = "req.payload(0,0),mqtt_field_value(connect,client_identifier)";

#[test]
fn keys() {
    let stick = " stick-table type string size 10 expire 1m\n stick on ";
    let key = |expression: &str| {
        let done = backend(&format!("{stick}{expression}\n"));
        assert!(done.complete, "{:?}", done.notes);
        pool(&done).key.clone()
    };
    assert_eq!(key(ID), KeySpec::default());
    assert_eq!(key("src").from, KeyField::Source);
    assert_eq!(
        key(&ID.replace("client_identifier", "username")).from,
        KeyField::Username
    );
    assert_eq!(
        key(&ID.replace("client_identifier", "will_topic")).from,
        KeyField::WillTopic
    );
    let first = key(&format!("{ID},field(1,:)"));
    assert!(first.pattern.is_some() && first.from == KeyField::ClientId);
    // A pool has one key, for its table and its hash.
    let done = backend(&format!(" balance hash src\n{stick}{ID}\n"));
    assert_eq!(done.not_taken(), [format!("7: stick on {ID}")]);
}

#[test]
fn limits_and_backups_of_servers() {
    let done = backend(
        " timeout connect 7s\n default-server check maxconn 50 slowstart 1m on-marked-down \
         shutdown-sessions\n server s2 10.0.0.2:1883 backup\n server s3 10.0.0.3:1883 backup \
         maxconn 0\n",
    );
    let pool = pool(&done);
    let backends = pool.backends.iter().map(|b| (b.maxconn, b.backup));
    assert_eq!(
        backends.collect::<Vec<_>>(),
        [(Some(50), true), (None, true), (Some(50), false)]
    );
    assert_eq!(pool.slow_start, Duration::from_secs(60));
    assert_eq!(pool.queue.map(|q| q.timeout), Some(Duration::from_secs(7)));
    assert!(done.note(8, "backup").contains("HAProxy uses the first"));
    assert!(done.complete, "{:?}", done.notes);
    let own = backend(" timeout queue 3s\n default-server maxconn 50\n timeout connect 7s\n");
    assert_eq!(
        own.config.pools["b"].queue.map(|q| q.timeout),
        Some(Duration::from_secs(3))
    );
    assert_eq!(backend("").config.pools["b"].queue, None);
}

#[test]
fn routes() {
    let field = |name: &str| format!("req.payload(0,0),mqtt_field_value(connect,{name})");
    let (id, user, level) = (
        field("client_identifier"),
        field("username"),
        field("protocol_version"),
    );
    let text = format!(
        "frontend f\n bind :1883\n bind :1884\n acl v3 {level} -m str 3 4\n \
         use_backend old if v3 {{ {id} -m beg dev- }}\n use_backend b if !v3\n \
         use_backend nowhere if v3\n use_backend old if v3 or {{ {user} -i x }}\n \
         use_backend all\n use_backend b if v3\n default_backend b\n\
         backend old\n server o 10.0.0.2:1883 check on-marked-down shutdown-sessions\n\
         backend all\n{SERVER}backend b\n{SERVER}"
    );
    let done = done(&text);
    assert_eq!(
        done.not_taken(),
        ["6: use_backend b if !v3", "7: use_backend nowhere if v3"]
    );
    assert_eq!(done.config.listeners.len(), 2);
    for listener in done.config.listeners.values() {
        assert_eq!(listener.pool, "all", "what nobody else takes");
        let [both, level, user] = listener.routes.as_slice() else {
            panic!("{:?}", listener.routes);
        };
        assert!([both, level, user].iter().all(|route| route.pool == "old"));
        assert_eq!(both.level, Some(vec![3, 4]));
        assert_eq!(both.client_id, Some(Pattern::new(r"^dev\-").unwrap()));
        assert_eq!((&level.level, &level.client_id), (&both.level, &None));
        assert_eq!(user.username, Some(Pattern::new("(?i)^x$").unwrap()));
    }
    assert!(
        done.note(10, "use_backend b if v3")
            .starts_with("not needed: ")
    );
    assert!(done.note(16, "backend b").starts_with("not needed: "));
}

/// A route without one of its conditions would take clients that are not its.
#[test]
fn a_route_with_a_wrong_condition_is_left_out_whole() {
    let user = "req.payload(0,0),mqtt_field_value(connect,username)";
    let level = "req.payload(0,0),mqtt_field_value(connect,protocol_version)";
    for wrong in [
        format!("{{ {user} -m reg (?=x) }} {{ {level} 4 }}"),
        format!("{{ {user} x }} {{ {level} 9 }}"),
    ] {
        let rule = format!("bind :1\n use_backend b if {wrong}\n ");
        let text = FRONT.replace("bind 10.1.1.1:1883\n ", &rule);
        let done = done(&format!("{text}{SERVER}"));
        assert!(done.config.listeners["f"].routes.is_empty(), "{wrong}");
        assert_eq!(done.not_taken().len(), 1, "{:?}", done.notes);
        assert!(
            done.text.contains("# [[listener.f.route]]"),
            "{}",
            done.text
        );
    }
}
