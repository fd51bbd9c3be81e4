//! `datapath = [...]` and `[sockmap]`: how established flows are forwarded.

use clap::ValueEnum;
use toml::de::DeValue;

use super::section::Section;
use super::value::{Read, boolean, choice, expected, size};

/// A data path.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, ValueEnum)]
#[value(rename_all = "lower")]
pub enum PathKind {
    /// The kernel translates the packets of two dissolved sockets.
    Splice,
    /// The kernel redirects between the two sockets.
    Sockmap,
    /// Userspace copies.
    Copy,
}

impl PathKind {
    /// The order of preference when none is given.
    pub const DEFAULT: [Self; 3] = [Self::Splice, Self::Sockmap, Self::Copy];

    /// Reads `datapath`.
    pub(super) fn read_list(value: &DeValue<'_>) -> Read<Vec<Self>> {
        let DeValue::Array(array) = value else {
            return Err(expected(
                "a list such as [\"splice\", \"sockmap\", \"copy\"]",
                value,
            ));
        };
        let paths: Read<Vec<Self>> = array.iter().map(|path| choice(path.get_ref())).collect();
        Self::in_order(paths?)
    }

    /// A list in order of preference that ends with `copy`, which works everywhere.
    ///
    /// # Errors
    /// One line: the list is empty, names a path twice or one behind `copy`.
    pub(super) fn in_order(mut paths: Vec<Self>) -> Read<Vec<Self>> {
        if paths.is_empty() {
            return Err(
                "names no data path: write [\"splice\", \"sockmap\", \"copy\"] or [\"copy\"]"
                    .into(),
            );
        }
        if (1..paths.len()).any(|i| paths[..i].contains(&paths[i])) {
            return Err("names a data path twice: name each once".into());
        }
        match paths.iter().position(|path| *path == Self::Copy) {
            None => paths.push(Self::Copy),
            Some(at) if at + 1 == paths.len() => {}
            Some(_) => {
                return Err("names a data path behind \"copy\", which is always possible: put \"copy\" last".into());
            }
        }
        Ok(paths)
    }
}

/// Settings of the sockmap path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sockmap {
    /// When a flow moves into the kernel and out of it.
    pub policy: SockmapPolicy,
    /// Bytes the kernel may hold in flight per direction.
    pub limit: u64,
    /// Flows the maps have room for.
    pub max_flows: u32,
    /// Let brokers on this host write straight into the client's socket (sk_msg).
    pub local_brokers: bool,
}

/// When a flow moves into the kernel and out of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "lower")]
pub enum SockmapPolicy {
    /// Quiet flows in the kernel, busy ones batched in userspace.
    Auto,
    /// In the kernel whenever it is possible.
    Always,
}

impl Default for Sockmap {
    fn default() -> Self {
        Self {
            policy: SockmapPolicy::Auto,
            limit: 1 << 20,
            max_flows: 65_536,
            local_brokers: false,
        }
    }
}

impl Sockmap {
    pub(super) fn read(mut section: Section<'_>) -> Self {
        let default = Self::default();
        let sockmap = Self {
            policy: section.or("policy", default.policy, choice),
            limit: section.or("limit", default.limit, size(64 << 10..=1 << 30)),
            max_flows: section.or("max_flows", default.max_flows, size(1..=4 << 20)),
            local_brokers: section.or("local_brokers", default.local_brokers, boolean),
        };
        section.finish();
        sockmap
    }
}
