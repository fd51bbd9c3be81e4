//! `mqtt-lb explain`: it says where a client then goes, why, and changes nothing.

use std::time::Duration;

use mqtt_lb_tests::lb::{DataPath, Lb, config};
use mqtt_lb_tests::require::{Need, met};
use mqtt_lb_tests::solo::{FRONT, Solo, backend};

const NEEDS: &[Need] = &[Need::Root, Need::Program("ip")];
const POOL: &str = "[pool.brokers.stick]\nsize = 1000\n[pool.brokers.health]\ntype = \"off\"";

fn start<'a>(solo: &'a Solo, pool: &str, more: &str) -> Lb<'a> {
    let text = config(FRONT, pool, &solo.backends()) + more;
    Lb::start(&solo.ns, DataPath::Copy, &text)
}

/// What follows a name at the beginning of a line.
fn line<'a>(answer: &'a str, name: &str) -> &'a str {
    let mut lines = answer.lines();
    lines
        .find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
        .unwrap_or_else(|| panic!("no {name}:\n{answer}"))
}

/// The row of a backend: order, backend, state, weight, load, why.
fn row<'a>(answer: &'a str, backend: &str) -> Vec<&'a str> {
    let cells = |mut rest: &'a str| {
        let mut cells = Vec::new();
        while cells.len() < 5 {
            let (cell, behind) = rest.split_once(' ')?;
            cells.push(cell);
            rest = behind.trim_start();
        }
        cells.push(rest);
        Some(cells)
    };
    let mut rows = answer.lines().filter_map(cells);
    rows.find(|cells| cells[1] == backend)
        .unwrap_or_else(|| panic!("no row of {backend}:\n{answer}"))
}

/// The metrics, without those that change while nothing happens.
fn counted(lb: &Lb<'_>) -> Vec<String> {
    let (_, text) = lb.get("/metrics");
    let quiet = |line: &&str| !line.starts_with("process_") && !line.contains("_seconds{");
    text.lines().filter(quiet).map(str::to_owned).collect()
}

/// The table's rows, and how long until each expires.
fn table(lb: &Lb<'_>) -> (Vec<String>, Vec<u64>) {
    let text = lb.admin_ok(&["table", "show", "brokers"]);
    let rows = text.lines().skip(1).map(|row| {
        let is_left = |word: &&str| word.starts_with("exp=");
        let left = row.split(' ').find(is_left).expect("a time");
        let rest: Vec<_> = row.split(' ').filter(|word| !is_left(word)).collect();
        (rest.join(" "), left[4..].parse::<u64>().expect("a number"))
    });
    rows.unzip()
}

#[test]
fn it_says_where_a_client_goes_and_changes_nothing() {
    if !met(NEEDS) {
        return;
    }
    let solo = Solo::new(3);
    let lb = start(&solo, POOL, "");
    let (_known, home) = solo.place("known");
    let before = (table(&lb), counted(&lb));
    for n in 0..7 {
        lb.admin_ok(&["explain", "known"]);
        lb.admin_ok(&["explain", &format!("new-{n}")]);
    }
    std::thread::sleep(Duration::from_millis(50));
    lb.admin_ok(&["explain", "known"]);
    let after = (table(&lb), counted(&lb));
    assert_eq!(after.0.0, before.0.0, "entries");
    assert!(after.0.1[0] < before.0.1[0], "an entry was refreshed");
    assert_eq!(after.1, before.1, "metrics");

    let answer = lb.admin_ok(&["explain", "known"]);
    assert_eq!(line(&answer, "choice"), format!("b{home}"), "{answer}");
    assert!(line(&answer, "table").starts_with(&format!("b{home}, home b{home}, matched ")));
    let row = row(&answer, &format!("b{home}"));
    assert_eq!(
        row,
        ["1", row[1], "up/ready", "1", "1", "table entry"],
        "{answer}"
    );
    // The turns of round robin: each is foretold, however often it is asked for.
    for n in 0..6 {
        let id = format!("c{n}");
        let foretold: Vec<_> = (0..4).map(|_| lb.admin_ok(&["explain", &id])).collect();
        assert!(foretold.iter().all(|answer| *answer == foretold[0]));
        let (_client, place) = solo.place(&id);
        assert_eq!(line(&foretold[0], "choice"), format!("b{place}"), "{id}");
    }
}

