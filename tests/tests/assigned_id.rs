//! Clients without an id get one of their broker (MQTT 5) and come back with it: to the
//! broker that knows it, on every path.

use std::time::Duration;

use mqtt_lb_tests::brokers::mosquitto::Mosquitto;
use mqtt_lb_tests::lb::{DataPath, Lb, config};
use mqtt_lb_tests::mqtt::{Client, Connect, V5};
use mqtt_lb_tests::netns::Netns;
use mqtt_lb_tests::require::{Need, met, say};
use mqtt_lb_tests::solo::{FRONT, backend};
use mqtt_lb_tests::wait;

const NEEDS: &[Need] = &[
    Need::Root,
    Need::Program("ip"),
    Need::Program("mosquitto"),
    Need::Bpf,
];
const NODES: [u8; 3] = [1, 2, 3];
const CLIENTS: usize = 12;
const STICK: &str = "[pool.brokers.stick]\nsize = 1000\n";
/// The splice path keeps 40 bytes of an id; with mosquitto's own prefix it has 41.
const SHORT: &str = "auto_id_prefix a-";
const HEALTH: &str = "[pool.brokers.health]\ntype = \"off\"\n";

fn connect(ns: &Netns, id: &str) -> Client {
    let connect = Connect {
        level: V5,
        clean: id.is_empty(),
        expiry: Some(600),
        ..Connect::new(id)
    };
    Client::connect(ns.connect(FRONT).expect("connect"), &connect).expect("CONNACK")
}

fn start<'a>(ns: &'a Netns, path: DataPath, keys: &str, stick: &str) -> Lb<'a> {
    let pool = format!("{keys}\n{stick}{HEALTH}");
    Lb::start(ns, path, &config(FRONT, &pool, &NODES.map(backend)))
}

/// Clients that have been given an id, and the ids.
fn newcomers(ns: &Netns) -> Vec<(Client, String)> {
    let newcomer = |_| {
        let mut client = connect(ns, "");
        client.ping().expect("ping");
        let id = client.assigned_id.clone().expect("an assigned id");
        (client, id)
    };
    (0..CLIENTS).map(newcomer).collect()
}

/// How many of these ids are known where they come back to. They come in another order
/// than they came in first: round robin must not be right by chance.
fn known(ns: &Netns, ids: &[String]) -> usize {
    let back = ids.iter().rev().filter(|id| {
        let mut client = connect(ns, id);
        client.ping().expect("ping");
        client.session_present
    });
    back.count()
}

#[test]
fn who_was_given_an_id_comes_back_to_who_gave_it() {
    if !met(NEEDS) {
        return;
    }
    for path in DataPath::PURE {
        let ns = Netns::new("assigned");
        let brokers = NODES.map(|n| Mosquitto::start(&ns, backend(n), SHORT));
        let lb = start(&ns, path, "balance = \"roundrobin\"", STICK);
        let clients = newcomers(&ns);
        // Nothing is lost on the way: the CONNACK comes before the hand-over.
        let on = [("path", path.label())];
        let all = |flows: f64| flows == CLIENTS as f64;
        lb.wait_metric("mqttlb_datapath_flows", &on, Duration::from_secs(20), all);
        let ids: Vec<String> = clients.iter().map(|(_, id)| id.clone()).collect();
        let flows = lb.admin_ok(&["flows", "list"]);
        for id in &ids {
            assert!(flows.contains(id.as_str()), "{id} is not in\n{flows}");
        }
        drop(clients);
        let sticky = known(&ns, &ids);
        assert_eq!(sticky, CLIENTS, "{path:?}");
        let metrics = lb.metrics();
        assert_eq!(
            metrics.sum("mqttlb_assigned_ids_total", &[]),
            CLIENTS as f64
        );
        let hits = metrics.sum("mqttlb_sticky_total", &[("result", "hit")]);
        assert_eq!(hits, CLIENTS as f64);
        wait::for_true("the log should name them", Duration::from_secs(10), || {
            let log = lb.log();
            ids.iter().all(|id| log.contains(&format!("id=\"{id}\"")))
        });
        drop(lb);

        let _lb = start(&ns, path, "balance = \"roundrobin\"", "");
        let ids: Vec<String> = newcomers(&ns).into_iter().map(|(_, id)| id).collect();
        let moving = known(&ns, &ids);
        say(&format!(
            "assigned ids ({path:?}): {sticky} of {CLIENTS} come back to their session with the \
             stick table, {moving} with round robin alone"
        ));
        assert!(moving < CLIENTS, "the test could not have failed");
        drop(brokers);
    }
}

#[test]
fn an_answer_that_nobody_waited_for_is_learned_too() {
    if !met(NEEDS) {
        return;
    }
    let ns = Netns::new("assigned");
    let brokers = NODES.map(|n| Mosquitto::start(&ns, backend(n), SHORT));
    // No code sends a client on, so its CONNACK is not waited for.
    let keys = "balance = \"roundrobin\"\nfailover_codes = []";
    let lb = start(&ns, DataPath::Copy, keys, STICK);
    let stop = |signal| brokers.iter().for_each(|b| b.process.signal(signal));
    stop(libc::SIGSTOP);
    let ids: Vec<String> = std::thread::scope(|scope| {
        let one = || connect(&ns, "").assigned_id.expect("an assigned id");
        let clients: Vec<_> = (0..CLIENTS).map(|_| scope.spawn(one)).collect();
        let sessions = |n: f64| n == CLIENTS as f64;
        lb.wait_metric(
            "mqttlb_sessions_total",
            &[],
            Duration::from_secs(20),
            sessions,
        );
        stop(libc::SIGCONT);
        clients
            .into_iter()
            .map(|c| c.join().expect("a client"))
            .collect()
    });
    assert_eq!(known(&ns, &ids), CLIENTS);
}

#[test]
fn the_next_process_knows_them() {
    if !met(NEEDS) {
        return;
    }
    let ns = Netns::new("assigned");
    let _brokers = NODES.map(|n| Mosquitto::start(&ns, backend(n), SHORT));
    let mut lb = start(&ns, DataPath::Splice, "balance = \"roundrobin\"", STICK);
    let clients = newcomers(&ns);
    let on = [("path", "splice")];
    let all = |flows: f64| flows == CLIENTS as f64;
    lb.wait_metric("mqttlb_datapath_flows", &on, Duration::from_secs(20), all);
    lb.process.kill();
    lb.start_again();
    lb.wait_metric("mqttlb_datapath_flows", &on, Duration::from_secs(20), all);
    let ids: Vec<String> = clients.iter().map(|(_, id)| id.clone()).collect();
    drop(clients);
    assert_eq!(known(&ns, &ids), CLIENTS);
}
