//! `mqtt-lb check` and `run` as a shell or a unit file sees them.

use std::process::{Command, Output};

fn mqtt_lb(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_mqtt-lb"));
    command.args(arguments).env_remove("MQTT_LB_CONFIG");
    command.output().expect("mqtt-lb runs")
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).expect("UTF-8")
}

#[test]
fn a_valid_file() {
    let example = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../examples/haproxy-recipe.toml"
    );
    let done = mqtt_lb(&["check", "-f", example]);
    assert_eq!(text(&done.stdout), "configuration is valid\n");
    assert_eq!(text(&done.stderr), "");
    assert_eq!(done.status.code(), Some(0));
}

#[test]
fn a_bad_file_gives_its_lines_and_nothing_runs() {
    let directory = tempfile::tempdir().expect("temporary directory");
    let path = directory.path().join("bad.toml");
    std::fs::write(&path, "workers = 0\n").expect("written");
    let name = path.to_str().expect("UTF-8");
    let lines = format!(
        "{name}:1:1: no listener: add [listener.NAME]\n\
         {name}:1:1: no pool: add [pool.NAME]\n\
         {name}:1:11: workers: 0 is out of range: allowed is 1 to 1024\n"
    );
    for command in ["check", "run"] {
        let done = mqtt_lb(&[command, "-f", name]);
        assert_eq!(text(&done.stdout), "", "{command}");
        assert_eq!(text(&done.stderr), lines, "{command}");
        assert_eq!(done.status.code(), Some(1), "{command}");
    }
}

#[test]
fn errors_of_commands_are_one_line() {
    let done = mqtt_lb(&["backend", "list", "--socket", "/nonexistent/admin.sock"]);
    let error = text(&done.stderr);
    assert!(error.starts_with("mqtt-lb: cannot reach the balancer at /nonexistent/admin.sock: "));
    assert_eq!(error.lines().count(), 1, "{error}");
    assert_eq!((text(&done.stdout), done.status.code()), ("", Some(1)));
}
