use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixListener;
use std::thread;

use clap::CommandFactory;
use mqtt_lb_user::config::{Balance, Config, Origin, PathKind, ProxyProtocol, Stick};

use super::*;

fn parse(line: &str) -> Result<Cli, clap::Error> {
    Cli::try_parse_from(line.split(' '))
}

fn config(line: &str) -> Config {
    match parse(line).expect(line).command {
        Command::Run(run) => run.config().expect(line).0,
        other => panic!("{line} is {other:?}"),
    }
}

fn words(line: &str) -> String {
    match parse(line).expect(line).command {
        Command::Table { command, .. } => command.line(),
        Command::Backend { command, .. } => command.line(),
        Command::Ids { command, .. } => command.line(),
        Command::Explain(explain) => explain.line(),
        Command::Flows {
            command: FlowsCommand::List { path },
            ..
        } => admin::show_flows(path),
        other => panic!("{line} is {other:?}"),
    }
}

#[test]
fn definitions_are_consistent() {
    Cli::command().debug_assert();
}

#[test]
fn flags_make_a_configuration() {
    let short = config(
        "mqtt-lb run --listen 0.0.0.0:1883 --backend 10.0.0.1:1883 --backend x=10.0.0.2:1884",
    );
    assert_eq!(short.listeners["l1"].bind, "0.0.0.0:1883".parse().unwrap());
    let pool = &short.pools[&short.listeners["l1"].pool];
    let names: Vec<_> = pool.backends.iter().map(|b| b.name.as_str()).collect();
    assert_eq!(names, ["b1", "x"]);
    assert_eq!(pool.backends[1].address, "10.0.0.2:1884".parse().unwrap());
    assert_eq!(pool.stick, Some(Stick::default()));
    let default = Config::default();
    assert_eq!(
        (short.http, &short.admin, &short.datapath, &short.log),
        (
            default.http,
            &default.admin,
            &default.datapath,
            &default.log
        ),
    );

    let long = config(
        "mqtt-lb run --listen 0.0.0.0:1883,[::]:1884 --backend [::1]:1885 --balance leastconn \
         --proxy-protocol v2 --no-stick --datapath splice,copy --log-format json --admin-socket off --http off",
    );
    let pool = &long.pools["default"];
    assert_eq!(long.listeners.len(), 2);
    assert_eq!(
        (pool.balance, pool.proxy_protocol),
        (Balance::LeastConn, ProxyProtocol::V2)
    );
    assert_eq!((pool.stick, long.admin, long.http), (None, None, None));
    assert_eq!(long.datapath, [PathKind::Splice, PathKind::Copy]);
}

#[test]
fn drop_flows_goes_over_flags_and_file() {
    let base = "mqtt-lb run --listen 0.0.0.0:1883 --backend 10.0.0.1:1883";
    assert!(!config(base).splice.drop_flows);
    assert!(config(&format!("{base} --drop-flows")).splice.drop_flows);

    let directory = tempfile::tempdir().expect("temporary directory");
    let file = directory.path().join("x.toml");
    let example = include_str!("../../../examples/haproxy-recipe.toml");
    std::fs::write(&file, example).expect("written");
    let line = format!("mqtt-lb run -f {} --drop-flows", file.display());
    let Command::Run(run) = parse(&line).expect(&line).command else {
        panic!("{line}");
    };
    let (config, origin) = run.config().expect("valid");
    assert!(config.splice.drop_flows);
    let drop_flows = true;
    let origin = origin.expect("a file");
    assert_eq!(origin, Origin { file, drop_flows });
    assert!(origin.load().expect("valid").splice.drop_flows, "reloaded");
}

#[test]
fn flush_is_about_the_usual_pins_and_this_namespace() {
    let Command::Flows { command, .. } = parse("mqtt-lb flows flush").expect("valid").command
    else {
        panic!("another command");
    };
    let FlowsCommand::Flush {
        pin,
        all_namespaces,
    } = command
    else {
        panic!("{command:?}");
    };
    assert_eq!((pin, all_namespaces), (Splice::default().pin, false));
}

