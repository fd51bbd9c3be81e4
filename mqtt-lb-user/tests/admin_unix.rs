//! The admin socket, from the operator's end.

mod admin_common;

use std::collections::HashSet;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use mqtt_lb_user::admin::unix::Server;
use mqtt_lb_user::admin::{Context, Phase};
use mqtt_lb_user::backend::AdminState;
use mqtt_lb_user::escape::Word;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::timeout;

/// A socket that is being served.
struct Admin {
    context: Arc<Context>,
    path: PathBuf,
    shutdown: watch::Sender<bool>,
    server: JoinHandle<io::Result<()>>,
    _dir: tempfile::TempDir,
}

impl Admin {
    fn start() -> Self {
        let dir = tempfile::tempdir().expect("directory");
        let path = dir.path().join("run/admin.sock");
        let server = Server::bind(&path).expect("binds");
        let context = admin_common::context();
        let (shutdown, stopped) = watch::channel(false);
        let server = tokio::spawn(server.serve(Arc::clone(&context), stopped));
        Self {
            context,
            path,
            shutdown,
            server,
            _dir: dir,
        }
    }

    async fn connect(&self) -> UnixStream {
        UnixStream::connect(&self.path).await.expect("connects")
    }

    /// Sends a line and reads the answer to its end.
    async fn ask(&self, line: &str) -> String {
        let mut stream = self.connect().await;
        let line = format!("{line}\n");
        stream.write_all(line.as_bytes()).await.expect("writes");
        let mut answer = String::new();
        let read = timeout(Duration::from_secs(20), stream.read_to_string(&mut answer)).await;
        read.expect("ends").expect("reads");
        answer
    }

    /// The rows of a table without what differs from run to run.
    async fn rows(&self, line: &str) -> Vec<String> {
        let answer = self.ask(line).await;
        let mut lines = answer.lines();
        assert!(
            lines
                .next()
                .is_some_and(|l| l.starts_with("# table: emqx, ")),
            "{answer}"
        );
        lines.map(row).collect()
    }
}

/// `key=… server_key=…` of a row in HAProxy's shape.
fn row(line: &str) -> String {
    let (number, rest) = line.split_once(": ").expect("number");
    assert!(number.len() == 14 && number.starts_with("0x"), "{line}");
    let (key, rest) = rest.split_once(" use=0 exp=").expect("key and use");
    let (exp, server) = rest.split_once(' ').expect("exp");
    let exp: u64 = exp.parse().expect("milliseconds");
    assert!((1_700_000..=1_800_000).contains(&exp), "{line}");
    format!("{key} {server}")
}

#[tokio::test]
async fn entries_are_set_shown_and_cleared() {
    let admin = Admin::start();
    assert_eq!(
        admin.ask("show table").await,
        "# table: emqx, type: string, size:10240, used:0\n"
    );
    for (key, backend) in [
        ("c0", "emqx1"),
        ("c1", "emqx2"),
        ("c2", "emqx2"),
        ("c3", "emqx1"),
    ] {
        let stored = admin
            .ask(&format!("set table emqx key {key} backend {backend}"))
            .await;
        assert!(
            row(stored.trim_end()).ends_with(&format!("server_key={backend}")),
            "{stored}"
        );
    }
    assert_eq!(
        admin.ask("show table").await,
        "# table: emqx, type: string, size:10240, used:4\n"
    );
    assert_eq!(
        admin.rows("show table emqx").await,
        [
            "key=c0 server_id=1 server_key=emqx1",
            "key=c1 server_id=2 server_key=emqx2",
            "key=c2 server_id=2 server_key=emqx2",
            "key=c3 server_id=1 server_key=emqx1",
        ]
    );
    let c1 = ["key=c1 server_id=2 server_key=emqx2"];
    assert_eq!(admin.rows("show table emqx key c1").await, c1);
    assert_eq!(
        admin.ask("clear table emqx key c0").await,
        "1 entry removed\n"
    );
    assert_eq!(
        admin.ask("clear table emqx key c0").await,
        "error: the table of pool emqx has no key c0\n"
    );
    assert_eq!(
        admin.ask("clear table emqx backend emqx2").await,
        "2 entries removed\n"
    );
    let c3 = ["key=c3 server_id=1 server_key=emqx1"];
    assert_eq!(admin.rows("show table emqx").await, c3);
    assert_eq!(admin.ask("clear table emqx").await, "1 entry removed\n");
    assert_eq!(admin.rows("show table emqx").await, Vec::<String>::new());
}

#[tokio::test]
async fn every_key_can_be_named() {
    let admin = Admin::start();
    let all: Vec<u8> = (0..=u8::MAX).collect();
    for key in [
        &b"a b; c"[..],
        b"\"",
        b"\\x41",
        b"\n",
        &all,
        &[0xff; 65_535],
    ] {
        let word = Word(key);
        admin
            .ask(&format!("set table emqx key {word} backend emqx2"))
            .await;
        let shown = admin.rows("show table emqx").await;
        assert_eq!(shown, [format!("key={word} server_id=2 server_key=emqx2")]);
        let found = admin
            .context
            .pools
            .get("emqx")
            .expect("pool")
            .with_table(|table| table.peek(Instant::now(), key).is_some());
        assert_eq!(found, Some(true), "the table has another key than {word}");
        let cleared = admin.ask(&format!("clear table emqx key {word}")).await;
        assert_eq!(cleared, "1 entry removed\n");
    }
}

