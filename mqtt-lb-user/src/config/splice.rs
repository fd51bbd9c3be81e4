//! `[splice]`: connections that the kernel translates packet by packet.

use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::ValueEnum;
use toml::de::DeValue;

use super::section::Section;
use super::value::{Read, boolean, choice, duration, expected, size, string};

/// Bytes of an interface's name at most (`IFNAMSIZ` without its NUL).
const MAX_INTERFACE: usize = 15;

/// First port a process may use without being root.
const FIRST_PORT: u16 = 1024;

/// Settings of the splice path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Splice {
    /// Where the programs hook into the interfaces.
    pub attach: Attach,
    /// Names of the interfaces; all Ethernet and loopback ones when empty.
    pub interfaces: Vec<String>,
    /// Flows the maps have room for.
    pub max_flows: u32,
    /// Our ports towards the backends.
    pub ports: RangeInclusive<u16>,
    /// Time without a packet after which a flow is given up whose CONNECT has no
    /// keepalive; others have twice their keepalive.
    pub idle_timeout: Duration,
    /// Directory on bpffs where maps and links outlive the process.
    pub pin: PathBuf,
    /// End the flows on SIGTERM instead of leaving them to the next process.
    pub drop_flows: bool,
}

/// Where the programs hook into the interfaces.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "lower")]
pub enum Attach {
    /// What suits most hosts: tcx.
    Auto,
    /// Traffic control, behind GRO: every interface can.
    Tcx,
    /// In the driver, where it can; tcx on the other interfaces.
    Xdp,
}

impl Default for Splice {
    fn default() -> Self {
        Self {
            attach: Attach::Auto,
            interfaces: Vec::new(),
            max_flows: 100 << 10,
            ports: 10_000..=32_767,
            idle_timeout: Duration::from_secs(3600),
            pin: PathBuf::from(Self::PIN),
            drop_flows: false,
        }
    }
}

impl Splice {
    /// Where maps and links are pinned when the configuration does not say.
    pub const PIN: &'static str = "/sys/fs/bpf/mqtt-lb";

    pub(super) fn read(mut section: Section<'_>) -> Self {
        let default = Self::default();
        let month = Duration::from_secs(30 * 86_400);
        let idle = duration(Duration::from_secs(1)..=month);
        let splice = Self {
            attach: section.or("attach", default.attach, choice),
            interfaces: section.or("interfaces", default.interfaces, interfaces),
            max_flows: section.or("max_flows", default.max_flows, size(1..=4 << 20)),
            ports: section.or("ports", default.ports, ports),
            idle_timeout: section.or("idle_timeout", default.idle_timeout, idle),
            pin: section.or("pin", default.pin, |value| parse_pin(&string(value)?)),
            drop_flows: section.or("drop_flows", default.drop_flows, boolean),
        };
        section.finish();
        splice
    }
}

/// Reads `interfaces`.
pub(super) fn interfaces(value: &DeValue<'_>) -> Read<Vec<String>> {
    let DeValue::Array(array) = value else {
        return Err(expected("a list such as [\"eth0\"]", value));
    };
    let mut names: Vec<String> = Vec::new();
    for item in array {
        let name = string(item.get_ref())?;
        let odd = |b: u8| b == b'/' || b == b':' || b.is_ascii_whitespace() || b == 0;
        if !(1..=MAX_INTERFACE).contains(&name.len()) || name.bytes().any(odd) {
            return Err(format!(
                "{name:?} is not the name of an interface: write one as `ip link` shows it"
            ));
        }
        if names.contains(&name) {
            return Err(format!("names {name:?} twice: name each once"));
        }
        names.push(name);
    }
    Ok(names)
}

/// Reads `ports`.
fn ports(value: &DeValue<'_>) -> Read<RangeInclusive<u16>> {
    let text = string(value)?;
    let bound = |text: &str| text.trim().parse().ok().filter(|port| *port >= FIRST_PORT);
    text.split_once('-')
        .and_then(|(first, last)| Some(bound(first)?..=bound(last)?))
        .filter(|ports| !ports.is_empty())
        .ok_or_else(|| {
            format!(
                "{text:?} is not a range of ports: write the first and the last one, \
                 {FIRST_PORT} to 65535, such as \"10000-32767\""
            )
        })
}

/// Reads the directory for maps and links that outlive the process.
///
/// # Errors
/// One line: the path is not an absolute one.
pub fn parse_pin(text: &str) -> Result<PathBuf, String> {
    let path = Path::new(text);
    match path.is_absolute() && path.file_name().is_some() && !text.contains('\0') {
        true => Ok(path.to_owned()),
        false => Err(format!(
            "{text:?} is not an absolute path: write a directory on bpffs, such as \"{}\"",
            Splice::PIN
        )),
    }
}
