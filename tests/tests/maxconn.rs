//! Backends with a limit on their connections, in front of real brokers: nobody gets
//! beyond it on any data path, and who waits is served in order.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::thread;
use std::time::Duration;

use mqtt_lb_tests::brokers::mosquitto::Mosquitto;
use mqtt_lb_tests::lb::{self, DataPath, Lb, config};
use mqtt_lb_tests::mqtt::{Client, Connect};
use mqtt_lb_tests::netns::Netns;
use mqtt_lb_tests::require::{Need, met};
use mqtt_lb_tests::solo::{FRONT, Solo, backend};
use mqtt_lb_tests::wait;

const NEEDS: &[Need] = &[Need::Root, Need::Program("ip"), Need::Program("mosquitto")];
const WAIT: Duration = Duration::from_secs(20);
const CHECKS: &str = "[pool.brokers.health]\ntype = \"off\"\n";

/// The pool `brokers` with these limits for `b1`, `b2`, ...
fn limited(pool: &str, limits: &[u64]) -> String {
    let backends: String = (1..)
        .zip(limits)
        .map(|(n, most)| {
            let text = lb::backend(&format!("b{n}"), backend(n), 1);
            format!("{text}maxconn = {most}\n")
        })
        .collect();
    config(FRONT, pool, &[]) + &backends
}

fn brokers(ns: &Netns, count: u8) -> Vec<Mosquitto> {
    (1..=count)
        .map(|n| Mosquitto::start(ns, backend(n), ""))
        .collect()
}

/// How often a broker has taken this client, as it says itself.
fn taken(broker: &Mosquitto, id: &str) -> usize {
    broker.process.log().matches(&format!(" as {id} (")).count()
}

fn taken_by_all(broker: &Mosquitto) -> usize {
    broker.process.log().matches("New client connected").count()
}

fn client(ns: &Netns, id: &str) -> io::Result<Client> {
    let mut client = Client::connect(ns.connect(FRONT)?, &Connect::new(id))?;
    client.ping()?;
    Ok(client)
}

/// A client that has sent its CONNECT and waits for what comes.
fn knock(ns: &Netns, id: &str) -> TcpStream {
    let mut stream = ns.connect(FRONT).expect("connect");
    stream
        .write_all(&Connect::new(id).encode())
        .expect("CONNECT");
    stream.set_read_timeout(Some(WAIT)).expect("timeout");
    stream
}

/// What a client gets that has knocked: a CONNACK that accepts, or nothing but the end.
fn is_served(stream: &mut TcpStream) -> bool {
    let mut connack = [0; 4];
    match stream.read_exact(&mut connack) {
        Ok(()) => connack == [0x20, 2, 0, 0],
        Err(error) => {
            let timeout = error.kind() == io::ErrorKind::WouldBlock;
            assert!(!timeout, "neither an answer nor the end");
            false
        }
    }
}

fn waiting(lb: &Lb<'_>, count: f64) {
    lb.wait_metric("mqttlb_queue_clients", &[], WAIT, |now| now == count);
}

fn refused(lb: &Lb<'_>, reason: &str) -> f64 {
    let labels = [("reason", reason)];
    lb.metrics().sum("mqttlb_refused_total", &labels)
}

#[test]
fn nobody_gets_beyond_the_limit_on_any_path() {
    if !met(NEEDS) {
        return;
    }
    for path in DataPath::PURE {
        let ns = Netns::new("maxconn");
        let brokers = brokers(&ns, 2);
        let lb = Lb::start(&ns, path, &limited(CHECKS, &[3, 3]));
        // All at once: places are given away before anybody is dialled.
        let clients: Vec<Client> = thread::scope(|scope| {
            let tries: Vec<_> = (0..24)
                .map(|n| {
                    scope.spawn({
                        let ns = &ns;
                        move || client(ns, &format!("c{n}")).ok()
                    })
                })
                .collect();
            let clients = tries.into_iter().map(|t| t.join().expect("a client"));
            clients.flatten().collect()
        });
        assert_eq!(clients.len(), 6, "{path:?}");
        assert_eq!(refused(&lb, "maxconn"), 18.0, "{path:?}");
        for (broker, name) in brokers.iter().zip(["b1", "b2"]) {
            assert_eq!(taken_by_all(broker), 3, "{path:?}: {name}");
            let labels = [("backend", name)];
            let now = lb.metrics().gauge("mqttlb_backend_connections", &labels);
            assert_eq!(now, 3.0, "{path:?}: {name}");
        }
        // Flows that the kernel has count, too.
        let labels = [("path", path.label())];
        lb.wait_metric("mqttlb_datapath_flows", &labels, WAIT, |now| now == 6.0);
        assert!(client(&ns, "late").is_err(), "{path:?}");
        let shown = lb.admin_ok(&["backend", "list"]);
        assert_eq!(shown.matches(" 3/3\n").count(), 2, "{shown}");
        drop(clients);
        let back = wait::until("a place should get free", WAIT, || client(&ns, "late").ok());
        drop(back);
        assert_eq!(brokers.iter().map(|b| taken(b, "late")).sum::<usize>(), 1);
    }
}

