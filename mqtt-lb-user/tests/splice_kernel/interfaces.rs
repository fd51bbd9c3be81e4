//! Which interfaces the programs are on.

use mqtt_lb_user::config::{Attach, Splice};
use mqtt_lb_user::datapath::splice::Hook;
use mqtt_lb_user::datapath::splice::kernel::SpliceKernel;

use crate::place::{ip, run};
use crate::{links, open, refused};

fn hook(kernel: &SpliceKernel, name: &str) -> Option<Hook> {
    let interfaces = kernel.interfaces();
    interfaces.iter().find(|i| i.name == name)?.hook
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
