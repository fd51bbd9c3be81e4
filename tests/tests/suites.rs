//! The test suites of three MQTT client libraries, against mosquitto directly
//! and through the balancer: exactly the same tests must pass.

use std::collections::BTreeSet;

use mqtt_lb_tests::brokers::mosquitto::Mosquitto;
use mqtt_lb_tests::lb::{DataPath, Lb, config};
use mqtt_lb_tests::netns::Netns;
use mqtt_lb_tests::require::{Need, met, say};
use mqtt_lb_tests::solo::{FRONT, backend};
use mqtt_lb_tests::suites::{self, Suite, Suites};

/// Many tests of these suites wait for one second and hope: a test that differs
/// runs again by itself, this often at most.
const RERUNS: usize = 3;

/// Runs a suite, or some tests of it, against a fresh broker.
fn passed(
    suites: &Suites,
    suite: Suite,
    path: Option<DataPath>,
    only: &BTreeSet<String>,
) -> BTreeSet<String> {
    let ns = Netns::new("suite");
    let Some(path) = path else {
        let _broker = Mosquitto::start(&ns, FRONT, "");
        return suites.passed(suite, &ns, only);
    };
    let _broker = Mosquitto::start(&ns, backend(1), "");
    let pool = "[pool.brokers.stick]\nsize = 1000\n[pool.brokers.health]\ntype = \"mqtt\"";
    let lb = Lb::start(&ns, path, &config(FRONT, pool, &[backend(1)]));
    let passed = suites.passed(suite, &ns, only);
    let metrics = lb.metrics();
    let sessions = metrics.sum("mqttlb_sessions_total", &[]);
    assert!(sessions > 0.0, "{}: nothing came through", suite.name);
    for kernel in [DataPath::Splice, DataPath::Sockmap] {
        let labels = [("path", kernel.label())];
        let moved = metrics.sum("mqttlb_datapath_moves_total", &labels);
        assert_eq!(moved > 0.0, path == kernel, "{moved} moves to {kernel:?}");
    }
    passed
}

/// The tests of `missing` that do not pass when they run again by themselves.
fn still_missing(
    suites: &Suites,
    suite: Suite,
    path: Option<DataPath>,
    mut missing: BTreeSet<String>,
) -> BTreeSet<String> {
    for _ in 0..RERUNS {
        if missing.is_empty() {
            break;
        }
        say(&format!("  {} ({path:?}) again: {missing:?}", suite.name));
        let passed = passed(suites, suite, path, &missing);
        missing.retain(|test| !passed.contains(test));
    }
    missing
}

fn compare(suites: &Suites, suite: Suite) {
    let all = BTreeSet::new();
    let run = &|path| passed(suites, suite, path, &all);
    let (direct, through) = std::thread::scope(|scope| {
        let direct = scope.spawn(|| run(None));
        let through = DataPath::PURE.map(|path| scope.spawn(move || run(Some(path))));
        let join = "a run panicked";
        let through = through.map(|run| run.join().expect(join));
        (direct.join().expect(join), through)
    });
    assert!(
        direct.len() >= suite.least,
        "{}: only {direct:?} pass directly",
        suite.name
    );
    for (path, through) in DataPath::PURE.into_iter().zip(through) {
        let lost = direct.difference(&through).cloned().collect();
        let lost = still_missing(suites, suite, Some(path), lost);
        assert!(
            lost.is_empty(),
            "{} ({path:?}): fail only through it: {lost:?}",
            suite.name
        );
        let won = through.difference(&direct).cloned().collect();
        let won = still_missing(suites, suite, None, won);
        assert!(
            won.is_empty(),
            "{} ({path:?}): pass only through it: {won:?}",
            suite.name
        );
        let (name, count) = (suite.name, direct.len());
        say(&format!(
            "{name} ({path:?}): the {count} tests that pass directly, and no other"
        ));
    }
}

#[test]
fn the_same_tests_pass_as_without_the_balancer() {
    let needs = [
        Need::Root,
        Need::Bpf,
        Need::Program("ip"),
        Need::Program("mosquitto"),
    ];
    if !met(&needs) || !met(&[Need::Program("python3")]) {
        return;
    }
    let suites = match Suites::fetch() {
        Ok(suites) => suites,
        Err(reason) => {
            assert!(
                std::env::var_os("MQTT_LB_NO_SKIP").is_none(),
                "suites: {reason}"
            );
            return say(&format!("SKIPPED: third-party suites: {reason}"));
        }
    };
    std::thread::scope(|scope| {
        for suite in suites::ALL {
            let suites = &suites;
            scope.spawn(move || compare(suites, suite));
        }
    });
}