/// Clients that hold the places of `b1`, and clients of the stick table.
struct Home<'a> {
    ns: &'a Netns,
    lb: Lb<'a>,
}

impl<'a> Home<'a> {
    /// `b1` has one place, which is taken; `b2` has many.
    fn full(ns: &'a Netns, queue: &str) -> (Self, Client) {
        let pool = format!("[pool.brokers.stick]\nsize = 1000\n{queue}{CHECKS}");
        let lb = Lb::start(ns, DataPath::Copy, &limited(&pool, &[1, 100]));
        let home = Self { ns, lb };
        home.belongs("holder");
        home.belongs("sticky");
        let holder = client(ns, "holder").expect("holder");
        (home, holder)
    }

    fn belongs(&self, id: &str) {
        self.lb.admin_ok(&["table", "set", "brokers", id, "b1"]);
    }

    /// Where the table sends the client.
    fn entry(&self, id: &str) -> String {
        let shown = self.lb.admin_ok(&["table", "show", "brokers", "--key", id]);
        let name = shown.split_once("server_key=").expect("an entry").1;
        name.split_whitespace().next().expect("a name").to_owned()
    }
}

#[test]
fn without_a_queue_a_client_of_a_full_backend_goes_elsewhere_and_keeps_its_entry() {
    if !met(NEEDS) {
        return;
    }
    let ns = Netns::new("maxconn");
    let brokers = brokers(&ns, 2);
    let (home, holder) = Home::full(&ns, "");
    let guest = client(home.ns, "sticky").expect("a place at b2");
    assert_eq!([0, 1].map(|n| taken(&brokers[n], "sticky")), [0, 1]);
    assert_eq!(home.entry("sticky"), "b1");
    guest.disconnect().expect("DISCONNECT");
    holder.disconnect().expect("DISCONNECT");
    let labels = [("backend", "b1")];
    home.lb
        .wait_metric("mqttlb_backend_connections", &labels, WAIT, |now| {
            now == 0.0
        });
    let _home = client(home.ns, "sticky").expect("its own place");
    assert_eq!([0, 1].map(|n| taken(&brokers[n], "sticky")), [1, 1]);
    let log = home.lb.log();
    assert!(
        log.contains("id=\"sticky\" level=4 keepalive=60 connack=0 sticky=moved"),
        "{log}"
    );
}

#[test]
fn a_client_waits_for_its_own_backend_though_another_one_has_room() {
    if !met(NEEDS) {
        return;
    }
    let ns = Netns::new("maxconn");
    let brokers = brokers(&ns, 2);
    let (home, holder) = Home::full(&ns, "[pool.brokers.queue]\ntimeout = \"1h\"\n");
    let mut sticky = knock(&ns, "sticky");
    waiting(&home.lb, 1.0);
    let _new = client(&ns, "new").expect("who belongs nowhere need not wait");
    assert_eq!([0, 1].map(|n| taken(&brokers[n], "sticky")), [0, 0]);
    holder.disconnect().expect("DISCONNECT");
    assert!(is_served(&mut sticky));
    assert_eq!([0, 1].map(|n| taken(&brokers[n], "sticky")), [1, 0]);
    let labels = [("result", "served")];
    assert_eq!(home.lb.metrics().sum("mqttlb_queue_total", &labels), 1.0);
    let waits = home
        .lb
        .metrics()
        .sum("mqttlb_queue_wait_seconds_count", &[]);
    assert_eq!(waits, 1.0);
}

#[test]
fn who_has_waited_in_vain_goes_elsewhere_and_keeps_its_entry() {
    if !met(NEEDS) {
        return;
    }
    let ns = Netns::new("maxconn");
    let brokers = brokers(&ns, 2);
    let (home, _holder) = Home::full(&ns, "[pool.brokers.queue]\ntimeout = \"300ms\"\n");
    let _guest = client(&ns, "sticky").expect("a place at b2");
    assert_eq!([0, 1].map(|n| taken(&brokers[n], "sticky")), [0, 1]);
    assert_eq!(home.entry("sticky"), "b1");
    let labels = [("result", "timeout")];
    assert_eq!(home.lb.metrics().sum("mqttlb_queue_total", &labels), 1.0);
}

