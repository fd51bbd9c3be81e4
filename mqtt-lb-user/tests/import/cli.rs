//! `mqtt-lb import` as a shell sees it: streams, files and exit codes.

use std::path::Path;
use std::process::{Command, Output};

use mqtt_lb_user::config::load;

const GOOD: &str = "listen mqtt\n  bind :1883\n  timeout client 1m\n  server s1 10.0.0.1:1883 check on-marked-down shutdown-sessions\n";

fn import(directory: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_mqtt-lb"));
    command.current_dir(directory).arg("import").args(arguments);
    command.output().expect("mqtt-lb runs")
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).expect("UTF-8")
}

#[test]
fn a_complete_import_ends_with_0() {
    let directory = tempfile::tempdir().expect("temporary directory");
    std::fs::write(directory.path().join("haproxy.cfg"), GOOD).expect("written");
    let done = import(directory.path(), &["haproxy.cfg"]);
    let note = "haproxy.cfg:3: timeout client 1m: not needed: quiet clients are not cut; TCP \
                keepalive and their brokers find those that are gone\n";
    assert_eq!(text(&done.stderr), note);
    assert_eq!(done.status.code(), Some(0));
    assert!(text(&done.stdout).contains("\nbind = \"0.0.0.0:1883\" # line 2\n"));

    let done = import(directory.path(), &["haproxy.cfg", "-o", "out.toml"]);
    assert_eq!((text(&done.stdout), done.status.code()), ("", Some(0)));
    let out = directory.path().join("out.toml");
    assert_eq!(load(&out).expect("valid").pools["mqtt"].backends.len(), 1);
}

#[test]
fn an_incomplete_import_ends_with_3() {
    let directory = tempfile::tempdir().expect("temporary directory");
    let file = directory.path().join("haproxy.cfg");
    std::fs::write(&file, GOOD.replace(":1883\n", ":1883 accept-proxy\n")).expect("written");
    let done = import(directory.path(), &["haproxy.cfg"]);
    assert_eq!(done.status.code(), Some(3));
    assert!(text(&done.stderr).contains("haproxy.cfg:2: accept-proxy: not taken: "));
    assert!(text(&done.stdout).contains("#   line 2: accept-proxy: not taken: "));
}

#[test]
fn an_output_that_is_there_is_not_overwritten() {
    let directory = tempfile::tempdir().expect("temporary directory");
    std::fs::write(directory.path().join("haproxy.cfg"), GOOD).expect("written");
    let out = directory.path().join("out.toml");
    std::fs::write(&out, "mine").expect("written");
    let done = import(directory.path(), &["haproxy.cfg", "-o", "out.toml"]);
    assert_eq!(done.status.code(), Some(1));
    assert!(
        text(&done.stderr).contains("--force"),
        "{}",
        text(&done.stderr)
    );
    assert_eq!(std::fs::read_to_string(&out).expect("there"), "mine");
    let done = import(
        directory.path(),
        &["haproxy.cfg", "-o", "out.toml", "--force"],
    );
    assert_eq!(done.status.code(), Some(0));
    load(&out).expect("valid");
}

#[test]
fn no_configuration_ends_with_1() {
    let directory = tempfile::tempdir().expect("temporary directory");
    for (content, why) in [
        (Some("hello\n"), "neither a haproxy.cfg"),
        (
            Some("listen l\n bind :1883\n server s 10.0.0.1:1883 ssl\n"),
            "no listener",
        ),
        (None, "cannot be read"),
    ] {
        let file = directory.path().join("f");
        match content {
            Some(content) => std::fs::write(&file, content).expect("written"),
            None => std::fs::remove_file(&file).expect("removed"),
        }
        let done = import(directory.path(), &["f", "-o", "out.toml"]);
        assert_eq!(done.status.code(), Some(1), "{content:?}");
        assert!(text(&done.stderr).contains(why), "{}", text(&done.stderr));
        assert!(!directory.path().join("out.toml").exists(), "{content:?}");
    }
}

#[test]
fn names_are_looked_up_when_asked_to() {
    let directory = tempfile::tempdir().expect("temporary directory");
    let file = directory.path().join("haproxy.cfg");
    std::fs::write(&file, GOOD.replace("10.0.0.1:1883", "localhost:1884")).expect("written");
    let done = import(directory.path(), &["haproxy.cfg"]);
    assert_eq!(done.status.code(), Some(1), "its only server is a name");
    let done = import(directory.path(), &["--resolve", "haproxy.cfg"]);
    assert_eq!(done.status.code(), Some(0), "{}", text(&done.stderr));
    assert!(text(&done.stderr).contains("server s1 localhost:1884: differs: taken as 127.0.0.1"));
}
