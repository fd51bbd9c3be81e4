//! Backends that die and come back: new clients go elsewhere, the stick entry
//! moves with them.

use std::time::{Duration, Instant};

use mqtt_lb_tests::brokers::fake::FakeBroker;
use mqtt_lb_tests::lb::{DataPath, Lb, config};
use mqtt_lb_tests::require::{Need, met};
use mqtt_lb_tests::solo::{FRONT, Solo, backend};

const NEEDS: &[Need] = &[Need::Root, Need::Program("ip")];
const WAIT: Duration = Duration::from_secs(10);

fn pool(check: &str, proxy: &str) -> String {
    format!(
        "proxy_protocol = \"{proxy}\"\n[pool.brokers.stick]\nsize = 1000\n\
         [pool.brokers.health]\ntype = \"{check}\"\ninterval = \"200ms\"\ntimeout = \"200ms\"\n\
         rise = 2\nfall = 2"
    )
}

fn up(lb: &Lb<'_>, n: usize, value: f64) {
    let name = format!("b{n}");
    lb.wait_metric("mqttlb_backend_up", &[("backend", &name)], WAIT, |up| {
        up == value
    });
}

/// A backend dies, is seen DOWN, comes back and is seen UP.
fn down_and_up(check: &str, proxy: &str) {
    if !met(NEEDS) {
        return;
    }
    let mut solo = Solo::new(2);
    let pool = pool(check, proxy);
    let lb = Lb::start(
        &solo.ns,
        DataPath::Auto,
        &config(FRONT, &pool, &solo.backends()),
    );
    up(&lb, 1, 1.0);
    up(&lb, 2, 1.0);
    let (mut client, first) = solo.place("sticky");
    let other = 3 - first;
    assert_eq!(solo.place("sticky").1, first, "it sticks");

    // The namespace keeps the place of a dead broker free.
    let dead = solo.brokers[first - 1].address;
    let elsewhere = FakeBroker::start(&solo.ns, backend(100));
    drop(std::mem::replace(&mut solo.brokers[first - 1], elsewhere));
    assert!(
        client.ping().is_err(),
        "the death of its broker reaches the client"
    );
    up(&lb, first, 0.0);
    assert!(
        lb.log().contains(&format!("b{first} is DOWN")),
        "{}",
        lb.log()
    );
    assert_eq!(lb.get("/readyz").0, 200, "one backend is enough");
    assert_eq!(solo.place("sticky").1, other, "the client is moved");
    for n in 0..4 {
        assert_eq!(
            solo.place(&format!("new-{n}")).1,
            other,
            "no new client for the dead"
        );
    }
    let table = lb.admin_ok(&["table", "show", "brokers", "--key", "sticky"]);
    assert!(table.contains(&format!("server_key=b{other}")), "{table}");

    solo.brokers[first - 1] = FakeBroker::start(&solo.ns, dead);
    up(&lb, first, 1.0);
    assert!(
        lb.log().contains(&format!("b{first} is UP")),
        "{}",
        lb.log()
    );
    assert_eq!(
        solo.place("sticky").1,
        other,
        "it stays where its session is now"
    );
    let places: Vec<usize> = (0..6)
        .map(|n| solo.place(&format!("later-{n}")).1)
        .collect();
    assert!(
        places.contains(&first),
        "new clients come again: {places:?}"
    );
    // Checks leave nothing behind: what is open are the clients above.
    assert!(
        solo.brokers[first - 1].open() <= places.len(),
        "checks stay open"
    );
}

#[test]
fn tcp_check() {
    down_and_up("tcp", "off");
}

#[test]
fn tcp_check_with_proxy_header() {
    down_and_up("tcp", "v2");
}

#[test]
fn mqtt_check() {
    down_and_up("mqtt", "off");
}

#[test]
fn mqtt_check_with_proxy_header() {
    down_and_up("mqtt", "v2");
}

#[test]
fn a_backend_that_refuses_costs_no_client() {
    if !met(NEEDS) {
        return;
    }
    let mut solo = Solo::new(2);
    let config = config(FRONT, &pool("off", "off"), &solo.backends());
    let lb = Lb::start(&solo.ns, DataPath::Auto, &config);
    let (_, first) = solo.place("sticky");
    let elsewhere = FakeBroker::start(&solo.ns, backend(100));
    drop(std::mem::replace(&mut solo.brokers[first - 1], elsewhere));
    for n in 0..10 {
        let begin = Instant::now();
        assert_eq!(solo.place(&format!("c{n}")).1, 3 - first);
        assert!(
            begin.elapsed() < Duration::from_secs(2),
            "{:?}",
            begin.elapsed()
        );
    }
    assert_eq!(solo.place("sticky").1, 3 - first);
    assert_eq!(
        lb.metrics()
            .sum("mqttlb_sticky_total", &[("result", "moved")]),
        1.0
    );
    let table = lb.admin_ok(&["table", "show", "brokers", "--key", "sticky"]);
    assert!(
        table.contains(&format!("server_key=b{}", 3 - first)),
        "{table}"
    );
}

#[test]
fn no_backend_is_told_apart() {
    if !met(NEEDS) {
        return;
    }
    let solo = Solo::new(0);
    let config = config(FRONT, &pool("tcp", "off"), &[backend(1)]);
    let lb = Lb::start(&solo.ns, DataPath::Auto, &config);
    up(&lb, 1, 0.0);
    let (status, reason) = lb.get("/readyz");
    assert_eq!(status, 503, "{reason}");
    let begin = Instant::now();
    assert!(solo.client("lonely").is_err());
    assert!(
        begin.elapsed() < Duration::from_secs(7),
        "{:?}",
        begin.elapsed()
    );
    assert_eq!(lb.get("/healthz").0, 200, "the process itself is well");
}