#[tokio::test]
async fn a_big_table_comes_whole() {
    let admin = Admin::start();
    let pool = admin.context.pools.get("emqx").expect("pool");
    let backend = pool.backend("emqx1").expect("backend");
    for n in 0..5_000 {
        let key = format!("client-{n}");
        pool.with_table(|table| table.set(Instant::now(), key.as_bytes(), backend.id));
    }
    let rows = admin.rows("show table emqx").await;
    assert_eq!(rows.len(), 5_000);
    assert_eq!(
        rows.iter().collect::<HashSet<_>>().len(),
        5_000,
        "a row came twice"
    );
}

#[tokio::test]
async fn backends_are_shown_and_set() {
    let admin = Admin::start();
    assert_eq!(
        admin.ask("show backends").await,
        "# pool name      address         weight health state connections\n\
         emqx   emqx1     127.0.0.1:11883 1      up     ready 0\n\
         emqx   emqx2     127.0.0.1:21883 3      up     ready 0\n\
         plain  mosquitto 127.0.0.1:31883 1      up     ready 0\n"
    );
    let answer = admin.ask("set backend emqx/emqx2 state drain").await;
    assert_eq!(answer, "backend emqx/emqx2: drain\n");
    let backend = admin
        .context
        .pools
        .get("emqx")
        .and_then(|pool| pool.backend("emqx2"));
    let backend = backend.expect("backend");
    assert_eq!(backend.admin_state(), AdminState::Drain);
    let answer = admin.ask("set backend emqx/emqx2 weight 7").await;
    assert_eq!(answer, "backend emqx/emqx2: weight 7\n");
    let _lease = backend.open();
    let shown = admin.ask("show backends emqx").await;
    assert!(
        shown.ends_with("emqx2 127.0.0.1:21883 7      up     drain 1\n"),
        "{shown}"
    );
    assert!(!shown.contains("mosquitto"), "{shown}");
    admin.context.status.enter(Phase::Serving);
    let info = admin.ask("show info").await;
    for line in ["Phase: serving", "CurrConns: 1", "Backends: 3/3 up"] {
        assert!(info.lines().any(|l| l == line), "no {line} in {info}");
    }
}

#[tokio::test]
async fn what_is_wrong_is_said_in_one_line() {
    let admin = Admin::start();
    for (line, answer) in [
        ("shwo", "error: unknown command \"shwo\": try help\n"),
        (
            "show table emqq",
            "error: no pool emqq: there is emqx, plain\n",
        ),
        ("show table plain", "error: pool plain has no stick table\n"),
        (
            "clear table plain",
            "error: pool plain has no stick table\n",
        ),
        (
            "set table plain key a backend mosquitto",
            "error: pool plain has no stick table\n",
        ),
        (
            "set table emqx key a backend \"e\\x00\"",
            "error: no backend \"e\\x00\" in pool emqx: there is emqx1, emqx2\n",
        ),
        (
            "set backend emqx/x state maint",
            "error: no backend x in pool emqx: there is emqx1, emqx2\n",
        ),
        ("show table emqx key \"a", "error: a quote is not closed\n"),
        (
            "show table emqx key a",
            "error: the table of pool emqx has no key a\n",
        ),
        (
            &"x".repeat(300 << 10),
            "error: the line is longer than 307200 bytes\n",
        ),
    ] {
        assert_eq!(admin.ask(line).await, answer);
    }
    let mut garbage = admin.connect().await;
    garbage.write_all(b"\x00\xff\xfe\n").await.expect("writes");
    let mut answer = String::new();
    garbage.read_to_string(&mut answer).await.expect("text");
    assert_eq!(
        answer,
        "error: unknown command \"\\x00\\xff\\xfe\": try help\n"
    );
}

#[tokio::test]
async fn several_commands_and_a_prompt() {
    let admin = Admin::start();
    let two = admin.ask("clear table emqx; show table").await;
    let head = "# table: emqx, type: string, size:10240, used:0\n";
    assert_eq!(two, format!("0 entries removed\n\n{head}"));
    let talk = admin
        .ask("prompt\nshow table\n\nshwo\nquit\nshow info")
        .await;
    assert_eq!(
        talk,
        format!("\n> {head}\n> \n> error: unknown command \"shwo\": try help\n\n> ")
    );
}

#[tokio::test]
async fn connections_are_bounded() {
    let admin = Admin::start();
    let mut idle = Vec::new();
    for _ in 0..16 {
        idle.push(admin.connect().await);
    }
    let mut late = admin.connect().await;
    late.write_all(b"show table\n").await.expect("writes");
    let mut byte = [0];
    let early = timeout(Duration::from_millis(300), late.read(&mut byte)).await;
    assert!(early.is_err(), "the 17th connection was served");
    idle.pop();
    let served = timeout(Duration::from_secs(20), late.read(&mut byte)).await;
    assert_eq!(served.expect("served").expect("reads"), 1);
}

#[tokio::test]
async fn it_ends_with_the_process() {
    let admin = Admin::start();
    let mut open = admin.connect().await;
    admin.shutdown.send(true).expect("served");
    timeout(Duration::from_secs(20), admin.server)
        .await
        .expect("ends")
        .expect("task")
        .expect("ok");
    assert!(!admin.path.exists());
    let end = timeout(Duration::from_secs(20), open.read(&mut [0]))
        .await
        .expect("ends");
    assert!(matches!(end, Ok(0) | Err(_)), "still open: {end:?}");
}
