//! The kernel half, loaded: programs attached to their maps.

use std::net::TcpStream;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Mutex;

use anyhow::{Context as _, ensure};
use aya::maps::{HashMap, Map, MapData, RingBuf, SockMap};
use aya::programs::SkSkb;
use aya::{Ebpf, EbpfLoader};
use aya_log::EbpfLogger;
use tracing::{Level, enabled};

use super::btf::member_offset;
use super::log_records::Logger;
use super::version;
use crate::datapath::object::{self, program, refused, take};

/// Bytes of ring buffer for each flow that can stop once per arming.
const EVENT_BYTES: u32 = 32;

/// Programs and maps of the sockmap path.
pub struct Kernel {
    ebpf: Ebpf,
    socks: Mutex<SockMap<MapData>>,
    flows: Mutex<HashMap<MapData, u64, u32>>,
    slots: Map,
    netns: u64,
}

impl Kernel {
    /// Loads the object with room for `flows` flows and attaches the verdict.
    ///
    /// # Errors
    /// One line that says what this host lacks.
    pub fn load(flows: u32) -> anyhow::Result<Self> {
        let bytes = object::bytes()?;
        version::check()?;
        let btf = std::fs::read("/sys/kernel/btf/vmlinux")
            .context("reading /sys/kernel/btf/vmlinux (the kernel needs CONFIG_DEBUG_INFO_BTF)")?;
        let offset = |name, member| member_offset(&btf, name, member).map(u64::from);
        let skb_cb = offset("sk_buff", "cb")?;
        let copied = offset("tcp_sock", "copied_seq")?;
        let acked = offset("tcp_sock", "bytes_acked")?;
        let queued = offset("sock", "sk_wmem_queued")?;
        let buffer = offset("sock", "sk_sndbuf")?;
        let ring = (flows.saturating_mul(EVENT_BYTES))
            .next_power_of_two()
            .max(4096);
        let netns = object::netns_cookie()?;
        // The programs write log records only when somebody wants to read them.
        let log_level: u8 = if enabled!(Level::DEBUG) { 4 } else { 0 };
        let mut ebpf = EbpfLoader::new()
            .override_global("SKB_CB", &skb_cb, true)
            .override_global("TCP_COPIED_SEQ", &copied, true)
            .override_global("TCP_BYTES_ACKED", &acked, true)
            .override_global("SK_WMEM_QUEUED", &queued, true)
            .override_global("SK_SNDBUF", &buffer, true)
            .override_global("BALANCER_NETNS", &netns, true)
            .override_global(aya_log::LEVEL, &log_level, true)
            .map_max_entries("SOCKS", 2 * flows)
            .map_max_entries("FLOWS", 2 * flows)
            .map_max_entries("SLOTS", 2 * flows)
            .map_max_entries("EVENTS", ring)
            .map_max_entries("LOCAL_SOCKS", flows)
            .map_max_entries("LOCAL_COUNTS", flows)
            .map_max_entries("LOCAL_ARMS", flows)
            .load(bytes)
            .context(
                "loading the kernel programs (needs CAP_BPF, CAP_PERFMON and CAP_NET_ADMIN)",
            )?;

        let socks = SockMap::try_from(take(&mut ebpf, "SOCKS")?)?;
        let flows_map = HashMap::try_from(take(&mut ebpf, "FLOWS")?)?;
        let slots = take(&mut ebpf, "SLOTS")?;
        ensure!(matches!(slots, Map::Array(_)), "SLOTS is not an array");
        let verdict: &mut SkSkb = program(&mut ebpf, "mqtt_lb_verdict")?.try_into()?;
        verdict.load().map_err(refused)?;
        verdict
            .attach(socks.fd())
            .context("attaching the verdict program")?;
        Ok(Self {
            ebpf,
            socks: Mutex::new(socks),
            flows: Mutex::new(flows_map),
            slots,
            netns,
        })
    }

    /// Cookie of the network namespace the programs serve.
    pub fn netns(&self) -> u64 {
        self.netns
    }

    /// The slots' array, to be mapped.
    pub fn slots_fd(&self) -> BorrowedFd<'_> {
        match &self.slots {
            Map::Array(data) => data.fd().as_fd(),
            _ => unreachable!("checked when it was loaded"),
        }
    }

    /// The ring of stopped slots; to be taken once.
    pub fn take_events(&mut self) -> anyhow::Result<RingBuf<MapData>> {
        Ok(RingBuf::try_from(take(&mut self.ebpf, "EVENTS")?)?)
    }

    /// What the programs write to the log.
    pub fn take_logger(&mut self) -> anyhow::Result<Logger> {
        EbpfLogger::init(&mut self.ebpf).context("opening the programs' log")
    }

    /// The loaded object, for the parts that attach more of it.
    pub fn ebpf(&mut self) -> &mut Ebpf {
        &mut self.ebpf
    }

    /// Tells the verdict which slot a socket is.
    pub fn bind(&self, cookie: u64, slot: u32) -> anyhow::Result<()> {
        Ok(self.flows.lock().expect("FLOWS").insert(cookie, slot, 0)?)
    }

    /// Forgets a socket; to be done before it is closed.
    pub fn unbind(&self, cookie: u64) {
        // It is gone already when the flow never got that far.
        let _ = self.flows.lock().expect("FLOWS").remove(&cookie);
    }

    /// Puts a socket under the verdict.
    pub fn insert(&self, slot: u32, socket: &TcpStream) -> anyhow::Result<()> {
        Ok(self.socks.lock().expect("SOCKS").set(slot, socket, 0)?)
    }
}
