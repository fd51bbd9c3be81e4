//! The splice path's maps and links outlive their process, and belong to one at a time.
//! Needs root and the kernel half; skipped otherwise.

mod flush;
mod neighbour;
mod place;

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use aya::maps::{MapData, MapInfo};
use aya::programs::links::{FdLink, PinnedLink};
use mqtt_lb_ebpf::tuple::{Place as Slot, Place6, Tuple4, Tuple6};
use mqtt_lb_user::config::{Attach, Splice};
use mqtt_lb_user::datapath::splice::Hook;
use mqtt_lb_user::datapath::splice::kernel::{Opened, SpliceKernel};
use place::{ip, run};

const KEY4: Tuple4 = Tuple4 {
    source: [10, 0, 0, 1],
    destination: [10, 0, 0, 2],
    source_port: [1, 2],
    destination_port: [3, 4],
};
const KEY6: Tuple6 = Tuple6 {
    source: [1; 16],
    destination: [2; 16],
    source_port: [1, 2],
    destination_port: [3, 4],
};
const PLACE6: Place6 = Place6 {
    place: Slot(9),
    source: [3; 16],
    destination: [4; 16],
};

fn open(config: &Splice) -> Opened {
    SpliceKernel::open(config, &["0.0.0.0:1883".parse().unwrap()]).expect("open")
}

fn refused(config: &Splice) -> String {
    match SpliceKernel::open(config, &[]) {
        Ok(_) => panic!("it was opened"),
        Err(error) => format!("{error:#}"),
    }
}

fn hook(kernel: &SpliceKernel, name: &str) -> Option<Hook> {
    let interfaces = kernel.interfaces();
    interfaces.iter().find(|i| i.name == name)?.hook
}

/// Link and program ids of the pinned links, by name.
fn links(pins: &Path) -> BTreeMap<String, (u32, u32)> {
    let mut links = BTreeMap::new();
    for entry in std::fs::read_dir(pins).expect("pins").flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        if name.contains('-') {
            let link: FdLink = PinnedLink::from_pin(entry.path()).expect("link").into();
            let info = link.info().expect("info");
            links.insert(name, (info.id(), info.program_id()));
        }
    }
    links
}

#[test]
fn one_process_at_a_time() {
    run(|place| {
        let first = open(&place.config());
        assert!(!first.adopted);
        let expected = format!(
            "another mqtt-lb of this network namespace uses {}",
            place.pins().display()
        );
        assert_eq!(refused(&place.config()), expected);

        // A child that runs on does not keep the lock.
        let mut child = Command::new("sleep").arg("60").spawn().expect("sleep");
        drop(first);
        let second = SpliceKernel::open(&place.config(), &[]);
        child.kill().and_then(|()| child.wait()).expect("killed");
        assert!(second.expect("the lock is free").adopted);
    });
}

#[test]
fn what_a_process_leaves_is_adopted_with_its_contents() {
    run(|place| {
        let first = open(&place.config()).kernel;
        first.insert4(KEY4, Slot::new(5, 1)).expect("room");
        first.insert6(KEY6, PLACE6).expect("room");
        // SAFETY: nobody else uses the slot and the note.
        unsafe {
            (*first.slots().at(5)).hold_until_ms = 77;
            (*first.notes().at(63)).keepalive = 30;
        }
        drop(first);

        let Opened { kernel, adopted } = open(&place.config());
        assert!(adopted);
        assert_eq!(kernel.keys4().expect("keys"), [(KEY4, Slot::new(5, 1))]);
        assert_eq!(kernel.keys6().expect("keys"), [(KEY6, PLACE6)]);
        // SAFETY: as above.
        let seen = unsafe {
            (
                (*kernel.slots().at(5)).hold_until_ms,
                (*kernel.notes().at(63)).keepalive,
            )
        };
        assert_eq!(seen, (77, 30));
    });
}

#[test]
fn a_key_is_inserted_once_and_removed() {
    run(|place| {
        let kernel = open(&place.config()).kernel;
        kernel.insert4(KEY4, Slot(1)).expect("room");
        let again = kernel.insert4(KEY4, Slot(2)).expect_err("twice");
        assert_eq!(again.kind(), std::io::ErrorKind::AlreadyExists);
        assert_eq!(kernel.keys4().expect("keys"), [(KEY4, Slot(1))]);
        kernel.remove4(&KEY4);
        assert_eq!(kernel.keys4().expect("keys"), []);
    });
}

#[test]
fn an_upgrade_puts_new_programs_into_the_old_links() {
    run(|place| {
        drop(open(&place.config()));
        let before = links(&place.pins());
        assert_eq!(before.keys().collect::<Vec<_>>(), ["syn-1", "tcx-1"]);
        let second = open(&place.config()).kernel;
        let after = links(&place.pins());
        for (name, (link, program)) in &before {
            assert_eq!(after[name].0, *link, "{name} is the same link");
            assert_ne!(after[name].1, *program, "{name} has another program");
        }
        assert_eq!(hook(&second, "lo"), Some(Hook::Tcx));
    });
}

