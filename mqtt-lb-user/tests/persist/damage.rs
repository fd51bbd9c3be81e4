//! Files that are not what they should be.

use std::fs;
use std::os::unix::fs::OpenOptionsExt;

use crate::lb::{Lb, start};

fn written(dir: &std::path::Path) -> Lb {
    let lb = start(dir, &["a"], "");
    lb.set(b"one", "a");
    lb.save();
    lb
}

#[test]
fn a_damaged_one_is_kept_and_the_table_is_empty() {
    let dir = tempfile::tempdir().unwrap();
    let first = written(dir.path());
    let mut bytes = fs::read(&first.path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&first.path, &bytes).unwrap();

    let second = start(dir.path(), &["a"], "");
    assert!(second.rows().is_empty());
    assert_eq!(
        second.metric("failures_total{pool=\"p\",operation=\"load\"}"),
        "1"
    );
    assert!(!second.path.exists());
    assert_eq!(fs::read(dir.path().join("p.stick.damaged")).unwrap(), bytes);
    second.set(b"two", "a");
    second.save();
    assert_eq!(start(dir.path(), &["a"], "").rows().len(), 1);
}

#[test]
fn a_directory_in_its_place_is_moved_aside() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("p.stick");
    fs::create_dir(&path).unwrap();
    let lb = start(dir.path(), &["a"], "");
    assert!(lb.rows().is_empty());
    assert_eq!(
        lb.metric("failures_total{pool=\"p\",operation=\"load\"}"),
        "1"
    );
    assert!(
        dir.path().join("p.stick.damaged").is_dir(),
        "it is no snapshot"
    );
}

#[test]
fn a_pipe_keeps_nobody_from_starting() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("p.stick");
    let name = std::ffi::CString::new(path.to_str().unwrap()).unwrap();
    // SAFETY: the name is a string that lives through the call.
    assert_eq!(unsafe { libc::mkfifo(name.as_ptr(), 0o600) }, 0);
    assert!(start(dir.path(), &["a"], "").rows().is_empty());
}

#[test]
fn without_a_directory_there_is_no_snapshot_and_a_clear_error() {
    let dir = tempfile::tempdir().unwrap();
    let lb = start(&dir.path().join("missing"), &["a"], "");
    let error = mqtt_lb_user::persist::save(&lb.pool, &lb.path).unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::NotFound);
}

#[test]
fn a_snapshot_that_others_could_read_is_not_theirs_for_long() {
    let dir = tempfile::tempdir().unwrap();
    let lb = start(dir.path(), &["a"], "");
    let open = |mode| {
        fs::OpenOptions::new()
            .write(true)
            .create(true)
            .mode(mode)
            .open(dir.path().join("p.stick.tmp"))
    };
    drop(open(0o666).unwrap());
    lb.save();
    let mode =
        std::os::unix::fs::PermissionsExt::mode(&fs::metadata(&lb.path).unwrap().permissions());
    assert_eq!(mode & 0o777, 0o600);
}
