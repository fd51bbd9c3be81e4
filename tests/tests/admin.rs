//! The commands an operator uses on a running balancer.

use mqtt_lb_tests::lb::{DataPath, Lb, config};
use mqtt_lb_tests::require::{Need, met};
use mqtt_lb_tests::solo::{FRONT, Solo};

const NEEDS: &[Need] = &[Need::Root, Need::Program("ip")];
const POOL: &str = "[pool.brokers.stick]\nsize = 1000\n[pool.brokers.health]\ntype = \"off\"";

fn start(solo: &Solo) -> Lb<'_> {
    Lb::start(
        &solo.ns,
        DataPath::Auto,
        &config(FRONT, POOL, &solo.backends()),
    )
}

#[test]
fn the_table_is_shown_set_and_cleared() {
    if !met(NEEDS) {
        return;
    }
    let solo = Solo::new(2);
    let lb = start(&solo);
    let (_, first) = solo.place("c0");
    let other = 3 - first;
    let table = lb.admin_ok(&["table", "show", "brokers"]);
    assert!(
        table.contains("# table: brokers, type: string, size:1000, used:1"),
        "{table}"
    );
    assert!(table.contains("key=c0 ") && table.contains(&format!("server_key=b{first}")));

    lb.admin_ok(&["table", "set", "brokers", "c0", &format!("b{other}")]);
    assert_eq!(solo.place("c0").1, other, "the table decides");
    lb.admin_ok(&[
        "table",
        "set",
        "brokers",
        "never-seen",
        &format!("b{other}"),
    ]);
    assert_eq!(solo.place("never-seen").1, other, "for clients to come too");

    lb.admin_ok(&["table", "clear", "brokers", "--key", "c0"]);
    let table = lb.admin_ok(&["table", "show", "brokers"]);
    assert!(
        !table.contains("key=c0 ") && table.contains("key=never-seen "),
        "{table}"
    );
    lb.admin_ok(&["table", "clear", "brokers", "--all"]);
    assert!(
        lb.admin_ok(&["table", "show", "brokers"])
            .contains("used:0")
    );
}

#[test]
fn a_draining_backend_keeps_its_clients_and_gets_no_new_ones() {
    if !met(NEEDS) {
        return;
    }
    let solo = Solo::new(2);
    let lb = start(&solo);
    let (mut live, first) = solo.place("regular");
    let name = format!("brokers/b{first}");
    lb.admin_ok(&["backend", "drain", &name]);
    for n in 0..4 {
        assert_eq!(
            solo.place(&format!("new-{n}")).1,
            3 - first,
            "no new client"
        );
    }
    live.ping().expect("a live connection goes on");
    assert_eq!(
        solo.place("regular").1,
        first,
        "the table's clients may come"
    );

    lb.admin_ok(&["backend", "maint", &name]);
    assert_eq!(
        solo.place("regular").1,
        3 - first,
        "in maintenance not even they"
    );
    let list = lb.admin_ok(&["backend", "list"]);
    let line = list
        .lines()
        .find(|line| line.contains(&format!("b{first} ")))
        .unwrap_or_default();
    assert!(line.contains("maint"), "{list}");

    lb.admin_ok(&["backend", "ready", &name]);
    let places: Vec<usize> = (0..4)
        .map(|n| solo.place(&format!("later-{n}")).1)
        .collect();
    assert!(places.contains(&first), "{places:?}");
}

#[test]
fn wrong_commands_say_what_is_there() {
    if !met(NEEDS) {
        return;
    }
    let solo = Solo::new(1);
    let lb = start(&solo);
    let wrong: [(&[&str], &str); 3] = [
        (&["backend", "drain", "brokers/b9"], "b1"),
        (&["table", "show", "pool9"], "brokers"),
        (&["table", "clear", "brokers", "--key", "nobody"], "nobody"),
    ];
    for (words, hint) in wrong {
        let out = lb.admin(words);
        let error = String::from_utf8_lossy(&out.stderr);
        assert!(!out.status.success(), "{words:?} should fail");
        assert!(
            error.contains(hint) && error.trim().lines().count() == 1,
            "{words:?}: {error}"
        );
    }
    solo.place("still-served");
}
