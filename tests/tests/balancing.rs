//! Where new clients go, in front of real brokers: every balance, its bound, weights,
//! slow start and backups.

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use mqtt_lb_tests::brokers::mosquitto::Mosquitto;
use mqtt_lb_tests::lb::{self, DataPath, Lb, config};
use mqtt_lb_tests::mqtt::{Client, Connect};
use mqtt_lb_tests::netns::Netns;
use mqtt_lb_tests::require::{Need, met, say};
use mqtt_lb_tests::solo::{FRONT, backend};
use mqtt_lb_tests::wait;

const NEEDS: &[Need] = &[Need::Root, Need::Program("ip"), Need::Program("mosquitto")];
const WAIT: Duration = Duration::from_secs(20);
const CHECKS: &str = "[pool.brokers.health]\ntype = \"off\"\n";

/// One namespace with mosquittos at `b1`, `b2`, ...
struct Net {
    brokers: Vec<Mosquitto>,
    ns: Netns,
}

impl Net {
    fn new(count: u8) -> Self {
        let ns = Netns::new("balancing");
        let brokers = (1..=count)
            .map(|n| Mosquitto::start(&ns, backend(n), ""))
            .collect();
        Self { brokers, ns }
    }

    fn start(&self, pool: &str) -> Lb<'_> {
        Lb::start(&self.ns, DataPath::Copy, &self.config(pool))
    }

    fn config(&self, pool: &str) -> String {
        let backends: Vec<_> = self.brokers.iter().map(|broker| broker.address).collect();
        config(FRONT, pool, &backends)
    }

    /// Connects a client that no broker has seen, and says which broker (from 1) says
    /// that it has it now.
    fn place_from(&self, source: IpAddr, id: &str) -> (Client, usize) {
        let stream = self.ns.connect_from(source, FRONT).expect("connect");
        let mut client = Client::connect(stream, &Connect::new(id)).expect(id);
        client.ping().expect(id);
        let has = |broker: &Mosquitto| broker.process.log().contains(&format!(" as {id} ("));
        let place = self.brokers.iter().position(has);
        (client, place.expect("a broker that has it") + 1)
    }

    fn place(&self, id: &str) -> (Client, usize) {
        self.place_from(Ipv4Addr::LOCALHOST.into(), id)
    }

    /// Connects clients that stay, and counts them by broker.
    fn spread(&self, prefix: &str, count: usize, clients: &mut Vec<Client>) -> Vec<usize> {
        let mut places = vec![0; self.brokers.len()];
        for n in 0..count {
            let (client, place) = self.place(&format!("{prefix}{n}"));
            clients.push(client);
            places[place - 1] += 1;
        }
        places
    }
}

#[test]
fn two_draws_keep_the_loads_close() {
    if !met(NEEDS) {
        return;
    }
    let net = Net::new(3);
    let _lb = net.start(&format!("balance = \"random\"\n{CHECKS}"));
    let mut clients = Vec::new();
    let places = net.spread("r", 60, &mut clients);
    say(&format!("random, 60 clients on 3 brokers: {places:?}"));
    // By one draw each this spread is as likely as not; by two it is out of reach.
    assert!(places.iter().all(|n| (17..=23).contains(n)), "{places:?}");
}

#[test]
fn an_address_has_its_backend_whatever_the_client_id() {
    if !met(NEEDS) {
        return;
    }
    let net = Net::new(3);
    let lb = net.start(&format!("balance = \"source\"\n{CHECKS}"));
    let mut homes = Vec::new();
    for host in 1..=12 {
        let source = Ipv4Addr::new(127, 0, 1, host).into();
        let (_, first) = net.place_from(source, &format!("s{host}a"));
        let (_, second) = net.place_from(source, &format!("s{host}b"));
        assert_eq!(first, second, "127.0.1.{host}");
        homes.push(first);
    }
    assert!((1..=3).all(|n| homes.contains(&n)), "{homes:?}");
    // Out for maintenance and back: its clients come home, nobody else has moved.
    lb.admin_ok(&["backend", "maint", "brokers/b1"]);
    for (host, home) in (1..).zip(&homes) {
        let source = Ipv4Addr::new(127, 0, 1, host).into();
        let (_, place) = net.place_from(source, &format!("s{host}c"));
        assert_eq!(place == *home, *home != 1, "127.0.1.{host}");
    }
    lb.admin_ok(&["backend", "ready", "brokers/b1"]);
    for (host, home) in (1..).zip(&homes) {
        let source = Ipv4Addr::new(127, 0, 1, host).into();
        assert_eq!(net.place_from(source, &format!("s{host}d")).1, *home);
    }
}

