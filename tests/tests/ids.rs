//! What operators are shown of client ids: takeovers on every data path, flapping, the
//! codes and times of CONNACKs, and who connects most often.

use std::time::Duration;

use mqtt_lb_tests::brokers::mosquitto::Mosquitto;
use mqtt_lb_tests::lab::Lab;
use mqtt_lb_tests::lb::{self, DataPath, Lb, config};
use mqtt_lb_tests::mqtt::{Client, Connect};
use mqtt_lb_tests::require::{Need, met};
use mqtt_lb_tests::solo::{FRONT, Solo, backend};
use mqtt_lb_tests::{splice, wait};

const NEEDS: &[Need] = &[Need::Root, Need::Program("ip"), Need::Program("mosquitto")];
const SHORT: Duration = Duration::from_secs(10);
const NO_CHECKS: &str = "[pool.brokers.health]\ntype = \"off\"";
const POOL: &[(&str, &str)] = &[("pool", "brokers")];

fn takeovers(lb: &Lb<'_>) -> f64 {
    lb.metrics().gauge("mqttlb_takeovers_total", POOL)
}

fn wait_flows(lb: &Lb<'_>, path: DataPath, count: f64) {
    let labels = [("path", path.label())];
    lb.wait_metric("mqttlb_datapath_flows", &labels, SHORT, |flows| {
        flows == count
    });
}

/// An id that is taken over, one that comes back after an orderly end, and a stranger.
fn taken_over(path: DataPath) {
    if !met(NEEDS) || !met(splice::NEEDS) {
        return;
    }
    let lab = Lab::new();
    let broker = Mosquitto::start(&lab.backend, splice::broker(false), "");
    let config = lb::config(splice::front(false), NO_CHECKS, &[broker.address]);
    let mut lb = Lb::start(&lab.lb, path, &config);
    let connect = |id| {
        let stream = lab.client.connect(splice::front(false)).expect("connect");
        let mut client = Client::connect(stream, &Connect::new(id)).expect("accepted");
        client.ping().expect("served");
        client
    };

    let first = connect("double");
    let orderly = connect("orderly");
    wait_flows(&lb, path, 2.0);
    let second = connect("double");
    assert_eq!(takeovers(&lb), 1.0);
    drop(first);
    orderly.disconnect().expect("disconnect");
    if path != DataPath::Splice {
        // Userspace has to notice the end. On the splice path the flow stays in the maps
        // for seconds, but is known to close with the packet that says so.
        lb.wait_metric("mqttlb_ids", &[("kind", "live")], SHORT, |ids| ids == 1.0);
    }
    let again = connect("orderly");
    let stranger = connect("stranger");
    assert_eq!(takeovers(&lb), 1.0, "it had closed");
    let top = lb.admin_ok(&["ids", "top"]);
    let row = row(&top, "double");
    assert_eq!(row[0], "2", "{top}");
    assert_eq!(row[3], "1", "{top}");

    if path == DataPath::Splice {
        // The one in question: flows that have closed are still counted.
        let address = second.stream().local_addr().expect("address").to_string();
        wait::for_true("it should be spliced", SHORT, || {
            let flows = splice::list(&lb);
            flows
                .iter()
                .any(|flow| flow.path == "splice" && flow.client == address)
        });
        lb.process.kill();
        lb.start_again();
        assert_eq!(takeovers(&lb), 0.0);
        let third = connect("double");
        assert_eq!(takeovers(&lb), 1.0, "of a flow of the process before");
        drop(third);
    }
    drop((second, again, stranger));
    lb.wait_metric("mqttlb_ids", &[("kind", "live")], SHORT, |ids| ids == 0.0);
}

#[test]
fn takeovers_are_seen_on_the_copy_path() {
    taken_over(DataPath::Copy);
}

#[test]
fn takeovers_are_seen_on_the_sockmap_path() {
    taken_over(DataPath::Sockmap);
}

#[test]
fn takeovers_are_seen_on_the_splice_path_and_of_adopted_flows() {
    taken_over(DataPath::Splice);
}

