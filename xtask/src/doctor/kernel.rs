//! What the running kernel offers. Without it mqtt-lb still runs, on its
//! userspace path.

use std::fs;
use std::path::Path;

use super::Part;
use crate::sys;

/// The first release with tcx, for the splice path.
const SPLICE: (u32, u32) = (6, 6);

/// The first release that is safe for the sockmap path: the kernel's worker of
/// earlier ones could send a segment again after a part of it.
const SOCKMAP: (u32, u32) = (6, 16);

/// The kernel's parts.
pub fn parts() -> Vec<Part> {
    let mounts = fs::read_to_string("/proc/mounts").unwrap_or_default();
    vec![
        Part::new("kernel", kernel()),
        Part::new("kernel type information (BTF)", btf()),
        Part::new("permission for bpf()", permission()),
        Part::new("cgroup2, for sockmap.local_brokers", cgroup2(&mounts)),
        Part::new("bpffs", Ok(bpffs(&mounts))),
        Part::new("open files", open_files()),
    ]
}

fn kernel() -> Result<String, String> {
    let release = fs::read_to_string("/proc/sys/kernel/osrelease").map_err(|e| e.to_string())?;
    let release = release.trim().to_owned();
    let (path, (major, minor)) = match version(&release) {
        Some(version) if version >= SOCKMAP => return Ok(release),
        Some(version) if version >= SPLICE => ("sockmap", SOCKMAP),
        _ => ("splice", SPLICE),
    };
    Err(format!(
        "{release} is older than {major}.{minor}, which the {path} path needs; boot a newer one"
    ))
}

/// Major and minor number of a kernel release such as `6.18.44-cloud`.
fn version(release: &str) -> Option<(u32, u32)> {
    let mut numbers = release.split(|c: char| !c.is_ascii_digit());
    Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
}

fn btf() -> Result<String, String> {
    let path = "/sys/kernel/btf/vmlinux";
    if Path::new(path).exists() {
        Ok(path.into())
    } else {
        Err(format!(
            "no {path}; boot a kernel built with CONFIG_DEBUG_INFO_BTF=y"
        ))
    }
}

fn permission() -> Result<String, String> {
    match sys::create_sockhash() {
        Ok(()) => Ok("a sockhash map can be created".into()),
        Err(error) => Err(format!(
            "{error}; run as root or with CAP_BPF, CAP_NET_ADMIN and CAP_PERFMON"
        )),
    }
}

fn cgroup2(mounts: &str) -> Result<String, String> {
    mount_of("cgroup2", mounts).ok_or_else(|| {
        "not mounted; run `mkdir -p /run/cgroup2 && mount -t cgroup2 none /run/cgroup2` as root"
            .into()
    })
}

/// The splice path keeps maps and programs there.
fn bpffs(mounts: &str) -> String {
    mount_of("bpf", mounts).unwrap_or_else(|| "not mounted; mqtt-lb mounts it as root".into())
}

/// Where the first file system of `kind` is mounted.
fn mount_of(kind: &str, mounts: &str) -> Option<String> {
    mounts.lines().find_map(|line| {
        let mut words = line.split(' ');
        let place = words.nth(1)?;
        (words.next()? == kind).then(|| place.to_owned())
    })
}

fn open_files() -> Result<String, String> {
    let (soft, hard) = sys::open_files_limit().map_err(|e| e.to_string())?;
    // Each connection has one socket on either side.
    Ok(format!(
        "{soft} (hard limit {hard}): about {} connections",
        soft / 2
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kernel_releases() {
        assert_eq!(version("6.18.44"), Some((6, 18)));
        assert_eq!(version("5.10-rc1"), Some((5, 10)));
        assert_eq!(version("unknown"), None);
    }

    #[test]
    fn a_mount_is_found_by_its_type() {
        let mounts = "cgroup /sys/fs/cgroup/cpu cgroup rw 0 0\n\
                      cgroup2 /sys/fs/cgroup/unified cgroup2 rw 0 0\n";
        assert_eq!(
            mount_of("cgroup2", mounts).as_deref(),
            Some("/sys/fs/cgroup/unified")
        );
        assert_eq!(mount_of("bpf", mounts), None);
    }
}