#[test]
fn who_waits_for_a_backend_that_leaves_gets_another_one() {
    if !met(NEEDS) {
        return;
    }
    let ns = Netns::new("maxconn");
    let brokers = brokers(&ns, 2);
    let (home, _holder) = Home::full(&ns, "[pool.brokers.queue]\ntimeout = \"1h\"\n");
    let mut sticky = knock(&ns, "sticky");
    waiting(&home.lb, 1.0);
    home.lb.admin_ok(&["backend", "maint", "brokers/b1"]);
    assert!(is_served(&mut sticky));
    assert_eq!([0, 1].map(|n| taken(&brokers[n], "sticky")), [0, 1]);
    assert_eq!(
        home.entry("sticky"),
        "b2",
        "its backend was out: the entry moves"
    );
}

#[test]
fn the_queue_is_fair_and_bounded_and_forgets_who_leaves() {
    if !met(NEEDS) {
        return;
    }
    let ns = Netns::new("maxconn");
    let brokers = brokers(&ns, 1);
    let pool = format!("[pool.brokers.queue]\nsize = 3\ntimeout = \"1h\"\n{CHECKS}");
    let lb = Lb::start(&ns, DataPath::Copy, &limited(&pool, &[1]));
    let holder = client(&ns, "holder").expect("the only place");
    let mut line: Vec<TcpStream> = (0..3)
        .map(|n| {
            let stream = knock(&ns, &format!("w{n}"));
            waiting(&lb, f64::from(n + 1));
            stream
        })
        .collect();
    assert!(!is_served(&mut knock(&ns, "one-too-many")));
    assert_eq!(refused(&lb, "queue_full"), 1.0);
    drop(line.remove(1));
    waiting(&lb, 2.0);
    line.push(knock(&ns, "w3"));
    waiting(&lb, 3.0);
    drop(holder);
    for mut client in line {
        assert!(is_served(&mut client));
    }
    let log = brokers[0].process.log();
    let order = ["holder", "w0", "w2", "w3"].map(|id| log.find(&format!(" as {id} (")));
    assert!(
        order.is_sorted() && order.iter().all(Option::is_some),
        "{log}"
    );
    assert_eq!(taken(&brokers[0], "w1"), 0, "it had left");
    for (result, count) in [
        ("served", 3.0),
        ("left", 1.0),
        ("full", 1.0),
        ("timeout", 0.0),
    ] {
        let labels = [("result", result)];
        assert_eq!(
            lb.metrics().gauge("mqttlb_queue_total", &labels),
            count,
            "{result}"
        );
    }
}

#[test]
fn who_waits_too_long_for_the_only_backend_is_refused() {
    if !met(NEEDS) {
        return;
    }
    let ns = Netns::new("maxconn");
    let _brokers = brokers(&ns, 1);
    let pool = format!("[pool.brokers.queue]\ntimeout = \"100ms\"\n{CHECKS}");
    let lb = Lb::start(&ns, DataPath::Copy, &limited(&pool, &[1]));
    let _holder = client(&ns, "holder").expect("the only place");
    assert!(!is_served(&mut knock(&ns, "late")));
    assert_eq!(refused(&lb, "queue_timeout"), 1.0);
    waiting(&lb, 0.0);
}

#[test]
fn a_reload_that_gives_more_places_serves_who_waits() {
    if !met(NEEDS) {
        return;
    }
    let ns = Netns::new("maxconn");
    let _brokers = brokers(&ns, 1);
    let pool = format!("[pool.brokers.queue]\ntimeout = \"1h\"\n{CHECKS}");
    let lb = Lb::start(&ns, DataPath::Copy, &limited(&pool, &[1]));
    let _holder = client(&ns, "holder").expect("the only place");
    let mut late = knock(&ns, "late");
    waiting(&lb, 1.0);
    lb.write_config(&limited(&pool, &[2]));
    assert_eq!(lb.reload(), "ok");
    assert!(is_served(&mut late));
    let mut more = knock(&ns, "more");
    waiting(&lb, 1.0);
    lb.write_config(&limited(CHECKS, &[2]));
    assert_eq!(lb.reload(), "ok");
    assert!(!is_served(&mut more), "there is no queue any more");
}

/// The broker sees nobody who waits, and then PROXY header and CONNECT as ever.
#[test]
fn a_client_that_has_waited_arrives_with_its_own_address() {
    if !met(NEEDS) {
        return;
    }
    let solo = Solo::new(1);
    let pool = format!("proxy_protocol = \"v2\"\n[pool.brokers.queue]\ntimeout = \"1h\"\n{CHECKS}");
    let lb = Lb::start(&solo.ns, DataPath::Copy, &limited(&pool, &[1]));
    let holder = solo.client("holder").expect("the only place");
    let mut late = knock(&solo.ns, "late");
    let address: SocketAddr = late.local_addr().expect("address");
    waiting(&lb, 1.0);
    assert_eq!(solo.brokers[0].open(), 1, "the broker knows nothing of it");
    drop(holder);
    assert!(is_served(&mut late));
    let visitors = solo.brokers[0].visitors();
    assert_eq!(visitors.len(), 2);
    assert_eq!(visitors[1].proxied, Some(address));
}
