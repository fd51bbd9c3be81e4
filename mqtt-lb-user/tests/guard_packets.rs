//! The guard's programs, packet by packet (`BPF_PROG_TEST_RUN`).

#[path = "splice_packets/prog_run.rs"]
#[expect(dead_code, reason = "the splice path's tests need more of it")]
mod prog_run;

use std::net::Ipv6Addr;
use std::os::fd::AsFd as _;

use aya::maps::lpm_trie::Key;
use aya::maps::{Array, HashMap, LpmTrie, MapData, PerCpuArray};
use aya::programs::{SchedClassifier, Xdp};
use aya::{Ebpf, EbpfLoader};
use mqtt_lb_ebpf::guard::{Address, Budget, MAPPED_BITS, Terms, mapped, mask, prefix, total};

static OBJECT: &[u8] = aya::include_bytes_aligned!(concat!(env!("OUT_DIR"), "/mqtt-lb.bpf.o"));

const PORT: u16 = 1883;
const SYN: u8 = 2;
const ACK: u8 = 16;
/// An hour between two SYNs: what the test takes gives nothing back.
const HOUR: u64 = 3_600_000_000_000;
const BURST: u64 = 3;

struct Guard {
    ebpf: Ebpf,
    totals: PerCpuArray<MapData, u64>,
    budgets: HashMap<MapData, [u64; 2], Budget>,
    allowed: LpmTrie<MapData, Address, u8>,
}

/// Whether a packet passes, on both hooks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Hook {
    Tcx,
    Xdp,
}

impl Guard {
    fn load() -> Option<Self> {
        // SAFETY: geteuid has no preconditions.
        let is_root = unsafe { libc::geteuid() } == 0;
        if !is_root || OBJECT.is_empty() {
            assert!(
                std::env::var_os("MQTT_LB_NO_SKIP").is_none(),
                "not root, or without the kernel half, and MQTT_LB_NO_SKIP is set"
            );
            eprintln!("SKIPPED: needs root and the kernel half (MQTT_LB_EBPF_OBJ)");
            return None;
        }
        let mut loader = EbpfLoader::new();
        let mut ebpf = loader
            .map_max_entries("GUARD_BUDGETS", 1024)
            .load(OBJECT)
            .expect("object");
        let tcx: &mut SchedClassifier = ebpf
            .program_mut("mqtt_lb_guard")
            .expect("program")
            .try_into()
            .expect("a classifier");
        tcx.load().expect("tcx");
        let xdp: &mut Xdp = ebpf
            .program_mut("mqtt_lb_guard_xdp")
            .expect("program")
            .try_into()
            .expect("XDP");
        xdp.load().expect("xdp");
        let mut map = |name| ebpf.take_map(name).expect(name);
        let mut ports: HashMap<_, u16, u8> = map("GUARD_PORTS").try_into().expect("ports");
        ports.insert(PORT.to_be(), 1, 0).expect("port");
        let mut terms: Array<_, Terms> = map("GUARD_TERMS").try_into().expect("terms");
        let granted = Terms {
            interval: HOUR,
            tolerance: HOUR * BURST,
            mask4: mask(MAPPED_BITS + 24),
            mask6: mask(64),
        };
        terms.set(0, granted, 0).expect("terms");
        Some(Self {
            totals: map("GUARD_TOTALS").try_into().expect("totals"),
            budgets: map("GUARD_BUDGETS").try_into().expect("budgets"),
            allowed: map("GUARD_ALLOWED").try_into().expect("allowed"),
            ebpf,
        })
    }

    fn passes(&self, hook: Hook, frame: &[u8]) -> bool {
        let fd = match hook {
            Hook::Tcx => {
                let program = self.ebpf.program("mqtt_lb_guard").expect("program");
                let program: &SchedClassifier = program.try_into().expect("a classifier");
                program.fd().expect("loaded").as_fd()
            }
            Hook::Xdp => {
                let program = self.ebpf.program("mqtt_lb_guard_xdp").expect("program");
                let program: &Xdp = program.try_into().expect("XDP");
                program.fd().expect("loaded").as_fd()
            }
        };
        let skb = (hook == Hook::Tcx).then(prog_run::Skb::default);
        let mut output = Vec::new();
        let code = prog_run::run(fd, frame, skb, 0, &mut output).expect("run");
        assert_eq!(output, frame, "the packet is untouched");
        match (hook, code) {
            (Hook::Tcx, -1) | (Hook::Xdp, 2) => true,
            (Hook::Tcx, 2) | (Hook::Xdp, 1) => false,
            _ => panic!("{hook:?} returned {code}"),
        }
    }

    fn total(&self, what: u32) -> u64 {
        self.totals.get(&what, 0).expect("total").iter().sum()
    }

    fn budget(&self, source: Address, bits: u32) -> Option<Budget> {
        self.budgets.get(&prefix(source, mask(bits)), 0).ok()
    }
}

