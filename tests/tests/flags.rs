//! The first try: no configuration file, one line, and clients are balanced
//! with stickiness.

use std::time::Duration;

use mqtt_lb_tests::lb::binary;
use mqtt_lb_tests::process::Process;
use mqtt_lb_tests::require::{Need, met};
use mqtt_lb_tests::solo::{FRONT, Solo};

#[test]
fn a_line_is_enough() {
    if !met(&[Need::Root, Need::Program("ip")]) {
        return;
    }
    let solo = Solo::new(2);
    let dir = tempfile::TempDir::new().expect("temporary directory");
    let mut command = solo.ns.command(binary());
    command.args([
        "run",
        "--listen",
        &FRONT.to_string(),
        "--admin-socket",
        "off",
        // Nothing is to stay pinned where the program pins by default.
        "--drop-flows",
    ]);
    for backend in solo.backends() {
        command.args(["--backend", &backend.to_string()]);
    }
    let mut lb = Process::start("mqtt-lb", dir.path(), &mut command);
    lb.wait_line("is serving", Duration::from_secs(10));
    let places = |_| ["a", "b", "c"].map(|id| solo.place(id).1);
    let first = places(0);
    assert!(first.contains(&1) && first.contains(&2), "{first:?}");
    assert_eq!(places(1), first, "clients come back to their broker");
    lb.signal(libc::SIGTERM);
    assert!(lb.wait(Duration::from_secs(40)).success());
}
