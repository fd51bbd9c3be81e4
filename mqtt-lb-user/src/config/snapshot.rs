//! `snapshot` of `[pool.NAME.stick]`: the table on disk.

use std::path::{Path, PathBuf};
use std::time::Duration;

use toml::de::DeValue;

use super::clash::Addresses;
use super::section::{Place, Section};
use super::value::{Read, duration, or_off, string};

/// Where a stick table is kept for the next process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot {
    /// The file; `None` keeps nothing.
    pub path: Option<PathBuf>,
    /// Time between two snapshots.
    pub interval: Duration,
}

impl Default for Snapshot {
    fn default() -> Self {
        Self {
            path: None,
            interval: Duration::from_secs(60),
        }
    }
}

impl Snapshot {
    /// Reads the keys out of the section of the stick table of `pool`.
    pub(super) fn read(
        section: &mut Section<'_>,
        pool: &str,
        addresses: &mut Addresses<Place>,
    ) -> Self {
        let default = Self::default();
        let path = section.get("snapshot", or_off(file));
        if let Some(written) = &path {
            if let Some(file) = written.get_ref() {
                let place = section.place("snapshot", written.span());
                addresses.file(file.clone(), format!("pool {pool}"), place);
            }
        }
        let hour = Duration::from_secs(3600);
        Self {
            path: path.map_or(default.path, toml::Spanned::into_inner),
            interval: section.or(
                "snapshot_interval",
                default.interval,
                duration(Duration::from_secs(1)..=24 * hour),
            ),
        }
    }
}

/// A file that does not depend on where the program was started.
fn file(value: &DeValue<'_>) -> Read<PathBuf> {
    let text = string(value)?;
    let path = Path::new(&text);
    if path
        .extension()
        .is_some_and(|end| end == "tmp" || end == "damaged")
    {
        Err(format!(
            "{text:?} may be beside another snapshot: choose a name that does not end in .tmp or .damaged"
        ))
    } else if path.is_absolute() && path.file_name().is_some() && !text.contains('\0') {
        Ok(path.to_owned())
    } else {
        Err(format!(
            "{text:?} is not the whole path of a file: write one such as \"/var/lib/mqtt-lb/emqx.stick\", or off"
        ))
    }
}