#[test]
fn every_backend_that_is_not_taken_says_why() {
    if !met(NEEDS) {
        return;
    }
    let solo = Solo::new(4);
    let pool = format!("balance = \"leastconn\"\n{POOL}");
    let lb = start(&solo, &pool, "maxconn = 1\n");
    let (_first, home) = solo.place("known");
    let others: Vec<_> = (1..=3).filter(|n| *n != home).collect();
    lb.admin_ok(&["backend", "drain", &format!("brokers/b{home}")]);
    let name = |n: usize| format!("brokers/b{n}");
    lb.admin_ok(&["backend", "maint", &name(others[0])]);
    // The fourth has one place.
    if home != 4 {
        lb.admin_ok(&["backend", "drain", &name(others[1])]);
        let (_full, place) = solo.place("fills");
        assert_eq!(place, 4);
        let answer = lb.admin_ok(&["explain", "new"]);
        assert_eq!(
            row(&answer, "b4")[4..],
            ["1/1", "full: it has maxconn connections"]
        );
        assert!(
            line(&answer, "choice").starts_with("nobody, all are full"),
            "{answer}"
        );
        lb.admin_ok(&["backend", "ready", &name(others[1])]);
    }
    let known = lb.admin_ok(&["explain", "known"]);
    let home = format!("b{home}");
    assert_eq!(row(&known, &home)[5], "table entry", "{known}");
    let new = lb.admin_ok(&["explain", "new"]);
    assert_eq!(row(&new, &home)[0], "-", "{new}");
    assert!(
        row(&new, &home)[5].starts_with("not taken: draining"),
        "{new}"
    );
    let maint = row(&new, &format!("b{}", others[0]));
    assert_eq!(
        maint[2..],
        ["up/maint", "1", "0", "not taken: in maintenance"]
    );
    assert_eq!(line(&new, "choice"), format!("b{}", others[1]), "{new}");
}

#[test]
fn routes_and_keys_are_those_of_the_connect() {
    if !met(NEEDS) {
        return;
    }
    let solo = Solo::new(1);
    let other = backend(9);
    let more = format!(
        "[[listener.mqtt.route]]\nlevel = [5]\nclient_id = \"^car-\"\npool = \"cars\"\n\
         [listener.second]\nbind = \"127.0.0.1:1884\"\npool = \"cars\"\n\
         [pool.cars]\nempty_client_id = \"reject\"\n[pool.cars.key]\nfrom = \"user_property\"\n\
         property = \"tenant\"\nstrip_prefix = \"t-\"\n\
         [[pool.cars.backend]]\nname = \"x\"\naddress = \"{other}\"\n"
    );
    let lb = start(&solo, POOL, &more);
    let refused = lb.admin(&["explain", "car-1"]);
    let error = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(error.contains("there is mqtt, second"), "{error}");

    let mqtt = ["explain", "car-1", "--listener", "mqtt"];
    let old = lb.admin_ok(&mqtt);
    assert_eq!(line(&old, "route"), "none of 1, the listener's own pool");
    assert_eq!(line(&old, "pool"), "brokers");
    assert_eq!(line(&old, "key"), "car-1 (of client_id)");
    assert_eq!(line(&old, "table"), "no entry");

    let five = [&mqtt[..], &["--level", "5", "--property", "tenant=t-7"]].concat();
    let new = lb.admin_ok(&five);
    assert_eq!(
        line(&new, "route"),
        "1: level = [5], client_id = ^car-",
        "{new}"
    );
    assert_eq!(line(&new, "pool"), "cars");
    assert_eq!(line(&new, "key"), "7 (of user_property tenant)");
    assert_eq!(line(&new, "table"), "the pool has none");
    let nobody = lb.admin_ok(&["explain", "car-1", "--pool", "cars"]);
    assert!(
        line(&nobody, "choice").contains("empty_client_id"),
        "{nobody}"
    );
}
