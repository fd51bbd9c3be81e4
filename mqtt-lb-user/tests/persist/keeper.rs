//! The thread that writes.

use std::time::{Duration, Instant};

use mqtt_lb_user::persist::Keeper;

use crate::lb::start;

/// Long enough for a slow machine; nobody waits for it on another.
const PATIENCE: Duration = Duration::from_secs(20);

#[tokio::test]
async fn it_writes_in_the_interval_and_at_the_end() {
    let dir = tempfile::tempdir().unwrap();
    let lb = start(dir.path(), &["a"], "snapshot_interval = \"1s\"");
    lb.set(b"one", "a");
    let keeper = Keeper::start(lb.pools.clone()).unwrap();
    let begin = Instant::now();
    while !lb.path.exists() {
        assert!(begin.elapsed() < PATIENCE);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert!(
        begin.elapsed() >= Duration::from_secs(1),
        "not before it is due"
    );
    assert_eq!(start(dir.path(), &["a"], "").rows().len(), 1);
    lb.set(b"two", "a");
    keeper.finish().await;
    assert_eq!(start(dir.path(), &["a"], "").rows().len(), 2);
    assert_eq!(lb.metric("written_entries{pool=\"p\"}"), "2");
    assert_ne!(lb.metric("timestamp_seconds{pool=\"p\"}"), "0.0");
}

#[tokio::test]
async fn what_cannot_be_written_is_counted() {
    let dir = tempfile::tempdir().unwrap();
    let lb = start(&dir.path().join("missing"), &["a"], "");
    Keeper::start(lb.pools.clone()).unwrap().finish().await;
    assert_eq!(
        lb.metric("failures_total{pool=\"p\",operation=\"write\"}"),
        "1"
    );
    assert_eq!(lb.metric("timestamp_seconds{pool=\"p\"}"), "0.0");
}