/// The cells of an id's row: connects, over, flaps, takeovers, last, pool, id.
fn row<'a>(top: &'a str, id: &str) -> Vec<&'a str> {
    let rows = top.lines().map(|line| line.split_whitespace().collect());
    rows.into_iter()
        .find(|cells: &Vec<&str>| cells.last() == Some(&id))
        .unwrap_or_else(|| panic!("no {id}:\n{top}"))
}

#[test]
fn codes_keepalives_and_times_are_counted() {
    if !met(NEEDS) {
        return;
    }
    let solo = Solo::new(0);
    let broker = Mosquitto::start(&solo.ns, backend(1), "clientid_prefixes good-");
    let config = config(FRONT, NO_CHECKS, &[broker.address]);
    let lb = Lb::start(&solo.ns, DataPath::Copy, &config);
    let mut connect = Connect::new("good-1");
    connect.keepalive = 25;
    let stream = solo.ns.connect(FRONT).expect("connect");
    let good = Client::connect(stream, &connect).expect("accepted");
    for _ in 0..2 {
        solo.client("bad-1").expect_err("refused by the broker");
    }
    let scrape = lb.metrics();
    let labels = [
        ("pool", "brokers"),
        ("code", "5"),
        ("reason", "not_authorized"),
    ];
    assert_eq!(scrape.gauge("mqttlb_connack_refused_total", &labels), 2.0);
    assert_eq!(scrape.gauge("mqttlb_connack_seconds_count", POOL), 3.0);
    let time = scrape.gauge("mqttlb_connack_seconds_sum", POOL);
    assert!(time > 0.0 && time < 30.0, "{time}");
    let below = |bound| scrape.sum("mqttlb_keepalive_seconds_bucket", &[("le", bound)]);
    assert_eq!(
        (below("10.0"), below("30.0"), below("60.0")),
        (0.0, 1.0, 3.0)
    );
    // Refused clients have no flow to be taken over.
    assert_eq!(takeovers(&lb), 0.0);
    assert_eq!(scrape.gauge("mqttlb_ids", &[("kind", "live")]), 1.0);
    drop(good);
}

#[test]
fn ids_that_come_back_too_soon_lead_the_list() {
    if !met(NEEDS) {
        return;
    }
    let solo = Solo::new(1);
    // The window is long enough for a slow machine.
    let small = "[ids]\ntop = 8\nflapping = \"1h\"\n";
    let text = small.to_owned() + &config(FRONT, NO_CHECKS, &solo.backends());
    let lb = Lb::start(&solo.ns, DataPath::Copy, &text);
    for n in 0..40 {
        drop(solo.place("flapping \"id\""));
        drop(solo.place(&format!("once-{n}")));
    }
    let flapping = lb.metrics().gauge("mqttlb_flapping_total", POOL);
    assert_eq!(flapping, 39.0);
    let top = lb.admin_ok(&["ids", "top", "-n", "2"]);
    assert!(top.contains("used:8, size:8, connects:80,"), "{top}");
    let first = top.lines().nth(2).expect("a row");
    assert!(first.ends_with("brokers \"flapping \\\"id\\\"\""), "{top}");
    let cells: Vec<_> = first.split_whitespace().collect();
    assert_eq!(cells[..3], ["40", "0", "39"], "{top}");
    assert_eq!(top.lines().count(), 4, "{top}");
    let size = lb.metrics().gauge("mqttlb_ids_size", &[("kind", "top")]);
    assert_eq!(size, 8.0);

    lb.write_config(&text.replace("top = 8", "top = 100"));
    assert_eq!(lb.reload(), "ok");
    drop(solo.place("flapping \"id\""));
    let top = lb.admin_ok(&["ids", "top"]);
    assert!(top.contains("size:100,"), "{top}");
    assert!(
        top.lines().nth(2).expect("a row").starts_with("41 "),
        "{top}"
    );
    lb.admin_ok(&["ids", "clear"]);
    let cleared = || lb.admin_ok(&["ids", "top"]);
    assert!(cleared().contains("used:0, size:100, connects:0,"));
    wait::for_true("every id should leave", SHORT, || {
        lb.metrics().gauge("mqttlb_ids", &[("kind", "live")]) == 0.0
    });
}
