//! What chooses a client's pool and what it is known by there, seen by real brokers:
//! each mosquitto tells from its log who came.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use mqtt_lb_tests::brokers::mosquitto::Mosquitto;
use mqtt_lb_tests::lab::Lab;
use mqtt_lb_tests::lb::{self, DataPath, Lb, config};
use mqtt_lb_tests::mqtt::{Client, Connect, V5};
use mqtt_lb_tests::netns::Netns;
use mqtt_lb_tests::require::{Need, met};
use mqtt_lb_tests::solo::{FRONT, backend};
use mqtt_lb_tests::splice;

const NEEDS: &[Need] = &[Need::Root, Need::Program("ip"), Need::Program("mosquitto")];
const SHORT: Duration = Duration::from_secs(10);
const HEALTH: &str = "[pool.brokers.health]\ntype = \"off\"\n";

/// Mosquittos in a namespace, in front of which a balancer is to stand.
struct Brokers {
    list: Vec<Mosquitto>,
    ns: Netns,
}

impl Brokers {
    fn new(count: u8) -> Self {
        let ns = Netns::new("keys");
        let list = (1..=count).map(|n| Mosquitto::start(&ns, backend(n), ""));
        Self {
            list: list.collect(),
            ns,
        }
    }

    fn addresses(&self) -> Vec<SocketAddr> {
        self.list.iter().map(|broker| broker.address).collect()
    }

    /// Clients of an id that each broker has seen.
    fn seen(&self, id: &str) -> Vec<usize> {
        let mark = format!(" as {id} (");
        let logs = self.list.iter().map(|broker| broker.process.log());
        logs.map(|log| log.matches(&mark).count()).collect()
    }

    /// Connects a client.
    fn serve(&self, source: [u8; 4], connect: &Connect<'_>) {
        let stream = self.ns.connect_from(IpAddr::from(source), FRONT);
        let mut client = Client::connect(stream.expect("connect"), connect).expect("CONNACK");
        client.ping().expect("ping");
    }

    /// Connects a client and says which broker, from 1, has got it.
    fn place(&self, source: [u8; 4], connect: &Connect<'_>) -> usize {
        let before = self.seen(connect.client_id);
        self.serve(source, connect);
        let now = self.seen(connect.client_id);
        let mut both = now.iter().zip(&before);
        1 + both
            .position(|(now, before)| now > before)
            .expect("a visit")
    }
}

/// The address of a client that has no reason to have another one.
const HOME: [u8; 4] = [127, 0, 0, 1];

fn user<'a>(id: &'a str, name: &'a str) -> Connect<'a> {
    Connect {
        login: Some((name, b"x")),
        ..Connect::new(id)
    }
}

fn v5(id: &str) -> Connect<'_> {
    Connect {
        level: V5,
        ..Connect::new(id)
    }
}

/// A pool of one broker.
fn pool(name: &str, address: SocketAddr) -> String {
    format!(
        "[pool.{name}]\n[pool.{name}.health]\ntype = \"off\"\n\
         [[pool.{name}.backend]]\nname = \"b\"\naddress = \"{address}\"\n"
    )
}

/// A route of the listener.
fn route(pool: &str, conditions: &str) -> String {
    format!("[[listener.mqtt.route]]\npool = \"{pool}\"\n{conditions}\n")
}

#[test]
fn id_username_and_level_choose_the_pool() {
    if !met(NEEDS) {
        return;
    }
    let brokers = Brokers::new(4);
    let [own, cars, fleet, old] = [0, 1, 2, 3].map(|n| brokers.list[n].address);
    let pools = pool("cars", cars) + &pool("fleet", fleet) + &pool("old", old);
    let file = |routes: &[String]| config(FRONT, HEALTH, &[own]) + &routes.concat() + &pools;
    let routes = [
        route("cars", "client_id = \"^car-\""),
        route("fleet", "username = \"@fleet$\"\nlevel = [5]"),
        route("old", "level = [3, 4]"),
    ];
    let lb = Lb::start(&brokers.ns, DataPath::Copy, &file(&routes));
    let fleet = |id, level| Connect {
        level,
        ..user(id, "ann@fleet")
    };
    let cases = [
        (v5("c1"), 1, "brokers"),
        (v5("my-car-1"), 1, "brokers"),
        (v5("car-1"), 2, "cars"),
        (Connect::new("car-2"), 2, "cars"),
        (fleet("c2", V5), 3, "fleet"),
        (fleet("c3", 4), 4, "old"),
        (Connect::new("c4"), 4, "old"),
    ];
    for (connect, broker, name) in &cases {
        assert_eq!(brokers.place(HOME, connect), *broker, "{connect:?}");
        let line = format!(" mqtt {name}/b");
        let id = format!("id=\"{}\"", connect.client_id);
        lb.wait_log(SHORT, |l| l.contains(&line) && l.contains(&id));
    }
    let routed = |pool| {
        let labels = [("listener", "mqtt"), ("pool", pool)];
        lb.metrics().sum("mqttlb_routed_total", &labels)
    };
    assert_eq!(
        ["brokers", "cars", "fleet", "old"].map(routed),
        [2.0, 2.0, 1.0, 2.0]
    );

    lb.write_config(&file(&routes[2..]));
    assert_eq!(lb.reload(), "ok");
    assert_eq!(brokers.place(HOME, &v5("car-1")), 1, "no route any more");
    assert_eq!(brokers.place(HOME, &Connect::new("car-2")), 4);
}

