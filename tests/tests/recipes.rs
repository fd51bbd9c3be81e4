//! The two published recipes, as `docs/recipes.md` has them, through `mqtt-lb import`
//! and in front of a real cluster, with clients that somebody else wrote.

use std::path::Path;
use std::time::Duration;

use mqtt_lb_tests::brokers::ejabberd::{self, Ejabberd};
use mqtt_lb_tests::imported::{Imported, haproxy_check};
use mqtt_lb_tests::mosquitto_clients::{self as clients, Who, publish, subscribe};
use mqtt_lb_tests::netns::Netns;
use mqtt_lb_tests::require::{Need, met, say};
use mqtt_lb_tests::solo::{FRONT, backend};
use mqtt_lb_tests::wait;

const NODES: [u8; 3] = [1, 2, 3];
const IDS: [&str; 6] = [
    "sensor-1", "sensor-2", "sensor-3", "meter-4", "meter-5", "gate-6",
];
const SHORT: Duration = Duration::from_secs(20);

/// The recipe in `language`, with the cluster of the test for its servers.
fn recipe(language: &str) -> String {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/recipes.md");
    let page = std::fs::read_to_string(page).expect("the page of recipes");
    let behind = page
        .split_once(&format!("```{language}\n"))
        .expect("a block")
        .1;
    let mut text = behind.split_once("```").expect("its end").0.to_owned();
    for n in NODES {
        let there = text.contains(&format!("10.0.0.{n}:1883"));
        assert!(there, "server {n} of the recipe");
        text = text.replace(&format!("10.0.0.{n}:1883"), &backend(n).to_string());
    }
    // The brokers are on loopback addresses, too: not on every address of the host.
    text.replace("bind *:1883", &format!("bind {FRONT}"))
        .replace("listen 1883", &format!("listen {FRONT}"))
        .replace("/run/haproxy/admin.sock", "DIR/admin.sock")
}

fn needs() -> bool {
    met(ejabberd::NEEDS) && met(clients::NEEDS)
}

/// How often each node has had the client `id`, by the sessions it has logged.
fn visits(cluster: &Ejabberd<'_>, id: &str) -> Vec<usize> {
    let all = NODES.map(|node| cluster.log(usize::from(node)));
    let opened = format!("/{id}");
    all.iter().map(|log| log.matches(&opened).count()).collect()
}

/// Every client subscribes, gets a message, goes away, misses one, and gets it when it
/// is back.
fn clients_come_back(ns: &Netns, round: &str) {
    let dir = tempfile::TempDir::new().expect("temporary directory");
    for id in IDS {
        let who = Who { id, user: "user" };
        let other = Who {
            id: &format!("to-{id}"),
            user: "user",
        };
        let topic = format!("{round}/{id}");
        let mut first = subscribe(ns, dir.path(), FRONT, who, &topic);
        publish(ns, FRONT, other, &topic, "while there");
        first.wait_line("while there", SHORT);
        first.signal(libc::SIGTERM);
        first.wait(SHORT);
        publish(ns, FRONT, other, &topic, "while away");
        let mut again = subscribe(ns, dir.path(), FRONT, who, &topic);
        again.wait_line("while away", SHORT);
    }
}

#[test]
fn haproxy_with_a_stick_table() {
    if !needs() || !met(&[Need::Program("haproxy")]) {
        return;
    }
    let ns = Netns::new("recipes");
    let source = recipe("haproxy");
    let check = haproxy_check(&ns, &source);
    let error = String::from_utf8_lossy(&check.stderr);
    assert!(check.status.success(), "HAProxy takes the recipe: {error}");

    let cluster = Ejabberd::start(&ns, &NODES.map(backend));
    let lb = Imported::start(&ns, "haproxy.cfg", &source);
    assert_eq!(lb.code, Some(0), "{}", lb.notes);
    all_up(&lb);
    clients_come_back(&ns, "haproxy");

    // As the article shows it: the head, and one line for each client.
    let table = lb.admin(&["table", "show", "emqx"]);
    let used = IDS.len() * 2;
    let head = format!("# table: emqx, type: string, size:102400, used:{used}");
    assert_eq!(table.lines().next(), Some(head.as_str()), "{table}");
    let mut nodes = std::collections::BTreeSet::new();
    for id in IDS {
        let row = table
            .lines()
            .find(|line| line.contains(&format!(" key={id} ")));
        let row = row.unwrap_or_else(|| panic!("{id} in {table}"));
        let node = row.rsplit("server_key=emqx").next().unwrap_or_default();
        let node: usize = node.parse().unwrap_or_else(|_| panic!("{row}"));
        assert!(
            row.starts_with("0x") && row.contains(&format!(" server_id={node} ")),
            "{row}"
        );
        wait::for_true("the node of the table has the client", SHORT, || {
            visits(&cluster, id)[node - 1] > 0
        });
        let visits = visits(&cluster, id);
        let elsewhere = visits.iter().sum::<usize>() - visits[node - 1];
        assert_eq!(elsewhere, 0, "{row}: sessions on each node: {visits:?}");
        nodes.insert(node);
        say(&format!("  {row}"));
    }
    assert_eq!(nodes.len(), NODES.len(), "all nodes are used: {table}");
    lb.stop();
}

#[test]
fn nginx_with_a_consistent_hash() {
    if !needs() {
        return;
    }
    let ns = Netns::new("recipes");
    let _cluster = Ejabberd::start(&ns, &NODES.map(backend));
    let source = recipe("nginx");
    let lb = Imported::start(&ns, "nginx.conf", &source);
    assert_eq!(lb.code, Some(0), "{}", lb.notes);
    clients_come_back(&ns, "nginx");
    lb.stop();
}

fn all_up(lb: &Imported<'_>) {
    wait::for_true("all backends should be up", SHORT, || {
        let list = lb.admin(&["backend", "list"]);
        list.lines().filter(|line| line.contains(" up")).count() == NODES.len()
    });
}