#[test]
fn bad_flags_are_refused() {
    let base = "mqtt-lb run --listen 0.0.0.0:1883 --backend 10.0.0.1:1883";
    for line in [
        "mqtt-lb run".to_owned(),
        "mqtt-lb run --listen 0.0.0.0:1883".to_owned(),
        "mqtt-lb run --backend 10.0.0.1:1883".to_owned(),
        "mqtt-lb run -f x.toml --balance hash".to_owned(),
        format!("{base} -f x.toml"),
        format!("{base} --listen localhost:1883"),
        format!("{base} --listen 0.0.0.0:0"),
        format!("{base} --backend 0.0.0.0:1883"),
        format!("{base} --backend a/b=10.0.0.2:1883"),
        format!("{base} --balance rr"),
        format!("{base} --http 9180"),
        format!("{base} --admin-socket {}", "x".repeat(108)),
        "mqtt-lb table clear emqx".to_owned(),
        "mqtt-lb table clear emqx --all --key c0".to_owned(),
        "mqtt-lb table show --key c0".to_owned(),
        r"mqtt-lb table show emqx --key \q".to_owned(),
        "mqtt-lb backend drain emqx1".to_owned(),
        "mqtt-lb backend drain emqx/emqx1 --deadline 30".to_owned(),
        "mqtt-lb backend shutdown emqx1".to_owned(),
        "mqtt-lb backend weight emqx/emqx1".to_owned(),
        "mqtt-lb backend weight emqx/emqx1 257".to_owned(),
        "mqtt-lb flows list --path xdp".to_owned(),
        "mqtt-lb flows flush --pin relative".to_owned(),
    ] {
        assert!(parse(&line).is_err(), "{line}");
    }
}

#[test]
fn flags_that_exclude_each_other_are_refused() {
    let base = "mqtt-lb run --listen 0.0.0.0:1883 --backend 10.0.0.1:1883";
    for (flags, expected) in [
        (
            "--backend 10.0.0.1:1883",
            "--backend: 10.0.0.1:1883 is already the address of backend b1: \
             remove one, a bigger share is a bigger weight",
        ),
        (
            "--backend b1=10.0.0.2:1883",
            "--backend: b1 is already the name of a backend: take another one",
        ),
        (
            "--backend 127.0.0.1:1883",
            "--backend: 127.0.0.1:1883 is listener l1 of this balancer: write the address of the broker",
        ),
        (
            "--listen 0.0.0.0:1883",
            "--listen: 0.0.0.0:1883 is already the address of listener l1: take another one",
        ),
        (
            "--http 0.0.0.0:1883",
            "--http: 0.0.0.0:1883 is already the address of listener l1: take another one",
        ),
        (
            "--datapath copy,sockmap",
            "--datapath: names a data path behind \"copy\", which is always possible: put \"copy\" last",
        ),
    ] {
        let Command::Run(run) = parse(&format!("{base} {flags}")).expect(flags).command else {
            panic!("{flags}");
        };
        assert_eq!(run.config().expect_err(flags).to_string(), expected);
    }
}

