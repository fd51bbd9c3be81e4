//! The shape of the splice path's maps, and whether pinned ones have it.

use std::io;
use std::path::Path;

use anyhow::{Context as _, ensure};
use aya::maps::{MapError, MapInfo, MapType};
use mqtt_lb_ebpf::LAYOUT;
use mqtt_lb_ebpf::index::{self, Bucket, Seed};
use mqtt_lb_ebpf::splice_slot::{Note, SpliceSlot};
use mqtt_lb_ebpf::splice_stat::Stat;
use mqtt_lb_ebpf::tuple::{Place6, Tuple6};

use super::room::Room;

/// The state of every flow; its size is that of the path.
pub const SLOTS: &str = "SPLICE_SLOTS";
/// What userspace notes of every flow.
pub const NOTES: &str = "SPLICE_NOTES";
/// IPv4 packets to slots.
pub const IDX4: &str = "SPLICE_IDX4";
/// How IPv4 packets are spread over the buckets of [`IDX4`].
pub const SEED: &str = "SPLICE_SEED";
/// IPv6 packets to slots.
pub const IDX6: &str = "SPLICE_IDX6";
/// Counters.
pub const STATS: &str = "SPLICE_STATS";
/// Ports whose SYNs lose their offer of ECN.
pub const LISTENERS: &str = "SPLICE_LISTENERS";
/// Ports [`LISTENERS`] has room for.
pub const MAX_LISTENERS: u32 = 256;

/// Name of the directory for pins of this layout.
pub fn directory() -> String {
    format!("v{LAYOUT}")
}

/// What a map looks like.
#[derive(Debug, Clone, Copy)]
pub struct Shape {
    /// Its name in the object and on bpffs.
    pub name: &'static str,
    kind: MapType,
    key: usize,
    value: usize,
    /// Entries for each flow; 0 when their number does not depend on the flows.
    per_flow: u32,
    fixed: u32,
}

const fn shape(name: &'static str, kind: MapType, key: usize, value: usize) -> Shape {
    Shape {
        name,
        kind,
        key,
        value,
        per_flow: 0,
        fixed: 0,
    }
}

/// All maps of the path.
pub const MAPS: [Shape; 7] = [
    Shape {
        per_flow: 1,
        ..shape(SLOTS, MapType::Array, 4, size_of::<SpliceSlot>())
    },
    Shape {
        per_flow: 1,
        ..shape(NOTES, MapType::Array, 4, size_of::<Note>())
    },
    shape(IDX4, MapType::Array, 4, size_of::<Bucket>()),
    Shape {
        fixed: 1,
        ..shape(SEED, MapType::Array, 4, size_of::<Seed>())
    },
    Shape {
        per_flow: 2,
        ..shape(
            IDX6,
            MapType::Hash,
            size_of::<Tuple6>(),
            size_of::<Place6>(),
        )
    },
    Shape {
        fixed: Stat::ALL.len() as u32,
        ..shape(STATS, MapType::PerCpuArray, 4, 8)
    },
    Shape {
        fixed: MAX_LISTENERS,
        ..shape(LISTENERS, MapType::Hash, 2, 1)
    },
];

impl Shape {
    /// Entries of the map when there is that much room.
    pub fn entries(&self, room: Room) -> u32 {
        match self.name {
            IDX4 => index::buckets(room.flows.saturating_mul(2)),
            IDX6 if !room.ipv6 => 1,
            _ => self
                .per_flow
                .saturating_mul(room.flows)
                .saturating_add(self.fixed),
        }
    }

    /// Whether the map pinned at `path` is this one, with so much room.
    ///
    /// # Errors
    /// One line that says how it differs and how to be rid of it.
    fn check(&self, path: &Path, info: &MapInfo, room: Room) -> anyhow::Result<()> {
        let found = (
            info.map_type()?,
            info.key_size() as usize,
            info.value_size() as usize,
            info.max_entries(),
        );
        let wanted = (self.kind, self.key, self.value, self.entries(room));
        ensure!(
            found == wanted,
            "{} does not fit this version (type, key, value, entries are {found:?}, not {wanted:?}): \
             `mqtt-lb flows flush` ends its flows and removes it",
            path.display()
        );
        Ok(())
    }
}

/// Looks at the maps pinned in `directory`: what they have room for, or `None` when
/// there are none.
///
/// # Errors
/// They are not of this layout, or cannot be opened.
pub fn pinned(directory: &Path) -> anyhow::Result<Option<Room>> {
    let Some(slots) = open(&directory.join(SLOTS))? else {
        return Ok(None);
    };
    let room = Room {
        flows: slots.max_entries(),
        ipv6: open(&directory.join(IDX6))?.is_none_or(|index| index.max_entries() > 1),
    };
    for shape in &MAPS {
        let path = directory.join(shape.name);
        if let Some(info) = open(&path)? {
            shape.check(&path, &info, room)?;
        }
    }
    Ok(Some(room))
}

/// The map pinned at `path`, if there is one.
pub fn open(path: &Path) -> anyhow::Result<Option<MapInfo>> {
    match MapInfo::from_pin(path) {
        Ok(info) => Ok(Some(info)),
        Err(MapError::SyscallError(error)) if error.io_error.kind() == io::ErrorKind::NotFound => {
            Ok(None)
        }
        Err(error) => Err(error).with_context(|| format!("opening {}", path.display())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn maps_grow_with_the_flows() {
        let entries = |ipv6| {
            let room = Room { flows: 10, ipv6 };
            MAPS.each_ref().map(|shape| shape.entries(room))
        };
        let stats = Stat::ALL.len() as u32;
        assert_eq!(entries(true), [10, 10, 9, 1, 20, stats, MAX_LISTENERS]);
        assert_eq!(entries(false), [10, 10, 9, 1, 1, stats, MAX_LISTENERS]);
    }
}
