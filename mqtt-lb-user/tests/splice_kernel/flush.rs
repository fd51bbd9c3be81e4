//! What `mqtt-lb flows flush` removes, and what it leaves.

use aya::maps::MapData;
use mqtt_lb_ebpf::tuple::Place as Slot;
use mqtt_lb_user::datapath::splice::flush::{Flushed, flush};
use mqtt_lb_user::datapath::splice::kernel::SpliceKernel;

use crate::place::run;
use crate::{KEY4, KEY6, PLACE6, links, open, refused};

#[test]
fn only_what_nobody_uses_is_removed() {
    run(|place| {
        let kernel = open(&place.config()).kernel;
        kernel.insert4(KEY4, Slot(2)).expect("room");
        kernel.insert6(KEY6, PLACE6).expect("room");
        let path = place.pins();
        let before = links(&path);
        let done = flush(place.base(), false).expect("flush");
        assert_eq!(done, [Flushed::InUse(path.clone())]);
        assert_eq!(links(&path), before);
        assert_eq!(kernel.keys4().len(), 1);
        drop(kernel);

        let done = flush(place.base(), false).expect("flush");
        let flows = Some(1);
        assert_eq!(done, [Flushed::Removed { path, flows }]);
        assert_eq!(flush(place.base(), true).expect("flush"), []);
        assert!(!open(&place.config()).adopted);
    });
}

#[test]
fn other_layouts_and_namespaces_are_told_apart() {
    run(|place| {
        drop(open(&place.config()));
        let pins = place.pins();
        let base = place.base();
        // Another version of this namespace, and this version of another namespace.
        let older = base.join("v0").join(pins.file_name().expect("a cookie"));
        let elsewhere = pins.with_file_name("18446744073709551615");
        for path in [&older, &elsewhere] {
            std::fs::create_dir_all(path).expect("directory");
            let map = MapData::from_pin(pins.join("SPLICE_STATS")).expect("map");
            map.pin(path.join("SPLICE_IDX4")).expect("pinned");
        }
        let removed = |path: &std::path::Path| Flushed::Removed {
            path: path.to_owned(),
            flows: None,
        };
        let here = Flushed::Removed {
            path: pins.clone(),
            flows: Some(0),
        };
        assert_eq!(flush(base, false).expect("flush"), [removed(&older), here]);
        assert_eq!(flush(base, true).expect("flush"), [removed(&elsewhere)]);
    });
}

#[test]
fn what_does_not_fit_can_be_flushed() {
    run(|place| {
        drop(open(&place.config()));
        let pins = place.pins();
        std::fs::remove_file(pins.join("SPLICE_NOTES")).expect("removed");
        let other = MapData::from_pin(pins.join("SPLICE_IDX6")).expect("map");
        other.pin(pins.join("SPLICE_NOTES")).expect("pinned");
        assert!(refused(&place.config()).contains("SPLICE_NOTES does not fit"));
        flush(place.base(), false).expect("flush");
        assert!(!open(&place.config()).adopted);
    });
}

#[test]
fn a_stop_that_drops_its_flows_leaves_no_pins() {
    run(|place| {
        let kernel: SpliceKernel = open(&place.config()).kernel;
        kernel.remove().expect("removed");
        assert_eq!(flush(place.base(), true).expect("flush"), []);
    });
}