/// A TCP header without options.
fn tcp(port: u16, flags: u8) -> Vec<u8> {
    let mut tcp = vec![0x30, 0x39];
    tcp.extend(port.to_be_bytes());
    tcp.extend([0, 0, 0, 1, 0, 0, 0, 0, 0x50, flags, 0xff, 0xff, 0, 0, 0, 0]);
    tcp
}

fn v4(source: [u8; 4], options: usize, fragment: u16, tcp: &[u8]) -> Vec<u8> {
    let mut frame = vec![0; 12];
    frame.extend([0x08, 0x00, 0x45 + options as u8, 0, 0, 0, 0, 0]);
    frame.extend(fragment.to_be_bytes());
    frame.extend([64, 6, 0, 0]);
    frame.extend(source);
    frame.extend([10, 0, 0, 1]);
    frame.extend(vec![1; options * 4]);
    frame.extend(tcp);
    frame
}

fn v6(source: Ipv6Addr, next: u8, tcp: &[u8]) -> Vec<u8> {
    let mut frame = vec![0; 12];
    frame.extend([0x86, 0xdd, 0x60, 0, 0, 0, 0, 20, next, 64]);
    frame.extend(source.octets());
    frame.extend(Ipv6Addr::LOCALHOST.octets());
    frame.extend(tcp);
    frame
}

#[test]
fn a_prefix_gets_its_burst_and_no_more() {
    for hook in [Hook::Tcx, Hook::Xdp] {
        let Some(guard) = Guard::load() else { return };
        let syn = tcp(PORT, SYN);
        let from = |last: u8, options| v4([192, 0, 2, last], options, 0, &syn);
        // Hosts of one network share a budget, with IP options or without.
        let passed: Vec<_> = (0..6_u8)
            .map(|n| guard.passes(hook, &from(n, usize::from(n % 2))))
            .collect();
        assert_eq!(passed, [true, true, true, false, false, false], "{hook:?}");
        assert!(
            guard.passes(hook, &v4([192, 0, 3, 1], 0, 0, &syn)),
            "another network"
        );
        assert_eq!(guard.total(total::PASSED), 4);
        assert_eq!(guard.total(total::DROPPED), 3);
        let budget = guard.budget(mapped([192, 0, 2, 9]), MAPPED_BITS + 24);
        let budget = budget.expect("a budget");
        assert_eq!((budget.passed, budget.dropped), (3, 3));
    }
}

#[test]
fn ipv6_has_prefixes_of_its_own() {
    for hook in [Hook::Tcx, Hook::Xdp] {
        let Some(guard) = Guard::load() else { return };
        let from = |net: u16, host: u16| {
            let source = Ipv6Addr::new(0x2001, 0xdb8, 0, net, 0, 0, 0, host);
            v6(source, 6, &tcp(PORT, SYN))
        };
        let passed: Vec<_> = (0..4)
            .map(|host| guard.passes(hook, &from(1, host)))
            .collect();
        assert_eq!(passed, [true, true, true, false], "{hook:?}");
        assert!(guard.passes(hook, &from(2, 0)));
    }
}

#[test]
fn only_syns_to_listeners_count() {
    for hook in [Hook::Tcx, Hook::Xdp] {
        let Some(guard) = Guard::load() else { return };
        let source = [198, 51, 100, 7];
        let packets = [
            v4(source, 0, 0, &tcp(PORT, ACK)),
            v4(source, 0, 0, &tcp(PORT, SYN | ACK)),
            v4(source, 0, 0, &tcp(PORT + 1, SYN)),
            v4(source, 0, 7, &tcp(PORT, SYN)),
            v4(source, 0, 0, &tcp(PORT, SYN)[..8]),
            v6(Ipv6Addr::LOCALHOST, 17, &tcp(PORT, SYN)),
            [&[0; 12][..], &[0x08, 0x06], &[0; 28]].concat(),
        ];
        for _ in 0..2 * BURST {
            for packet in &packets {
                assert!(guard.passes(hook, packet), "{hook:?}: {packet:02x?}");
            }
        }
        let all = [
            total::PASSED,
            total::DROPPED,
            total::ALLOWED,
            total::UNTRACKED,
        ];
        assert_eq!(all.map(|what| guard.total(what)), [0; 4]);
        assert_eq!(guard.budgets.keys().count(), 0);
    }
}

#[test]
fn allowed_networks_have_no_budget() {
    let Some(mut guard) = Guard::load() else {
        return;
    };
    let network = Key::new(MAPPED_BITS + 8, mapped([10, 0, 0, 0]));
    guard.allowed.insert(&network, 1, 0).expect("allowed");
    for n in 0..2 * BURST as u8 {
        assert!(guard.passes(Hook::Tcx, &v4([10, 1, 1, n], 0, 0, &tcp(PORT, SYN))));
    }
    assert_eq!(guard.total(total::ALLOWED), 2 * BURST);
    assert_eq!(guard.budgets.keys().count(), 0);
    let outside = v4([11, 1, 1, 1], 0, 0, &tcp(PORT, SYN));
    let passed = (0..2 * BURST).filter(|_| guard.passes(Hook::Tcx, &outside));
    assert_eq!(passed.count() as u64, BURST);
}
