//! The splice path's maps and links outlive their process, and belong to one at a time.
//! Needs root and the kernel half; skipped otherwise.

mod flush;
mod interfaces;
mod neighbour;
mod place;

use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::process::Command;
use std::sync::{Arc, Mutex};

use aya::maps::{MapData, MapInfo};
use aya::programs::links::{FdLink, PinnedLink};
use mqtt_lb_ebpf::tuple::{Place as Slot, Place6, Tuple4, Tuple6};
use mqtt_lb_user::config::Splice;
use mqtt_lb_user::datapath::splice::kernel::{Opened, SpliceKernel};
use place::{ip, run};
use tracing_subscriber::fmt::MakeWriter;

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

/// What is logged meanwhile.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().expect("log").extend(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Log {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

fn open(config: &Splice) -> Opened {
    open_for(config, "[::]:1883")
}

fn open_for(config: &Splice, listener: &str) -> Opened {
    SpliceKernel::open(config, &[listener.parse().unwrap()]).expect("open")
}

/// What is logged by `work`.
fn logged(work: impl FnOnce()) -> String {
    let log = Log::default();
    let subscriber = tracing_subscriber::fmt().with_writer(log.clone()).finish();
    tracing::subscriber::with_default(subscriber, work);
    String::from_utf8(log.0.lock().expect("log").clone()).expect("UTF-8")
}

fn refused(config: &Splice) -> String {
    match SpliceKernel::open(config, &[]) {
        Ok(_) => panic!("it was opened"),
        Err(error) => format!("{error:#}"),
    }
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

        let Opened {
            kernel, adopted, ..
        } = open(&place.config());
        assert!(adopted);
        assert_eq!(kernel.keys4(), [(KEY4, Slot::new(5, 1))]);
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
        assert_eq!(kernel.keys4(), [(KEY4, Slot(1))]);
        kernel.remove4(&KEY4);
        assert_eq!(kernel.keys4(), []);
    });
}

#[test]
fn an_upgrade_puts_new_programs_into_the_old_links() {
    run(|place| {
        drop(open(&place.config()));
        let before = links(&place.pins());
        assert_eq!(before.keys().collect::<Vec<_>>(), ["syn-1", "tcx-1"]);
        let _second = open(&place.config()).kernel;
        let after = links(&place.pins());
        for (name, (link, program)) in &before {
            assert_eq!(after[name].0, *link, "{name} is the same link");
            assert_ne!(after[name].1, *program, "{name} has another program");
        }
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
        let Opened {
            kernel, adopted, ..
        } = open(&bigger);
        assert!(adopted);
        assert_eq!((kernel.max_flows(), kernel.notes().len()), (64, 64));
    });
}

#[test]
fn without_an_ipv6_listener_ipv6_takes_no_memory() {
    run(|place| {
        let none = open_for(&place.config(), "0.0.0.0:1883").kernel;
        none.insert4(KEY4, Slot::new(5, 1)).expect("room");
        let index = MapInfo::from_pin(place.pins().join("SPLICE_IDX6")).expect("index");
        assert_eq!(index.max_entries(), 1);
        drop(none);

        // The next process has one, and the flows of the first.
        let mut opened = None;
        let text = logged(|| opened = Some(open(&place.config())));
        assert!(text.contains("no room for flows over IPv6"), "{text}");
        assert!(text.contains("`mqtt-lb flows flush`"), "{text}");
        let kernel = opened.expect("opened").kernel;
        assert_eq!(kernel.keys4(), [(KEY4, Slot::new(5, 1))]);
        kernel
            .insert6(KEY6, PLACE6)
            .expect("room for one direction");
        let other = Tuple6 {
            source: [9; 16],
            ..KEY6
        };
        kernel.insert6(other, PLACE6).expect_err("but not for both");
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
fn flows_of_another_version_are_left_alone_and_named() {
    run(|place| {
        drop(open(&place.config()));
        let pins = place.pins();
        let older = place
            .base()
            .join("v0")
            .join(pins.file_name().expect("a cookie"));
        std::fs::create_dir_all(&older).expect("directory");
        let text = logged(|| drop(open(&place.config())));
        let named = format!("{} holds flows of another version", older.display());
        assert_eq!(text.matches(&named).count(), 1, "{text}");
        assert!(text.contains("`mqtt-lb flows flush`"), "{text}");
        assert!(older.exists());
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
