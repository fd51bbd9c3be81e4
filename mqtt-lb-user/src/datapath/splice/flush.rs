//! `mqtt-lb flows flush`: ends flows that no process looks after.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use aya::maps::{HashMap, Map, MapData};
use mqtt_lb_ebpf::tuple::{Place6, Tuple6};

use super::index4;
use super::layout::{IDX4, IDX6};
use super::pins::{self, Pins};
use crate::datapath::object;

/// What became of a directory of pins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Flushed {
    /// It is gone, and its flows with it: their packets meet a stack that does not
    /// know them, which resets both sides.
    Removed {
        /// Where it was.
        path: PathBuf,
        /// Flows that were in it; `None` when its maps cannot be read.
        flows: Option<usize>,
    },
    /// A running mqtt-lb uses it.
    InUse(PathBuf),
}

impl fmt::Display for Flushed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Removed {
                path,
                flows: Some(flows),
            } => write!(f, "{} removed, flows ended: {flows}", path.display()),
            Self::Removed { path, flows: None } => {
                write!(f, "{} removed, with maps of another kind", path.display())
            }
            Self::InUse(path) => {
                write!(f, "{} left: a running mqtt-lb uses it", path.display())
            }
        }
    }
}

/// Removes the pins below `base` that no running process uses, of every layout: those of
/// the network namespace of this thread, or of all.
///
/// # Errors
/// A directory cannot be read or removed.
pub fn flush(base: &Path, all_namespaces: bool) -> anyhow::Result<Vec<Flushed>> {
    let netns = match all_namespaces {
        true => None,
        false => Some(object::netns_cookie()?),
    };
    let reading = || format!("reading {}", base.display());
    let mut done = Vec::new();
    for path in pins::directories(base, netns).with_context(reading)? {
        match Pins::lock(&path) {
            Ok(Some(pins)) => {
                let flows = flows(&path);
                let removing = || format!("removing {}", path.display());
                pins.remove().with_context(removing)?;
                done.push(Flushed::Removed { path, flows });
            }
            Ok(None) => done.push(Flushed::InUse(path)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => {
                return Err(error).with_context(|| format!("locking {}", path.display()));
            }
        }
    }
    Ok(done)
}

/// Flows in the maps pinned at `path`: each has two keys.
fn flows(path: &Path) -> Option<usize> {
    let keys = index4::pinned(&path.join(IDX4))?.len() + keys6(&path.join(IDX6))?;
    Some(keys.div_ceil(2))
}

/// Keys of a pinned index of IPv6 flows.
fn keys6(path: &Path) -> Option<usize> {
    let map = Map::HashMap(MapData::from_pin(path).ok()?);
    let map = HashMap::<_, Tuple6, Place6>::try_from(map).ok()?;
    Some(map.keys().count())
}
