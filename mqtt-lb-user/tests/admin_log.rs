//! What a process really writes to its log: each test starts this program again,
//! as logging is set up once per process.

use std::net::SocketAddr;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, UNIX_EPOCH};

use mqtt_lb_user::affinity::Sticky;
use mqtt_lb_user::config::{Log, LogFormat, PathKind};
use mqtt_lb_user::logging;
use mqtt_lb_user::session::{End, Session};

const TEXT_LINE: &str = "10.0.1.2:33313 [06/Feb/2009:12:12:51.000] mqtt emqx/emqx1 0/1/2 3/4 -- \
     id=\"c\\x0a0\" level=5 keepalive=60 connack=0 sticky=new path=copy end=backend_closed";

/// The process that the tests look at.
fn child() {
    let format = match var("LOG_FORMAT").as_str() {
        "json" => LogFormat::Json,
        _ => LogFormat::Text,
    };
    let (level, sessions) = (var("LOG_LEVEL"), var("LOG_SESSIONS") == "true");
    logging::init(&Log {
        format,
        level,
        sessions,
    })
    .expect("set up once");
    for _ in 0..var("LOG_ROUNDS").parse().expect("number") {
        tracing::warn!("a warning");
        tracing::debug!(pool = "emqx", "a detail");
        log::debug!(target: "kernel", "from the kernel");
        session().log(format);
    }
    println!("went on to the end");
}

fn var(name: &str) -> String {
    std::env::var(name).expect(name)
}

fn session() -> Session {
    Session {
        accepted: UNIX_EPOCH + Duration::from_secs(1_233_922_371),
        client: SocketAddr::from(([10, 0, 1, 2], 33313)),
        listener: "mqtt".into(),
        pool: "emqx".into(),
        backend: Some("emqx1".into()),
        client_id: Some(b"c\n0".to_vec()),
        level: Some(5),
        keepalive: Some(60),
        connack: Some(0),
        sticky: Some(Sticky::New),
        waited: Some(Duration::ZERO),
        connecting: Some(Duration::from_millis(1)),
        total: Duration::from_millis(2),
        bytes_up: 3,
        bytes_down: 4,
        path: PathKind::Copy,
        end: End::BackendClosed,
    }
}

fn command(format: &str, level: &str, sessions: bool, rounds: u32) -> Command {
    let mut command = Command::new(std::env::current_exe().expect("this program"));
    command
        .args(["--exact", "text_with_raw_session_lines", "--nocapture"])
        .env("LOG_FORMAT", format)
        .env("LOG_LEVEL", level)
        .env("LOG_SESSIONS", sessions.to_string())
        .env("LOG_ROUNDS", rounds.to_string());
    command
}

/// The lines the process writes to standard error.
fn lines(format: &str, level: &str, sessions: bool) -> Vec<String> {
    let output = command(format, level, sessions, 1).output().expect("runs");
    assert!(went_on(&output), "{output:?}");
    let text = String::from_utf8(output.stderr).expect("text");
    assert!(
        !text.contains('\x1b'),
        "colours where there is no terminal: {text:?}"
    );
    text.lines().map(str::to_owned).collect()
}

fn went_on(output: &Output) -> bool {
    String::from_utf8_lossy(&output.stdout).contains("went on to the end")
}

#[test]
fn text_with_raw_session_lines() {
    if std::env::var_os("LOG_FORMAT").is_some() {
        return child();
    }
    let lines = lines("text", "info", true);
    assert_eq!(lines.len(), 2, "{lines:#?}");
    assert!(
        lines[0].contains(" WARN ") && lines[0].ends_with("a warning"),
        "{}",
        lines[0]
    );
    assert_eq!(lines[1], TEXT_LINE);
}

#[test]
fn json_is_one_object_a_line() {
    let lines = lines("json", "info", true);
    let parse = |line: &String| -> serde_json::Value { serde_json::from_str(line).expect(line) };
    let objects: Vec<_> = lines.iter().map(parse).collect();
    assert_eq!(objects.len(), 2, "{lines:#?}");
    assert_eq!(objects[0]["level"], "WARN");
    assert_eq!(objects[0]["message"], "a warning");
    assert_eq!(objects[1]["target"], "session");
    assert_eq!(objects[1]["client_id"], "c\\x0a0");
}

#[test]
fn sessions_have_a_switch_of_their_own() {
    assert_eq!(lines("text", "error", true), [TEXT_LINE]);
    assert_eq!(lines("text", "error", false), Vec::<String>::new());
}

#[test]
fn records_of_the_log_crate_and_single_targets() {
    let all = lines("text", "debug", false);
    assert_eq!(all.len(), 3, "{all:#?}");
    assert!(all[1].ends_with("a detail pool=\"emqx\""), "{}", all[1]);
    assert!(
        all[2].contains("DEBUG kernel: from the kernel"),
        "{}",
        all[2]
    );
    let kernel = lines("text", "off,kernel=debug", false);
    assert_eq!(kernel.len(), 1, "{kernel:#?}");
}

#[test]
fn a_log_that_nobody_reads_does_not_end_the_process() {
    for format in ["text", "json"] {
        let mut child = command(format, "debug", true, 1_000);
        let mut child = child
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("starts");
        drop(child.stderr.take());
        let output = child.wait_with_output().expect("ends");
        assert!(output.status.success() && went_on(&output), "{output:?}");
    }
}
