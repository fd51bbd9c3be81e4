//! The stick table outlives the process: a restart, a kill, a damaged file and a full
//! disk.

use std::fs;
use std::path::Path;
use std::time::Duration;

use mqtt_lb_tests::lb::{DataPath, Lb, config};
use mqtt_lb_tests::require::{Need, met};
use mqtt_lb_tests::solo::{FRONT, Solo};
use mqtt_lb_tests::tmpfs::Tmpfs;
use mqtt_lb_tests::wait;
use tempfile::TempDir;

const NEEDS: &[Need] = &[Need::Root, Need::Program("ip"), Need::Program("mount")];
const SOON: Duration = Duration::from_secs(20);
/// An odd number, so that round robin ends at another broker than it began at.
const CLIENTS: usize = 7;

fn settings(solo: &Solo, file: &Path, interval: &str) -> String {
    let pool = format!(
        "[pool.brokers.health]\ntype = \"off\"\n[pool.brokers.stick]\nsize = 1000\n\
         snapshot = {file:?}\nsnapshot_interval = \"{interval}\""
    );
    config(FRONT, &pool, &solo.backends())
}

/// Connects and ends every client once; the broker of each.
fn places(solo: &Solo) -> Vec<usize> {
    let place = |n| {
        let (client, place) = solo.place(&format!("client-{n}"));
        client.disconnect().expect("disconnect");
        place
    };
    (0..CLIENTS).map(place).collect()
}

/// Takes one turn, so that clients whom the table does not know go elsewhere.
fn elsewhere(solo: &Solo) {
    let (client, _) = solo.place("another");
    client.disconnect().expect("disconnect");
}

fn end(lb: &mut Lb<'_>, signal: i32) {
    lb.process.signal(signal);
    lb.process.wait(SOON);
}

fn wait_written(lb: &Lb<'_>, entries: usize) {
    let name = "mqttlb_stick_snapshot_written_entries";
    lb.wait_metric(name, &[], SOON, |n| n == entries as f64);
}

fn loaded(lb: &Lb<'_>) -> f64 {
    lb.metrics()
        .sum("mqttlb_stick_snapshot_loaded_entries", &[])
}

#[test]
fn a_restart_keeps_every_client_at_its_broker() {
    if !met(NEEDS) {
        return;
    }
    let (solo, dir) = (Solo::new(2), TempDir::new().expect("directory"));
    let file = dir.path().join("brokers.stick");
    // Only the snapshot of the end counts.
    let mut lb = Lb::start(&solo.ns, DataPath::Copy, &settings(&solo, &file, "1h"));
    let before = places(&solo);
    assert!(!file.exists());
    end(&mut lb, libc::SIGTERM);
    lb.start_again();
    assert_eq!(loaded(&lb), CLIENTS as f64);
    elsewhere(&solo);
    assert_eq!(places(&solo), before);

    // The test can fail: without the file they do not find back.
    end(&mut lb, libc::SIGTERM);
    fs::remove_file(&file).expect("remove the snapshot");
    lb.start_again();
    elsewhere(&solo);
    assert_ne!(places(&solo), before);
}

#[test]
fn a_kill_loses_no_more_than_an_interval() {
    if !met(NEEDS) {
        return;
    }
    let (solo, dir) = (Solo::new(2), TempDir::new().expect("directory"));
    let file = dir.path().join("brokers.stick");
    let mut lb = Lb::start(&solo.ns, DataPath::Copy, &settings(&solo, &file, "1s"));
    let before = places(&solo);
    wait_written(&lb, CLIENTS);
    end(&mut lb, libc::SIGKILL);
    // As if it had been killed while it wrote.
    fs::write(dir.path().join("brokers.stick.tmp"), "half of").expect("write");
    lb.start_again();
    assert_eq!(loaded(&lb), CLIENTS as f64);
    elsewhere(&solo);
    assert_eq!(places(&solo), before);
    wait_written(&lb, CLIENTS + 1);
}

#[test]
fn a_damaged_file_is_kept_and_nobody_is_refused() {
    if !met(NEEDS) {
        return;
    }
    let (solo, dir) = (Solo::new(2), TempDir::new().expect("directory"));
    let file = dir.path().join("brokers.stick");
    let mut lb = Lb::start(&solo.ns, DataPath::Copy, &settings(&solo, &file, "1h"));
    places(&solo);
    end(&mut lb, libc::SIGTERM);
    let mut bytes = fs::read(&file).expect("the snapshot");
    let middle = bytes.len() / 2;
    bytes[middle] ^= 0x10;
    fs::write(&file, &bytes).expect("damage it");

    lb.start_again();
    let log = lb.log();
    let said = log
        .lines()
        .find(|line| line.contains("is damaged in front of byte"));
    assert!(
        said.is_some_and(|line| line.contains("brokers.stick.damaged")),
        "{log}"
    );
    let failures = "mqttlb_stick_snapshot_failures_total";
    assert_eq!(lb.metrics().sum(failures, &[("operation", "load")]), 1.0);
    assert_eq!(lb.metrics().sum("mqttlb_stick_table_entries", &[]), 0.0);
    let kept = fs::read(dir.path().join("brokers.stick.damaged")).expect("kept");
    assert_eq!(kept, bytes);
    places(&solo);
}

#[test]
fn a_full_disk_leaves_the_snapshot_before() {
    if !met(NEEDS) {
        return;
    }
    // Room for a few clients, not for a long id.
    let (solo, disk) = (Solo::new(2), Tmpfs::new("32k"));
    let file = disk.path().join("brokers.stick");
    let mut lb = Lb::start(&solo.ns, DataPath::Copy, &settings(&solo, &file, "1s"));
    let before = places(&solo);
    wait_written(&lb, CLIENTS);
    let long = "x".repeat(60_000);
    solo.place(&long);
    let failed = |lb: &Lb<'_>| {
        let failures = "mqttlb_stick_snapshot_failures_total";
        lb.metrics().sum(failures, &[("operation", "write")])
    };
    wait::for_true("two snapshots should fail", SOON, || failed(&lb) >= 2.0);
    let log = lb.log();
    let said = log.matches("cannot be written, the one before stays: No space left");
    assert_eq!(said.count(), 1, "{log}");
    let left = fs::read_dir(disk.path()).expect("the disk").count();
    assert_eq!(left, 1, "nothing lies beside the snapshot");
    assert_eq!(places(&solo), before, "clients are served");

    end(&mut lb, libc::SIGKILL);
    lb.start_again();
    assert_eq!(loaded(&lb), CLIENTS as f64);
    elsewhere(&solo);
    assert_eq!(places(&solo), before);
    wait_written(&lb, CLIENTS + 1);
}
