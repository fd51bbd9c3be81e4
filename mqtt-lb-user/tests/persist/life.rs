//! What the next process knows.

use std::os::unix::fs::PermissionsExt;

use crate::lb::start;

fn row(key: &[u8], backend: &str, home: &str) -> (Vec<u8>, String, String) {
    (key.to_vec(), backend.to_owned(), home.to_owned())
}

#[test]
fn entries_and_homes_live_on() {
    let dir = tempfile::tempdir().unwrap();
    let first = start(dir.path(), &["a", "b"], "");
    assert!(first.rows().is_empty());
    let long = vec![0xff; 65_535];
    first.set(b"one", "a");
    first.set(b"\0 two\n", "b");
    first.set(b"\0 two\n", "a");
    first.set(&long, "b");
    let saved = first.save();
    assert_eq!(saved.entries, 3);
    let file = std::fs::metadata(&first.path).unwrap();
    assert_eq!(
        (file.len(), file.permissions().mode() & 0o777),
        (saved.bytes, 0o600)
    );

    // The backends stand in another order, and so have other numbers.
    let second = start(dir.path(), &["new", "b", "a"], "");
    let expected = [
        row(b"\0 two\n", "a", "b"),
        row(b"one", "a", "a"),
        row(&long, "b", "b"),
    ];
    assert_eq!(second.rows(), expected);
    assert_eq!(second.metric("loaded_entries{pool=\"p\"}"), "3");
}

#[test]
fn entries_of_backends_that_left_the_configuration_stay_out() {
    let dir = tempfile::tempdir().unwrap();
    let first = start(dir.path(), &["a", "b"], "");
    first.set(b"1", "a");
    first.set(b"2", "b");
    first.set(b"3", "b");
    first.set(b"3", "a");
    first.save();
    let second = start(dir.path(), &["a"], "");
    assert_eq!(second.rows(), [row(b"1", "a", "a"), row(b"3", "a", "a")]);
    assert_eq!(
        second.metric("skipped_entries{pool=\"p\",reason=\"backend\"}"),
        "1"
    );
}

#[test]
fn a_table_of_another_size_takes_the_newest() {
    let dir = tempfile::tempdir().unwrap();
    let first = start(dir.path(), &["a"], "size = 1000");
    for n in 0..500_u16 {
        first.set(&n.to_be_bytes(), "a");
    }
    first.save();
    let small = start(dir.path(), &["a"], "size = 3\nnopurge = true");
    let newest = [497_u16, 498, 499].map(|n| row(&n.to_be_bytes(), "a", "a"));
    assert_eq!(small.rows(), newest);
    assert_eq!(
        small.metric("skipped_entries{pool=\"p\",reason=\"full\"}"),
        "497"
    );
    let big = start(dir.path(), &["a"], "size = \"1M\"\nexpire = \"7d\"");
    assert_eq!(big.rows().len(), 500);
}

#[test]
fn time_goes_on_between_two_lives() {
    let dir = tempfile::tempdir().unwrap();
    let first = start(dir.path(), &["a"], "expire = \"1s\"");
    first.set(b"old", "a");
    first.save();
    let patient = start(dir.path(), &["a"], "expire = \"1h\"");
    assert_eq!(
        patient.rows().len(),
        1,
        "it lives as long as the table says now"
    );
    std::thread::sleep(std::time::Duration::from_millis(1_100));
    let second = start(dir.path(), &["a"], "expire = \"1s\"");
    assert!(second.rows().is_empty());
    assert_eq!(
        second.metric("skipped_entries{pool=\"p\",reason=\"expired\"}"),
        "1"
    );
}
