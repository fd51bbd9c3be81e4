//! The splice path's maps, opened.

use std::hash::{BuildHasher as _, RandomState};
use std::io;
use std::net::SocketAddr;
use std::os::fd::AsFd as _;
use std::sync::Mutex;

use anyhow::{Context as _, bail};
use aya::Ebpf;
use aya::maps::{Array, HashMap, Map, MapData, MapError, PerCpuArray};
use mqtt_lb_ebpf::index::{self, Seed};
use mqtt_lb_ebpf::splice_slot::{Note, SpliceSlot};
use mqtt_lb_ebpf::splice_stat::Stat;
use mqtt_lb_ebpf::tuple::{Place6, Tuple6};

use super::index4::Index4;
use super::layout;
use super::room::Room;
use crate::datapath::mapped::Mapped;
use crate::datapath::object::take;

/// `BPF_NOEXIST` (linux/bpf.h): insert, do not replace.
const NOEXIST: u64 = 1;

/// All maps of the path.
pub struct Maps {
    /// IPv4 packets to slots.
    pub idx4: Index4,
    /// IPv6 packets to slots.
    pub idx6: Index6,
    /// The state of every flow.
    pub slots: Mapped<SpliceSlot>,
    /// What userspace notes of every flow.
    pub notes: Mapped<Note>,
    stats: PerCpuArray<MapData, u64>,
    listeners: Mutex<HashMap<MapData, u16, u8>>,
}

impl Maps {
    /// Takes the maps out of the loaded object; they have room for `flows`.
    ///
    /// # Errors
    /// The object lacks one, or has another one of its name.
    pub fn take(ebpf: &mut Ebpf, room: Room) -> anyhow::Result<Self> {
        let flows = room.flows;
        let buckets = index::buckets(2 * flows);
        Ok(Self {
            idx4: Index4::new(mapped(ebpf, layout::IDX4, buckets)?, seed(ebpf, buckets)?),
            idx6: Index6::new(take(ebpf, layout::IDX6)?)?,
            slots: mapped(ebpf, layout::SLOTS, flows)?,
            notes: mapped(ebpf, layout::NOTES, flows)?,
            stats: take(ebpf, layout::STATS)?.try_into()?,
            listeners: Mutex::new(take(ebpf, layout::LISTENERS)?.try_into()?),
        })
    }

    /// What the programs have counted, over all processors.
    pub fn stats(&self) -> [u64; Stat::ALL.len()] {
        let count = |stat: Stat| {
            // The kernel always has an answer: every index of an array exists.
            let values = self.stats.get(&(stat as u32), 0);
            values.map_or(0, |values| values.iter().sum())
        };
        Stat::ALL.map(count)
    }

    /// Takes over which ports are listened on.
    ///
    /// # Errors
    /// There are too many, or the kernel refuses.
    pub fn listen_on(&self, listeners: &[SocketAddr]) -> anyhow::Result<()> {
        let mut map = self.listeners.lock().expect("SPLICE_LISTENERS");
        // As it stands in the packet.
        let ports: Vec<u16> = listeners.iter().map(|at| at.port().to_be()).collect();
        let known: Vec<u16> = map.keys().collect::<Result<_, _>>()?;
        for port in known.iter().filter(|port| !ports.contains(port)) {
            map.remove(port)?;
        }
        for port in ports {
            map.insert(port, 1, 0).with_context(|| {
                format!(
                    "more than {} different listener ports",
                    layout::MAX_LISTENERS
                )
            })?;
        }
        Ok(())
    }
}

fn mapped<T>(ebpf: &mut Ebpf, name: &str, flows: u32) -> anyhow::Result<Mapped<T>> {
    match take(ebpf, name)? {
        Map::Array(data) => Mapped::new(data.fd().as_fd(), flows),
        _ => bail!("{name} is not an array"),
    }
}

/// The seed of the index; that of maps which are new is made now.
fn seed(ebpf: &mut Ebpf, buckets: u32) -> anyhow::Result<Seed> {
    let mut map: Array<MapData, Seed> = take(ebpf, layout::SEED)?.try_into()?;
    let known = map.get(&0, 0)?;
    if known.buckets == buckets {
        return Ok(known);
    }
    let random = || RandomState::new().hash_one(buckets);
    let seed = Seed {
        keys: [random(), random()],
        buckets,
        reserved: 0,
    };
    map.set(0, seed, 0)?;
    Ok(seed)
}

/// IPv6 packets to slots.
pub struct Index6(Mutex<HashMap<MapData, Tuple6, Place6>>);

impl Index6 {
    fn new(map: Map) -> anyhow::Result<Self> {
        Ok(Self(Mutex::new(map.try_into()?)))
    }

    /// Adds a key.
    ///
    /// # Errors
    /// [`io::ErrorKind::AlreadyExists`] when it is there already; what the kernel says.
    pub fn insert(&self, key: Tuple6, value: Place6) -> io::Result<()> {
        let mut map = self.0.lock().expect("index");
        map.insert(key, value, NOEXIST).map_err(errno)
    }

    /// Where a key leads.
    pub fn get(&self, key: &Tuple6) -> Option<Place6> {
        self.0.lock().expect("index").get(key, 0).ok()
    }

    /// Removes a key; it may be gone already.
    pub fn remove(&self, key: &Tuple6) {
        let _ = self.0.lock().expect("index").remove(key);
    }

    /// All keys and what they lead to.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn entries(&self) -> io::Result<Vec<(Tuple6, Place6)>> {
        let map = self.0.lock().expect("index");
        map.iter().collect::<Result<_, _>>().map_err(errno)
    }
}

fn errno(error: MapError) -> io::Error {
    match error {
        MapError::SyscallError(error) => error.io_error,
        error => io::Error::other(error),
    }
}
