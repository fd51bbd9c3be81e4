//! What a process leaves behind when it stops, who finds it, and who may remove it.

use std::time::Duration;

use mqtt_lb_tests::lab::{FRONT, Lab, pair};
use mqtt_lb_tests::lb::{self, DataPath, Lb, binary};
use mqtt_lb_tests::pairs::{is_lost, is_reset, spliced_pairs, talk};
use mqtt_lb_tests::process::Process;
use mqtt_lb_tests::require::{met, say};
use mqtt_lb_tests::size::deadline;
use mqtt_lb_tests::splice::{self, NEEDS};
use mqtt_lb_tests::watchdog;

const SHORT: Duration = Duration::from_secs(10);

#[test]
fn sigterm_leaves_flows_and_the_next_process_takes_them() {
    if !met(NEEDS) {
        return;
    }
    watchdog::limit(deadline(Duration::from_secs(120)));
    let lab = Lab::new();
    let listener = lab.backend.listen(splice::broker(false));
    let mut lb = Lb::start(&lab.lb, DataPath::Splice, &splice::config(false));
    let pairs = spliced_pairs(&lab, &listener, &lb, 10);
    lb.process.signal(libc::SIGTERM);
    assert!(lb.process.wait(SHORT).success());
    for (client, broker) in &pairs {
        talk(client, broker);
    }
    lb.start_again();
    splice::wait_spliced(&lb, 10, SHORT);
    assert_eq!(splice::list(&lb).len(), 10);
    let more = pair(&lab, &listener, "more");
    splice::wait_spliced(&lb, 11, SHORT);
    for (client, broker) in pairs.iter().chain([&more]) {
        talk(client, broker);
    }
    drop((pairs, more));
    splice::wait_spliced(&lb, 0, Duration::from_secs(30));
}

#[test]
fn drop_flows_ends_them_on_sigterm() {
    if !met(NEEDS) {
        return;
    }
    watchdog::limit(deadline(Duration::from_secs(120)));
    let lab = Lab::new();
    let listener = lab.backend.listen(splice::broker(false));
    let keys = "drop_flows = true\n";
    let config = splice::config(false);
    let mut lb = Lb::start_with(&lab.lb, DataPath::Splice, keys, &config);
    let pairs = spliced_pairs(&lab, &listener, &lb, 10);
    lb.process.signal(libc::SIGTERM);
    assert!(lb.process.wait(SHORT).success());
    for (client, broker) in &pairs {
        assert!(is_reset(client) && is_reset(broker), "both ends are told");
    }
}

fn flush(lab: &Lab, lb: &Lb<'_>) -> String {
    let mut command = lab.lb.command(binary());
    command
        .args(["flows", "flush", "--pin"])
        .arg(lb.pins().path());
    let out = command.output().expect("run mqtt-lb");
    let text = [out.stdout, out.stderr].concat();
    String::from_utf8_lossy(&text).into_owned()
}

#[test]
fn flush_ends_what_nobody_holds() {
    if !met(NEEDS) {
        return;
    }
    watchdog::limit(deadline(Duration::from_secs(120)));
    let lab = Lab::new();
    let listener = lab.backend.listen(splice::broker(false));
    let mut lb = Lb::start(&lab.lb, DataPath::Splice, &splice::config(false));
    let pairs = spliced_pairs(&lab, &listener, &lb, 3);
    let said = flush(&lab, &lb);
    for (client, broker) in &pairs {
        talk(client, broker);
    }
    assert_eq!(splice::spliced(&lb), 3.0, "held by a process: {said}");
    lb.process.kill();
    assert!(!lb.pins().pinned().is_empty());
    let said = flush(&lab, &lb);
    assert!(lb.pins().pinned().is_empty(), "{said}");
    for (client, broker) in &pairs {
        assert!(is_lost(client) && is_lost(broker), "{said}");
    }
    say(&format!("flows flush: {}", said.trim()));
}

#[test]
fn an_unknown_layout_goes_on_and_is_reported() {
    if !met(NEEDS) {
        return;
    }
    watchdog::limit(deadline(Duration::from_secs(120)));
    let lab = Lab::new();
    let listener = lab.backend.listen(splice::broker(false));
    let mut lb = Lb::start(&lab.lb, DataPath::Splice, &splice::config(false));
    let old = spliced_pairs(&lab, &listener, &lb, 3);
    lb.process.kill();
    let base = lb.pins().path().to_owned();
    let layout = std::fs::read_dir(&base).expect("pins").flatten().next();
    let layout = layout.expect("a layout").path();
    std::fs::rename(&layout, base.join("v65535")).expect("rename");
    lb.start_again();
    let log = lb.log();
    assert!(log.contains("flows flush"), "not reported:\n{log}");
    // The new process keeps off the ports of flows that it does not know.
    let new = pair(&lab, &listener, "new");
    splice::wait_spliced(&lb, 1, SHORT);
    for (client, broker) in old.iter().chain([&new]) {
        talk(client, broker);
    }
    flush(&lab, &lb);
    assert!(!base.join("v65535").exists(), "flush removes it");
    assert!(is_lost(&old[0].0));
    talk(&new.0, &new.1);
}

#[test]
fn two_processes_do_not_share_a_directory() {
    if !met(NEEDS) {
        return;
    }
    watchdog::limit(deadline(Duration::from_secs(60)));
    let lab = Lab::new();
    let lb = Lb::start(&lab.lb, DataPath::Splice, &splice::config(false));
    let dir = tempfile::TempDir::new().expect("temporary directory");
    let file = dir.path().join("second.toml");
    let text = format!(
        "datapath = [\"splice\"]\n[splice]\npin = \"{}\"\n{}",
        lb.pins().path().display(),
        lb::config((FRONT, 1884).into(), "", &[splice::broker(false)])
    );
    std::fs::write(&file, text).expect("write the configuration");
    let mut command = lab.lb.command(binary());
    command.arg("run").arg("-f").arg(&file);
    let mut second = Process::start("second", dir.path(), &mut command);
    let line = second.wait_line("another mqtt-lb", SHORT);
    say(&format!("the second process says: {line}"));
}