/// A way to know clients: the pool's `[key]`, the key of a group `g`, and its client `n`.
struct Kind {
    spec: &'static str,
    key: fn(g: u8) -> String,
    client: fn(g: u8, names: &Names) -> ([u8; 4], Connect<'_>),
}

/// What the fields of a client are called.
struct Names {
    id: String,
    group: String,
    properties: [(String, String); 1],
}

const KINDS: &[Kind] = &[
    Kind {
        spec: "from = \"client_id\"\nmatch = \"^([^/]+)/\"\ntemplate = \"$1\"",
        key: |g| format!("group-{g}"),
        client: |_, names| (HOME, Connect::new(&names.id)),
    },
    Kind {
        spec: "strip_prefix = \"group-\"\nmatch = '^(?<g>\\d+)/(?<kind>\\w+)'\ntemplate = \"${kind}:${g}\"",
        key: |g| format!("pump:{g}"),
        client: |_, names| (HOME, Connect::new(&names.id)),
    },
    Kind {
        spec: "from = \"username\"\nstrip_prefix = \"group-\"",
        key: |g| g.to_string(),
        client: |_, names| (HOME, user(&names.id, &names.group)),
    },
    Kind {
        spec: "from = \"will_topic\"",
        key: |g| format!("group-{g}"),
        client: |_, names| {
            let will = Some((&*names.group, &b"gone"[..]));
            let connect = Connect::new(&names.id);
            (HOME, Connect { will, ..connect })
        },
    },
    Kind {
        spec: "from = \"source\"",
        key: |g| format!("127.0.9.{g}"),
        client: |g, names| ([127, 0, 9, g], Connect::new(&names.id)),
    },
    Kind {
        spec: "from = \"user_property\"\nproperty = \"tenant\"",
        key: |g| format!("group-{g}"),
        client: |_, names| {
            let connect = v5(&names.id);
            (
                HOME,
                Connect {
                    properties: &names.properties,
                    ..connect
                },
            )
        },
    },
];

#[test]
fn every_kind_of_key_sticks() {
    if !met(NEEDS) {
        return;
    }
    let brokers = Brokers::new(3);
    for Kind { spec, key, client } in KINDS {
        let pool = format!("[pool.brokers.key]\n{spec}\n[pool.brokers.stick]\n{HEALTH}");
        let file = config(FRONT, &pool, &brokers.addresses());
        let lb = Lb::start(&brokers.ns, DataPath::Copy, &file);
        let mut used = Vec::new();
        for g in 1..=3 {
            let place = |n: u8| {
                let group = format!("group-{g}");
                let names = Names {
                    id: format!("{group}/pump/{n}"),
                    properties: [("tenant".to_owned(), group.clone())],
                    group,
                };
                let (source, connect) = client(g, &names);
                brokers.place(source, &connect)
            };
            let places: Vec<usize> = (0..4).map(place).collect();
            assert_eq!(places, [places[0]; 4], "{spec}: group {g}");
            used.push(places[0]);
            let table = lb.admin_ok(&["table", "show", "brokers"]);
            assert!(
                table.contains(&format!("key={} ", key(g))),
                "{spec}: {table}"
            );
        }
        used.sort_unstable();
        assert_eq!(used, [1, 2, 3], "{spec}: groups are apart");
        let table = lb.admin_ok(&["table", "show", "brokers"]);
        assert!(table.contains("used:3"), "{spec}: {table}");
    }
}

#[test]
fn clients_without_the_field_are_those_with_an_empty_id() {
    if !met(NEEDS) {
        return;
    }
    let brokers = Brokers::new(2);
    let start = |empty: &str| {
        let pool = format!(
            "empty_client_id = \"{empty}\"\n[pool.brokers.key]\nfrom = \"username\"\n\
             [pool.brokers.stick]\n{HEALTH}"
        );
        let file = config(FRONT, &pool, &brokers.addresses());
        Lb::start(&brokers.ns, DataPath::Copy, &file)
    };
    let bare = |source| brokers.place(source, &Connect::new("bare"));
    {
        let lb = start("balance");
        let places = [(); 4].map(|()| bare(HOME));
        assert_ne!(places, [places[0]; 4], "balanced anew each time");
        let table = lb.admin_ok(&["table", "show", "brokers"]);
        assert!(table.contains("used:0"), "{table}");
        let long = "x".repeat(20_000);
        let will = [b'w'; 65_000];
        let late = Connect {
            will: Some(("t", &will)),
            ..user(&long, "ann")
        };
        brokers.serve(HOME, &late);
        let table = lb.admin_ok(&["table", "show", "brokers"]);
        assert!(
            table.contains("used:0"),
            "the username came too late: {table}"
        );
        brokers.serve(HOME, &user(&long, "ann"));
        let table = lb.admin_ok(&["table", "show", "brokers"]);
        assert!(table.contains("key=ann "), "it is there in time: {table}");
    }
    {
        let _lb = start("source");
        for source in [[127, 0, 9, 1], [127, 0, 9, 2]] {
            let places = [(); 4].map(|()| bare(source));
            assert_eq!(places, [places[0]; 4]);
        }
    }
    let lb = start("reject");
    let refused = Client::connect(
        brokers.ns.connect(FRONT).expect("connect"),
        &Connect::new("bare"),
    );
    assert!(refused.is_err());
    let labels = [("reason", "empty_client_id")];
    assert_eq!(lb.metrics().sum("mqttlb_refused_total", &labels), 1.0);
    brokers.serve(HOME, &user("", "ann"));
}

#[test]
fn a_changed_key_empties_the_table() {
    if !met(NEEDS) {
        return;
    }
    let brokers = Brokers::new(2);
    let file = |key: &str| {
        let pool = format!("{key}\n[pool.brokers.stick]\n{HEALTH}");
        config(FRONT, &pool, &brokers.addresses())
    };
    let lb = Lb::start(&brokers.ns, DataPath::Copy, &file(""));
    let used = || {
        let table = lb.admin_ok(&["table", "show", "brokers"]);
        let (_, used) = table.split_once("used:").expect("a size");
        used.lines().next().expect("a line").to_owned()
    };
    brokers.place(HOME, &user("c1", "ann"));
    brokers.place(HOME, &user("c2", "ann"));
    assert_eq!(lb.reload(), "ok");
    assert_eq!(used(), "2", "the same key: nothing is lost");
    lb.write_config(&file("key.from = \"username\""));
    assert_eq!(lb.reload(), "ok");
    assert_eq!(used(), "0");
    assert!(
        lb.log()
            .contains("the 2 entries of its stick table are gone")
    );
    brokers.place(HOME, &user("c1", "ann"));
    brokers.place(HOME, &user("c2", "ann"));
    assert_eq!(used(), "1");
}

#[test]
fn flows_that_were_taken_over_bring_back_the_right_keys_only() {
    if !met(NEEDS) || !met(splice::NEEDS) {
        return;
    }
    let lab = Lab::new();
    let broker = Mosquitto::start(&lab.backend, splice::broker(false), "");
    for (spec, expected) in [
        ("", "key=dev:1 "),
        ("key.strip_prefix = \"dev:\"", "key=1 "),
        ("key.from = \"username\"", "used:0"),
    ] {
        let pool = format!("{spec}\n[pool.brokers.stick]\n{HEALTH}");
        let file = lb::config(splice::front(false), &pool, &[broker.address]);
        let mut lb = Lb::start(&lab.lb, DataPath::Splice, &file);
        let stream = lab.client.connect(splice::front(false)).expect("connect");
        let mut client = Client::connect(stream, &user("dev:1", "ann")).expect("CONNACK");
        splice::wait_spliced(&lb, 1, SHORT);
        lb.process.kill();
        lb.process.wait(SHORT);
        lb.start_again();
        splice::wait_spliced(&lb, 1, SHORT);
        client.ping().expect("ping");
        let table = lb.admin_ok(&["table", "show", "brokers"]);
        assert!(table.contains(expected), "{spec}: {table}");
        client.disconnect().expect("disconnect");
        splice::wait_spliced(&lb, 0, SHORT);
    }
}
