//! The guard's program and maps.

use std::net::{IpAddr, SocketAddr};

use anyhow::{Context as _, ensure};
use aya::maps::lpm_trie::Key;
use aya::maps::{Array, HashMap, LpmTrie, MapData, PerCpuArray};
use aya::programs::tc::TcAttachOptions;
use aya::programs::xdp::XdpMode;
use aya::programs::{LinkOrder, SchedClassifier, TcAttachType, Xdp};
use aya::{Ebpf, EbpfLoader};
use ipnet::IpNet;
use mqtt_lb_ebpf::guard::{Address, Budget, MAPPED_BITS, Terms, address, mapped, mask, total};

use super::{Spender, Totals};
use crate::config;
use crate::datapath::object::{self, program, refused, take};
use crate::datapath::splice::kernel::check_release;

const TCX: &str = "mqtt_lb_guard";
const XDP: &str = "mqtt_lb_guard_xdp";
/// Ports the map has room for.
const MAX_PORTS: usize = 256;
const SECOND: u64 = 1_000_000_000;

/// Where the program is on an interface.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hook {
    /// Traffic control, behind the splice path.
    Tcx,
    /// The driver.
    Xdp,
}

/// Program and maps; the program leaves its interfaces when this is dropped.
pub struct Kernel {
    ebpf: Ebpf,
    terms: Array<MapData, Terms>,
    budgets: HashMap<MapData, [u64; 2], Budget>,
    allowed: LpmTrie<MapData, Address, u8>,
    ports: HashMap<MapData, u16, u8>,
    totals: PerCpuArray<MapData, u64>,
}

impl Kernel {
    /// Loads the program, with room for `size` prefixes.
    ///
    /// # Errors
    /// One line that says what this host lacks.
    pub fn load(size: u32, with_xdp: bool) -> anyhow::Result<Self> {
        let bytes = object::bytes()?;
        check_release()?;
        let mut ebpf = EbpfLoader::new()
            .override_global(aya_log::LEVEL, &0u8, false)
            .map_max_entries("GUARD_BUDGETS", size)
            .load(bytes)
            .context("loading the guard (needs CAP_BPF, CAP_PERFMON and CAP_NET_ADMIN)")?;
        let tcx: &mut SchedClassifier = program(&mut ebpf, TCX)?.try_into()?;
        tcx.load().map_err(refused)?;
        if with_xdp {
            let xdp: &mut Xdp = program(&mut ebpf, XDP)?.try_into()?;
            xdp.load().map_err(refused)?;
        }
        Ok(Self {
            terms: take(&mut ebpf, "GUARD_TERMS")?.try_into()?,
            budgets: take(&mut ebpf, "GUARD_BUDGETS")?.try_into()?,
            allowed: take(&mut ebpf, "GUARD_ALLOWED")?.try_into()?,
            ports: take(&mut ebpf, "GUARD_PORTS")?.try_into()?,
            totals: take(&mut ebpf, "GUARD_TOTALS")?.try_into()?,
            ebpf,
        })
    }

    /// Takes over terms and allowed networks.
    ///
    /// # Errors
    /// The kernel refuses.
    pub fn grant(&mut self, config: &config::Guard) -> anyhow::Result<()> {
        let wanted: Vec<Key<Address>> = config.allow.iter().map(key).collect();
        let same = |a: &Key<Address>, b: &Key<Address>| {
            (a.prefix_len(), a.data()) == (b.prefix_len(), b.data())
        };
        let known: Vec<_> = self.allowed.keys().collect::<Result<_, _>>()?;
        for old in known
            .iter()
            .filter(|old| !wanted.iter().any(|new| same(old, new)))
        {
            self.allowed.remove(old)?;
        }
        for network in &wanted {
            self.allowed.insert(network, 1, 0)?;
        }
        self.terms.set(0, terms(config), 0)?;
        Ok(())
    }

    /// Guards the ports of these listeners.
    ///
    /// # Errors
    /// There are too many.
    pub fn listen_on(&mut self, listeners: &[SocketAddr]) -> anyhow::Result<()> {
        ensure!(
            listeners.len() <= MAX_PORTS,
            "the guard knows at most {MAX_PORTS} listeners"
        );
        for listener in listeners {
            // As it stands in the packet.
            self.ports.insert(listener.port().to_be(), 1, 0)?;
        }
        Ok(())
    }

    /// Puts the program on an interface, behind what is there: the splice path takes
    /// the packets of its flows first.
    ///
    /// # Errors
    /// What the kernel said.
    pub fn attach_tcx(&mut self, interface: &str) -> anyhow::Result<()> {
        let tcx: &mut SchedClassifier = program(&mut self.ebpf, TCX)?.try_into()?;
        let order = TcAttachOptions::TcxOrder(LinkOrder::last());
        tcx.attach_with_options(interface, TcAttachType::Ingress, order)?;
        Ok(())
    }

    /// Puts the program into the driver of an interface.
    ///
    /// # Errors
    /// What the kernel said; there may be a program already, or the driver cannot.
    pub fn attach_xdp(&mut self, ifindex: u32) -> anyhow::Result<()> {
        let xdp: &mut Xdp = program(&mut self.ebpf, XDP)?.try_into()?;
        xdp.attach_to_if_index(ifindex, XdpMode::Driver)?;
        Ok(())
    }

    /// SYNs since the start, over all processors.
    pub fn totals(&self) -> Totals {
        let count = |what: u32| {
            // The kernel always has an answer: every index of an array exists.
            let values = self.totals.get(&what, 0);
            values.map_or(0, |values| values.iter().sum())
        };
        Totals {
            passed: count(total::PASSED),
            dropped: count(total::DROPPED),
            allowed: count(total::ALLOWED),
            untracked: count(total::UNTRACKED),
        }
    }

    /// All prefixes that are remembered; some may come and go meanwhile.
    pub fn spenders(&self) -> Vec<Spender> {
        let all = self.budgets.iter().filter_map(Result::ok);
        all.map(|(prefix, budget)| Spender::new(address(prefix), &budget))
            .collect()
    }
}

/// What the configuration grants; nothing is stopped when the guard is off.
fn terms(config: &config::Guard) -> Terms {
    let (interval, tolerance) = match config.rate {
        Some(rate) => {
            let interval = SECOND / u64::from(rate);
            (interval, interval * u64::from(config.burst))
        }
        None => (0, u64::MAX),
    };
    Terms {
        interval,
        tolerance,
        mask4: mask(MAPPED_BITS + u32::from(config.ipv4_prefix)),
        mask6: mask(config.ipv6_prefix.into()),
    }
}

fn key(network: &IpNet) -> Key<Address> {
    let bits = u32::from(network.prefix_len());
    match network.addr() {
        IpAddr::V4(ip) => Key::new(MAPPED_BITS + bits, mapped(ip.octets())),
        IpAddr::V6(ip) => Key::new(bits, ip.octets()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_guard_that_is_off_stops_nobody() {
        let off = terms(&config::Guard::default());
        assert_eq!(off.admit(0, 7), Some(7));
        assert_eq!(off.admit(SECOND, 7), Some(SECOND));
        let on = terms(&config::Guard {
            rate: Some(100),
            burst: 2,
            ..config::Guard::default()
        });
        let second = on.admit(on.admit(0, 7).expect("first"), 7).expect("second");
        assert_eq!(second, 7 + SECOND / 50);
        assert_eq!(on.admit(second, 7), None);
    }
}
