//! All pools through reloads.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use mqtt_lb_user::affinity::Client;
use mqtt_lb_user::backend::{Place, Pools};
use mqtt_lb_user::metrics::Metrics;

use crate::settings::{config, pool};

const A: (&str, SocketAddr) = ("a", SocketAddr::new(LOCALHOST, 1));
const B: (&str, SocketAddr) = ("b", SocketAddr::new(LOCALHOST, 2));
const LOCALHOST: std::net::IpAddr = std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);

#[test]
fn pools_appear_stay_and_go() {
    let metrics = Arc::new(Metrics::new());
    let first = config(&[("keep", pool(None, &[A])), ("go", pool(None, &[A, B]))]);
    let pools = Pools::new(&first, &metrics);
    let (keep, go) = (pools.get("keep").unwrap(), pools.get("go").unwrap());
    let changes = pools.changes();
    assert!(!changes.has_changed().unwrap());

    pools.apply(&config(&[
        ("keep", pool(None, &[A, B])),
        ("new", pool(None, &[B])),
    ]));
    assert!(changes.has_changed().unwrap());
    let names: Vec<_> = pools.all().iter().map(|p| p.name.clone()).collect();
    assert_eq!(names, ["keep", "new"]);
    assert!(Arc::ptr_eq(&keep, &pools.get("keep").unwrap()));
    assert_eq!(keep.backends().len(), 2);
    assert!(pools.get("go").is_none());

    let text = metrics.encode(&Default::default()).unwrap();
    assert!(text.contains("mqttlb_backend_up{pool=\"new\",backend=\"b\"} 1"));
    assert!(!text.contains("mqttlb_backend_up{pool=\"go\""));
    let late = go.admit(
        Instant::now(),
        Client {
            key: None,
            source: LOCALHOST,
        },
    );
    assert!(matches!(late.place, Place::Reserved(_)));
    assert_eq!(late.others.len(), 1, "a client on its way still gets there");
}

#[test]
fn the_same_name_in_two_pools_is_two_backends() {
    let both = config(&[("p", pool(None, &[A])), ("q", pool(None, &[A]))]);
    let pools = Pools::new(&both, &Arc::new(Metrics::new()));
    let of = |pool: &str| pools.get(pool).unwrap().backend("a").unwrap();
    assert_ne!(of("p").id, of("q").id);
    let _lease = of("p").open();
    assert_eq!((of("p").connections(), of("q").connections()), (1, 0));
}