#[test]
fn a_bound_spills_over_what_is_too_much_for_the_owner() {
    if !met(NEEDS) {
        return;
    }
    let net = Net::new(3);
    let unbounded = format!("balance = \"hash\"\n{CHECKS}");
    let lb = net.start(&unbounded);
    // Ids that all belong to one broker, seen by trying.
    let hot: Vec<String> = (0..)
        .map(|n| format!("h{n}"))
        .filter(|id| net.place(id).1 == 1)
        .take(24)
        .collect();
    let open = || lb.metrics().sum("mqttlb_backend_connections", &[]);
    wait::for_true("they should be gone", WAIT, || open() == 0.0);
    lb.write_config(&net.config(&format!("balance = \"hash\"\nbounded_load = 125\n{CHECKS}")));
    assert_eq!(lb.reload(), "ok");
    let mut clients = Vec::new();
    for (before, id) in (0_u64..).zip(&hot) {
        clients.push(Client::connect(
            net.ns.connect(FRONT).expect("connect"),
            &Connect::new(id),
        ));
        let metrics = lb.metrics();
        let most = ((before + 1) * 125).div_ceil(100).div_ceil(3).max(1) as f64;
        for name in ["b1", "b2", "b3"] {
            let labels = [("backend", name)];
            let now = metrics.gauge("mqttlb_backend_connections", &labels);
            assert!(now <= most, "{name} has {now} of {before} + 1, over {most}");
        }
    }
    assert!(clients.iter().all(Result::is_ok));
    let labels = [("backend", "b1")];
    let owner = lb.metrics().gauge("mqttlb_backend_connections", &labels);
    assert!(owner >= 9.0, "the owner has only {owner}: its bound is 10");
}

#[test]
fn a_weight_that_changes_at_run_time_holds_until_the_file_has_another_one() {
    if !met(NEEDS) {
        return;
    }
    let net = Net::new(2);
    let lb = net.start(CHECKS);
    let mut clients = Vec::new();
    lb.admin_ok(&["backend", "weight", "brokers/b1", "3"]);
    assert_eq!(net.spread("a", 8, &mut clients), [6, 2]);
    lb.write_config(&net.config(CHECKS));
    assert_eq!(lb.reload(), "ok");
    assert_eq!(
        net.spread("b", 8, &mut clients),
        [6, 2],
        "the file says 1 as before"
    );
    lb.admin_ok(&["backend", "weight", "brokers/b1", "0"]);
    assert_eq!(net.spread("c", 4, &mut clients), [0, 4]);
    let file = net.config(CHECKS).replacen("weight = 1", "weight = 2", 1);
    lb.write_config(&file);
    assert_eq!(lb.reload(), "ok");
    assert_eq!(net.spread("d", 6, &mut clients), [4, 2]);
    let bad = lb.admin(&["backend", "weight", "brokers/b9", "1"]);
    assert!(!bad.status.success());
}

#[test]
fn a_backend_that_comes_up_starts_slowly() {
    if !met(NEEDS) {
        return;
    }
    let net = Net::new(2);
    // So slow that it has one percent during the whole test, however long that takes.
    let lb = net.start(&format!("slow_start = \"1d\"\n{CHECKS}"));
    let mut clients = Vec::new();
    assert_eq!(
        net.spread("a", 6, &mut clients),
        [3, 3],
        "not when the balancer starts"
    );
    lb.admin_ok(&["backend", "drain", "brokers/b1"]);
    lb.admin_ok(&["backend", "ready", "brokers/b1"]);
    assert_eq!(
        net.spread("b", 6, &mut clients),
        [3, 3],
        "not after a drain"
    );
    lb.admin_ok(&["backend", "maint", "brokers/b1"]);
    lb.admin_ok(&["backend", "ready", "brokers/b1"]);
    let shown = lb.admin_ok(&["backend", "list"]);
    assert!(shown.contains(" 1@1% "), "{shown}");
    let places = net.spread("c", 40, &mut clients);
    assert!(places[0] <= 2, "{places:?} with one percent of the weight");
    lb.write_config(&net.config(CHECKS));
    assert_eq!(lb.reload(), "ok");
    let places = net.spread("d", 6, &mut clients);
    assert_eq!(places, [3, 3], "without slow start it has its weight");
}

#[test]
fn a_backup_serves_when_nobody_else_does() {
    if !met(NEEDS) {
        return;
    }
    let net = Net::new(2);
    let pool = "[pool.brokers.stick]\nsize = 1000\n[pool.brokers.health]\ntype = \"off\"\n";
    let only = config(FRONT, pool, &[backend(1)]);
    let backup = lb::backend("b2", backend(2), 1) + "backup = true\n";
    let lb = Lb::start(&net.ns, DataPath::Copy, &(only + &backup));
    let mut clients = Vec::new();
    assert_eq!(net.spread("a", 4, &mut clients), [4, 0]);
    let shown = lb.admin_ok(&["backend", "list"]);
    assert!(shown.contains(" ready/backup "), "{shown}");
    lb.admin_ok(&["backend", "drain", "brokers/b1"]);
    assert_eq!(net.spread("b", 4, &mut clients), [0, 4]);
    lb.admin_ok(&["backend", "ready", "brokers/b1"]);
    assert_eq!(net.spread("c", 4, &mut clients), [4, 0]);
}