#[test]
fn maps_of_another_size_are_used_as_they_are() {
    run(|place| {
        drop(open(&place.config()));
        let bigger = Splice {
            max_flows: 128,
            ..place.config()
        };
        let Opened { kernel, adopted } = open(&bigger);
        assert!(adopted);
        assert_eq!((kernel.max_flows(), kernel.notes().len()), (64, 64));
    });
}

#[test]
fn maps_that_do_not_fit_are_refused_and_left_alone() {
    run(|place| {
        drop(open(&place.config()));
        let pins = place.pins();
        // Something else of that name.
        std::fs::remove_file(pins.join("SPLICE_IDX4")).expect("removed");
        let other = MapData::from_pin(pins.join("SPLICE_STATS")).expect("map");
        other.pin(pins.join("SPLICE_IDX4")).expect("pinned");
        let error = refused(&place.config());
        let file = pins.join("SPLICE_IDX4");
        assert!(
            error.starts_with(&format!("{} does not fit", file.display())),
            "{error}"
        );
        assert!(error.contains("`mqtt-lb flows flush`"), "{error}");
        assert!(MapInfo::from_pin(pins.join("SPLICE_SLOTS")).is_ok());
    });
}

#[test]
fn interfaces_come_and_go() {
    run(|place| {
        let kernel = open(&place.config()).kernel;
        ip("link add va type veth peer name vb");
        kernel.refresh_interfaces();
        assert_eq!(hook(&kernel, "va"), None, "it is down");
        ip("link set va up");
        kernel.refresh_interfaces();
        assert_eq!(hook(&kernel, "va"), Some(Hook::Tcx));
        assert_eq!(hook(&kernel, "vb"), None);
        assert_eq!(links(&place.pins()).len(), 4);

        ip("link del va");
        kernel.refresh_interfaces();
        assert_eq!(links(&place.pins()).len(), 2, "the pins of lo are left");
        assert_eq!(kernel.interfaces().len(), 1);
    });
}

#[test]
fn only_the_named_interfaces_are_used() {
    run(|place| {
        ip("link add va type veth peer name vb");
        let config = Splice {
            interfaces: vec!["vb".to_owned(), "c".to_owned()],
            ..place.config()
        };
        let kernel = open(&config).kernel;
        assert_eq!(hook(&kernel, "vb"), Some(Hook::Tcx), "although it is down");
        assert_eq!(hook(&kernel, "lo"), None);
        let states = kernel.interfaces();
        let missing = states.iter().find(|state| state.name == "c").expect("c");
        assert_eq!(missing.why.as_deref(), Some("there is no such interface"));
        drop(kernel);

        let nothing = Splice {
            interfaces: vec!["c".to_owned()],
            ..place.config()
        };
        assert_eq!(
            refused(&nothing),
            "no interface can be used: c: there is no such interface"
        );
    });
}

#[test]
fn xdp_is_native_or_tcx() {
    run(|place| {
        ip("link add va type veth peer name vb");
        ip("link set va up");
        let config = Splice {
            attach: Attach::Xdp,
            ..place.config()
        };
        let kernel = open(&config).kernel;
        assert_eq!(hook(&kernel, "va"), Some(Hook::Xdp));
        assert_eq!(hook(&kernel, "lo"), Some(Hook::Tcx));
        let lo = kernel.interfaces().remove(0);
        assert!(lo.why.is_some_and(|why| why.starts_with("no native XDP: ")));
        drop(kernel);
        let before = links(&place.pins());
        let kernel = open(&config).kernel;
        let after = links(&place.pins());
        let xdp = before
            .keys()
            .find(|name| name.starts_with("xdp-"))
            .expect("xdp");
        assert_eq!(before[xdp].0, after[xdp].0, "the same link");
        drop(kernel);

        let kernel = open(&place.config()).kernel;
        assert_eq!(hook(&kernel, "va"), Some(Hook::Tcx), "back to tcx");
        assert!(!links(&place.pins()).contains_key(xdp));
    });
}

#[test]
fn ports_of_others_are_refused() {
    run(|place| {
        let config = Splice {
            ports: 10_000..=40_000,
            ..place.config()
        };
        std::fs::write("/proc/sys/net/ipv4/ip_local_port_range", "32768 60999").expect("sysctl");
        let error = refused(&config);
        assert!(
            error.starts_with("splice.ports 10000-40000: the kernel may give 32768-40000"),
            "{error}"
        );
        assert!(!place.base().exists(), "nothing was pinned");
        let reserved = "/proc/sys/net/ipv4/ip_local_reserved_ports";
        std::fs::write(reserved, "32768-40000").expect("sysctl");
        assert!(!open(&config).adopted);
    });
}

#[test]
fn what_failed_leaves_no_pins() {
    run(|place| {
        ip("link set lo down");
        assert_eq!(
            refused(&place.config()),
            "no interface can be used: no Ethernet or loopback interface is up"
        );
        assert!(place.base().read_dir().expect("base").next().is_none());
    });
}
