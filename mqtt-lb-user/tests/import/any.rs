//! Whatever is imported: no panic, what comes out runs, what is not understood is said.

use crate::common::{done, resolve};
use mqtt_lb_user::config::parse;
use mqtt_lb_user::import::import;
use proptest::prelude::*;

/// Words of both languages, and some that are none.
const WORDS: &[&str] = &[
    "global",
    "defaults",
    "frontend",
    "backend",
    "listen",
    "peers",
    "\n",
    "\n",
    "\n",
    "\n",
    " ",
    " ",
    " ",
    "{",
    "}",
    ";",
    ";\n",
    "#",
    "\"",
    "'",
    "\\",
    "$x",
    "${x}",
    "bind",
    "*:1883",
    "[::]:1",
    "server",
    "a",
    "b",
    "10.0.0.1:1883",
    "10.0.0.2:1",
    "known.example:1",
    "no.example:1",
    "check",
    "inter",
    "2s",
    "99999999999999999999",
    "0",
    "-1",
    "rise",
    "weight",
    "maxconn",
    "backup",
    "slowstart",
    "send-proxy",
    "send-proxy-v2",
    "balance",
    "roundrobin",
    "hash",
    "random(2)",
    "source",
    "stick-table",
    "type",
    "string",
    "len",
    "32",
    "size",
    "100k",
    "expire",
    "30m",
    "nopurge",
    "stick",
    "on",
    "src",
    "req.payload(0,0),mqtt_field_value(connect,client_identifier)",
    "mode",
    "tcp",
    "http",
    "timeout",
    "connect",
    "queue",
    "use_backend",
    "default_backend",
    "if",
    "acl",
    "-m",
    "reg",
    "(",
    "option",
    "tcp-check",
    "stats",
    "socket",
    "/s",
    "from",
    "stream",
    "upstream",
    "listen",
    "1883",
    "proxy_pass",
    "proxy_protocol",
    "$mqtt_preread_clientid",
    "consistent",
    "least_conn",
    "map",
    "health_check",
    "interval=1",
    "weight=2",
    "max_conns=9",
    "down",
    "events",
    "http",
    "default-server",
    "no",
    "\u{0}",
    "\u{85}",
    "ä",
];

fn text() -> impl Strategy<Value = String> {
    let word = prop_oneof![
        8 => prop::sample::select(WORDS).prop_map(str::to_owned),
        1 => ".{0,6}",
    ];
    prop::collection::vec(word, 0..120).prop_map(|words| words.join(" "))
}

/// Lines that make sense by themselves, in any order, around one that can run.
fn lines() -> impl Strategy<Value = String> {
    let line = prop::collection::vec(prop::sample::select(WORDS), 1..7).prop_map(|w| w.join(" "));
    let line = line.prop_map(|line| line.replace('\n', " "));
    prop::collection::vec(line, 0..20).prop_map(|lines| {
        let body = lines.join("\n  ");
        format!("listen l\n  bind *:1883\n  {body}\n  server s1 10.0.0.7:1883\n")
    })
}

fn check(text: &str) {
    match import("f\n.cfg", text, &resolve) {
        Ok(imported) => {
            let parsed = parse("imported", &imported.config);
            assert!(parsed.is_ok(), "{parsed:?}\n{}", imported.config);
        }
        Err(failed) => assert!(!failed.why.is_empty()),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn words_in_any_order(text in text()) {
        check(&text);
    }

    #[test]
    fn any_text(text in any::<String>()) {
        check(&text);
    }

    #[test]
    fn lines_in_any_order(text in lines()) {
        check(&text);
    }

    #[test]
    fn a_word_that_nobody_knows_is_noted(word in "[a-z]{3,9}zz", haproxy in any::<bool>()) {
        let (text, line) = match haproxy {
            true => (format!("listen l\n bind :1\n server s 10.0.0.1:1\n {word} x\n"), 4),
            false => {
                let server = "server { listen 1; proxy_pass u; }";
                let upstream = "upstream u { server 10.0.0.1:1; }";
                (format!("stream {{\n{upstream}\n{server}\n{word} x;\n}}\n"), 4)
            }
        };
        let done = done(&text);
        let said = format!("{word} x");
        assert!(done.note(line, &said).starts_with("not taken: "));
        prop_assert!(!done.complete);
    }
}

#[test]
fn what_is_neither_language_is_refused() {
    for text in [
        "",
        "hello\n",
        "[listener.mqtt]\nbind = \"0.0.0.0:1883\"\n",
        "global of it\n",
    ] {
        let failed = import("f", text, &resolve).expect_err(text);
        assert!(failed.why[0].contains("neither"), "{:?}", failed.why);
    }
    let failed = import("f", "global\n maxconn 10\n", &resolve).expect_err("no listener");
    assert!(
        failed.why.iter().any(|why| why.contains("no listener")),
        "{:?}",
        failed.why
    );
}

/// Each of them is wrong in a way that only the reader of the configuration finds.
#[test]
fn a_thousand_servers() {
    let mut text = "listen l\n bind :1883\n".to_owned();
    for n in 0..1_000 {
        text += &format!(" server s{n} 10.0.{}.{}:1883 weight 999\n", n >> 8, n & 255);
    }
    let done = done(&text);
    assert_eq!(done.config.pools["l"].backends.len(), 1_000);
    assert_eq!(done.not_taken().len(), 1_000, "one weight each");
}
