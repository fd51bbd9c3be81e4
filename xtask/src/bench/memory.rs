//! Memory of a process, of the kernel's slab, and of BPF maps, in bytes.

use std::collections::BTreeMap;
use std::fs;
use std::thread::sleep;
use std::time::Duration;

/// Slab that may come or go while memory counts as settled.
const CALM: u64 = 256 << 10;
const LOOK: Duration = Duration::from_millis(300);
const MOST_LOOKS: usize = 20;

/// Private memory of a process (`RssAnon`). Mapped BPF arrays are not in it: they are
/// counted as maps.
pub fn private(pid: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    kilobytes(&status, "RssAnon:")
}

/// A process and its descendants.
pub fn family(pid: u32) -> Vec<u32> {
    let text = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children"));
    let children = text.unwrap_or_default();
    let children = children.split_whitespace().flat_map(str::parse);
    std::iter::once(pid)
        .chain(children.flat_map(family))
        .collect()
}

/// Memory that the kernel would give to programs now.
pub fn available() -> u64 {
    let text = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    kilobytes(&text, "MemAvailable:")
}

/// Slab of the whole kernel, read when it has stopped to change.
pub fn settled_slab() -> u64 {
    let mut last = slab();
    for _ in 0..MOST_LOOKS {
        sleep(LOOK);
        let now = slab();
        if now.abs_diff(last) < CALM {
            return now;
        }
        last = now;
    }
    last
}

fn slab() -> u64 {
    let text = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    kilobytes(&text, "Slab:")
}

/// Memory of the BPF maps of which a process has descriptors.
pub fn maps(pid: u32) -> u64 {
    let entries = fs::read_dir(format!("/proc/{pid}/fdinfo"));
    let texts = entries.into_iter().flatten().flatten().filter_map(|entry| {
        // Most are sockets; a map names its id.
        fs::read_to_string(entry.path()).ok()
    });
    // A map may have several descriptors.
    let by_id: BTreeMap<u64, u64> = texts.filter_map(|text| map(&text)).collect();
    by_id.values().sum()
}

/// Id and memory in the fdinfo of a map.
fn map(fdinfo: &str) -> Option<(u64, u64)> {
    Some((field(fdinfo, "map_id:")?, field(fdinfo, "memlock:")?))
}

fn kilobytes(text: &str, key: &str) -> u64 {
    field(text, key).unwrap_or(0) * 1024
}

/// The number behind a key at the start of a line.
fn field(text: &str, key: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(key))?;
    line.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_found_in_procs_texts() {
        let map_info = "pos:\t0\nmap_type:\t2\nmax_entries:\t10\nmemlock:\t8192\nmap_id:\t17\n";
        assert_eq!(map(map_info), Some((17, 8192)));
        assert_eq!(map("pos:\t0\nflags:\t02\n"), None);
        assert_eq!(
            kilobytes("RssAnon:\t     12 kB\nRssFile: 9 kB", "RssAnon:"),
            12_288
        );
    }

    #[test]
    fn a_process_belongs_to_its_family() {
        let own = std::process::id();
        assert_eq!(family(own)[0], own);
        assert!(available() > 1 << 20);
    }

    #[test]
    fn this_process_has_private_memory_and_the_kernel_slab() {
        assert!(private(std::process::id()) > 100_000);
        assert!(settled_slab() > 1 << 20);
    }
}
