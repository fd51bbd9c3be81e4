//! The programs and maps, loaded and neither pinned nor attached.

use std::io;
use std::os::fd::{AsFd as _, AsRawFd as _, BorrowedFd};

use anyhow::Context as _;
use aya::maps::{Array, HashMap, Map, MapData, PerCpuArray};
use aya::programs::{SchedClassifier, Xdp};
use aya::{Ebpf, EbpfLoader};
use mqtt_lb_ebpf::index::{self, Seed};
use mqtt_lb_ebpf::splice_slot::SpliceSlot;
use mqtt_lb_ebpf::splice_stat::Stat;
use mqtt_lb_ebpf::tuple::{Place, Place6, Tuple4, Tuple6};
use mqtt_lb_user::datapath::mapped::Mapped;
use mqtt_lb_user::datapath::splice::index4::Index4;

static OBJECT: &[u8] = aya::include_bytes_aligned!(concat!(env!("OUT_DIR"), "/mqtt-lb.bpf.o"));

/// Room for this many flows.
pub const FLOWS: u32 = 16;

/// What was loaded.
pub struct Loaded {
    ebpf: Ebpf,
    slots: *mut SpliceSlot,
    stats: PerCpuArray<MapData, u64>,
    index4: Index4,
    index6: HashMap<MapData, Tuple6, Place6>,
    listeners: HashMap<MapData, u16, u8>,
}

// SAFETY: the mapping is of the process, not of a thread.
unsafe impl Send for Loaded {}

impl Loaded {
    /// Why the programs cannot be loaded here.
    pub fn missing() -> Option<&'static str> {
        // SAFETY: geteuid has no preconditions.
        if unsafe { libc::geteuid() } != 0 {
            return Some("not root");
        }
        OBJECT
            .is_empty()
            .then_some("built without the kernel half (MQTT_LB_EBPF_OBJ)")
    }

    /// Loads everything.
    ///
    /// # Errors
    /// Where the kernel refuses: that is a bug, and the verifier's log says which.
    pub fn load() -> anyhow::Result<Self> {
        let buckets = index::buckets(2 * FLOWS);
        let mut ebpf = EbpfLoader::new()
            .map_max_entries("SPLICE_IDX4", buckets)
            .map_max_entries("SPLICE_IDX6", 2 * FLOWS)
            .map_max_entries("SPLICE_SLOTS", FLOWS)
            .map_max_entries("SPLICE_NOTES", FLOWS)
            .load(OBJECT)?;
        for name in ["mqtt_lb_tcx", "mqtt_lb_syn"] {
            let program: &mut SchedClassifier = ebpf.program_mut(name).context(name)?.try_into()?;
            program.load().context(name)?;
        }
        let name = "mqtt_lb_xdp";
        let xdp: &mut Xdp = ebpf.program_mut(name).context(name)?.try_into()?;
        xdp.load().context(name)?;
        let mut map = |name| ebpf.take_map(name).context(name);
        let seed = Seed {
            keys: [0x1234_5678, 0x9abc_def0],
            buckets,
            reserved: 0,
        };
        Array::<_, Seed>::try_from(map("SPLICE_SEED")?)?.set(0, seed, 0)?;
        let index4 = match map("SPLICE_IDX4")? {
            Map::Array(data) => Mapped::new(data.fd().as_fd(), buckets)?,
            _ => anyhow::bail!("SPLICE_IDX4 is not an array"),
        };
        Ok(Self {
            slots: mapped(&map("SPLICE_SLOTS")?),
            stats: PerCpuArray::try_from(map("SPLICE_STATS")?)?,
            index4: Index4::new(index4, seed),
            index6: HashMap::try_from(map("SPLICE_IDX6")?)?,
            listeners: HashMap::try_from(map("SPLICE_LISTENERS")?)?,
            ebpf,
        })
    }

    /// A loaded classifier.
    pub fn classifier(&self, name: &str) -> BorrowedFd<'_> {
        let program: &SchedClassifier =
            self.ebpf.program(name).expect(name).try_into().expect(name);
        program.fd().expect(name).as_fd()
    }

    /// The loaded XDP program.
    pub fn xdp(&self) -> BorrowedFd<'_> {
        let program: &Xdp = self
            .ebpf
            .program("mqtt_lb_xdp")
            .expect("xdp")
            .try_into()
            .expect("xdp");
        program.fd().expect("xdp").as_fd()
    }

    /// A slot as it is now.
    pub fn slot(&self, index: u32) -> SpliceSlot {
        assert!(index < FLOWS);
        // SAFETY: in bounds of the mapping; no program runs now.
        unsafe { self.slots.add(index as usize).read_volatile() }
    }

    /// Overwrites a slot.
    pub fn set_slot(&self, index: u32, slot: SpliceSlot) {
        assert!(index < FLOWS);
        // SAFETY: as above.
        unsafe { self.slots.add(index as usize).write_volatile(slot) }
    }

    /// Enters a key of a flow over IPv4.
    pub fn insert4(&mut self, key: Tuple4, place: Place) {
        self.try_insert4(key, place).expect("SPLICE_IDX4");
    }

    /// The same, if there is room.
    pub fn try_insert4(&self, key: Tuple4, place: Place) -> io::Result<()> {
        self.index4.insert(key, place)
    }

    /// Takes a key out.
    pub fn remove4(&self, key: &Tuple4) {
        self.index4.remove(key);
    }

    /// Enters a key of a flow over IPv6.
    pub fn insert6(&mut self, key: Tuple6, place: Place6) {
        self.index6.insert(key, place, 0).expect("SPLICE_IDX6");
    }

    /// Makes SYNs to a port lose their ECN bits.
    pub fn listen(&mut self, port: u16) {
        self.listeners
            .insert(port.to_be(), 1, 0)
            .expect("SPLICE_LISTENERS");
    }

    /// All keys with their values, sorted.
    pub fn keys(&self) -> Vec<String> {
        let v4 = self
            .index4
            .entries()
            .into_iter()
            .map(|item| format!("{item:?}"));
        let v6 = self
            .index6
            .iter()
            .map(|item| format!("{:?}", item.expect("SPLICE_IDX6")));
        let mut keys: Vec<_> = v4.chain(v6).collect();
        keys.sort();
        keys
    }

    /// All counters, over all CPUs.
    pub fn stats(&self) -> [u64; Stat::ALL.len()] {
        Stat::ALL.map(|stat| {
            let values = self.stats.get(&(stat as u32), 0).expect("SPLICE_STATS");
            values.iter().sum()
        })
    }
}

/// The slots, in this process's memory until it ends.
fn mapped(map: &Map) -> *mut SpliceSlot {
    let Map::Array(data) = map else {
        panic!("SPLICE_SLOTS is not an array");
    };
    // SAFETY: a new shared mapping of a map created with BPF_F_MMAPABLE.
    let base = unsafe {
        libc::mmap(
            std::ptr::null_mut(),
            FLOWS as usize * size_of::<SpliceSlot>(),
            libc::PROT_READ | libc::PROT_WRITE,
            libc::MAP_SHARED,
            data.fd().as_fd().as_raw_fd(),
            0,
        )
    };
    assert_ne!(
        base,
        libc::MAP_FAILED,
        "{}",
        std::io::Error::last_os_error()
    );
    base.cast()
}