#[test]
fn commands_become_the_words_of_the_socket() {
    for (line, expected) in [
        ("mqtt-lb table show", "show table"),
        ("mqtt-lb table show emqx", "show table emqx"),
        (
            r"mqtt-lb table show emqx --key a\x20\xff;",
            r#"show table emqx key "a \xff;""#,
        ),
        (
            r"mqtt-lb table show emqx --key \\\x00",
            r#"show table emqx key "\\\x00""#,
        ),
        (
            "mqtt-lb table set emqx c0 emqx1",
            "set table emqx key c0 backend emqx1",
        ),
        ("mqtt-lb table clear emqx --all", "clear table emqx"),
        (
            "mqtt-lb table clear emqx --key c0",
            "clear table emqx key c0",
        ),
        (
            "mqtt-lb table clear emqx --backend emqx1",
            "clear table emqx backend emqx1",
        ),
        ("mqtt-lb explain c0", "explain c0"),
        (
            r"mqtt-lb explain a\x00 --level 5 --username a;b --property t=1 --property u=2",
            r#"explain "a\x00" level=5 "username=a;b" property=t=1 property=u=2"#,
        ),
        (
            "mqtt-lb explain c0 --listener mqtt --source 192.0.2.7 --will-topic t/x",
            "explain c0 listener=mqtt will_topic=t/x source=192.0.2.7",
        ),
        ("mqtt-lb ids top", "show ids 10"),
        ("mqtt-lb ids top -n 3", "show ids 3"),
        ("mqtt-lb ids clear", "clear ids"),
        ("mqtt-lb backend list", "show backends"),
        ("mqtt-lb backend list emqx", "show backends emqx"),
        (
            "mqtt-lb backend weight emqx/emqx1 0",
            "set backend emqx/emqx1 weight 0",
        ),
        (
            "mqtt-lb backend drain emqx/emqx1",
            "set backend emqx/emqx1 state drain",
        ),
        (
            "mqtt-lb backend ready emqx/emqx1",
            "set backend emqx/emqx1 state ready",
        ),
        (
            "mqtt-lb backend maint emqx/emqx1",
            "set backend emqx/emqx1 state maint",
        ),
        (
            "mqtt-lb backend drain emqx/emqx1 --deadline 1m30s",
            "set backend emqx/emqx1 state drain deadline 90s",
        ),
        (
            "mqtt-lb backend shutdown emqx/emqx1",
            "shutdown sessions server emqx/emqx1",
        ),
        ("mqtt-lb flows list", "show flows"),
        ("mqtt-lb flows list --path splice", "show flows path splice"),
    ] {
        assert_eq!(words(line), expected, "{line}");
    }
}

/// Asks a balancer that gives this answer; what it was asked, printed and failed with.
fn asked(answer: &'static [u8]) -> (String, String, Option<String>) {
    let directory = tempfile::tempdir().expect("temporary directory");
    let path = directory.path().join("admin.sock");
    let listener = UnixListener::bind(&path).expect("socket");
    let server = thread::spawn(move || {
        let (mut stream, _) = listener.accept().expect("client");
        let mut line = String::new();
        BufReader::new(&stream).read_line(&mut line).expect("line");
        stream.write_all(answer).expect("answer");
        line
    });
    let mut out = Vec::new();
    let result = admin::ask(&path, "show table", &mut out);
    let line = server.join().expect("server");
    let printed = String::from_utf8(out).expect("text");
    (line, printed, result.err().map(|error| error.to_string()))
}

#[test]
fn answers_are_printed_and_errors_returned() {
    let line = || "show table\n".to_owned();
    assert_eq!(asked(b""), (line(), String::new(), None));
    assert_eq!(asked(b"ok\n"), (line(), "ok\n".to_owned(), None));
    let rows = b"# table: emqx, used:1\nkey=error: x\n";
    let text = String::from_utf8_lossy(rows).into_owned();
    assert_eq!(asked(rows), (line(), text, None));
    let failed = Some("there is no pool x".to_owned());
    assert_eq!(
        asked(b"error: there is no pool x\n"),
        (line(), String::new(), failed)
    );
}

#[test]
fn nobody_at_the_socket_is_said_in_one_line() {
    let nobody = std::path::Path::new("/nonexistent/admin.sock");
    let error = admin::ask(nobody, "show table", &mut Vec::new()).expect_err("nobody");
    let text = format!("{error:#}");
    assert!(
        text.starts_with("cannot reach the balancer at /nonexistent/admin.sock: "),
        "{text}"
    );
    assert!(!text.contains('\n'), "{text}");
}
