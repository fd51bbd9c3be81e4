//! Which flow a packet belongs to, when the index is as full as it gets.

use mqtt_lb_ebpf::tuple::Place;

use crate::bench::{Bench, Hook, Verdict};

/// Ports of clients that are entered until both buckets of one of them are full.
const PORTS: u16 = 1000;

#[test]
fn every_entry_is_found_wherever_it_is() {
    let Some(mut bench) = Bench::alone() else {
        return;
    };
    let flow = bench.flow(4);
    bench.set_slot(flow.index, flow.slot());
    let (key, _) = flow.keys4()[0];
    let from = |port: u16| {
        let mut other = key;
        other.source_port = port.to_be_bytes();
        other
    };
    let own = u16::from_be_bytes(key.source_port);
    let ports = (1..PORTS).filter(|port| *port != own);
    let (mut entered, mut others) = (Vec::new(), Vec::new());
    for port in ports {
        let place = Place::new(flow.index, 0);
        match bench.loaded.try_insert4(from(port), place) {
            Ok(()) => entered.push(port),
            Err(_) => others.push(port),
        }
    }
    let ways = 8 * mqtt_lb_ebpf::index::buckets(2 * crate::load::FLOWS) as usize;
    assert!(
        entered.len() > ways / 2 && entered.len() < ways,
        "{} of {ways}",
        entered.len()
    );

    let mut verdict = |port: u16| {
        let mut packet = flow.segment(&flow.slot(), 0);
        packet.ports[0] = port;
        let frame = packet.frame();
        [Hook::Tcx, Hook::Xdp].map(|hook| {
            bench.set_slot(flow.index, flow.slot());
            bench.run(hook, &frame, Default::default()).0
        })
    };
    for port in entered.iter().chain([&own]) {
        let verdicts = verdict(*port);
        let goes = |v: &Verdict| matches!(v, Verdict::Forward | Verdict::Back);
        assert!(verdicts.iter().all(goes), "port {port}: {verdicts:?}");
    }
    for port in &others {
        assert_eq!(verdict(*port), [Verdict::Pass; 2], "port {port}");
    }
    // Whoever is taken out is not found, and the neighbours still are.
    let (out, rest) = entered.split_at(entered.len() / 2);
    for port in out {
        bench.loaded.remove4(&from(*port));
    }
    let mut verdict = |port: u16| {
        let mut packet = flow.segment(&flow.slot(), 0);
        packet.ports[0] = port;
        bench.set_slot(flow.index, flow.slot());
        bench.run(Hook::Tcx, &packet.frame(), Default::default()).0
    };
    assert!(out.iter().all(|port| verdict(*port) == Verdict::Pass));
    assert!(rest.iter().all(|port| verdict(*port) != Verdict::Pass));
}
