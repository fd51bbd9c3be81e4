//! Which BPF objects a process holds, and which of them the kernel still has.

use std::collections::BTreeSet;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};

/// A kind of BPF object and its id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Object {
    /// A program.
    Program(u32),
    /// A map.
    Map(u32),
    /// A link.
    Link(u32),
}

/// The objects a process has descriptors of, from `/proc/PID/fdinfo`.
pub fn held_by(pid: u32) -> BTreeSet<Object> {
    let mut objects = BTreeSet::new();
    for entry in std::fs::read_dir(format!("/proc/{pid}/fdinfo"))
        .into_iter()
        .flatten()
        .flatten()
    {
        let text = std::fs::read_to_string(entry.path()).unwrap_or_default();
        for line in text.lines() {
            let Some((key, value)) = line.split_once(':') else {
                continue;
            };
            let Ok(id) = value.trim().parse() else {
                continue;
            };
            match key {
                "prog_id" => objects.insert(Object::Program(id)),
                "map_id" => objects.insert(Object::Map(id)),
                "link_id" => objects.insert(Object::Link(id)),
                _ => continue,
            };
        }
    }
    objects
}

impl Object {
    /// Whether the kernel still has it.
    pub fn exists(self) -> bool {
        self.open().is_some()
    }

    fn open(self) -> Option<OwnedFd> {
        // enum bpf_cmd: BPF_{PROG,MAP,LINK}_GET_FD_BY_ID
        let (command, id) = match self {
            Object::Program(id) => (13, id),
            Object::Map(id) => (14, id),
            Object::Link(id) => (30, id),
        };
        let fd = call(command, &[u64::from(id), 0]).ok()?;
        // SAFETY: the kernel has just made this descriptor for us.
        Some(unsafe { OwnedFd::from_raw_fd(fd) })
    }
}

/// The bpf system call; the attributes are little-endian words as in
/// `union bpf_attr`.
pub(crate) fn call(command: i64, attributes: &[u64]) -> io::Result<i32> {
    let size = size_of_val(attributes);
    // SAFETY: the attributes live through the call and hold valid pointers
    // where the command expects some.
    let answer = unsafe { libc::syscall(libc::SYS_bpf, command, attributes.as_ptr(), size) };
    i32::try_from(answer)
        .ok()
        .filter(|n| *n >= 0)
        .ok_or_else(io::Error::last_os_error)
}

const MAP_GET_NEXT_KEY: i64 = 4;
const OBJ_GET_INFO_BY_FD: i64 = 15;
const MAP_TYPE_HASH: u32 = 1;

/// Head of `struct bpf_map_info`.
#[repr(C)]
#[derive(Default)]
struct MapInfo {
    kind: u32,
    id: u32,
    key_size: u32,
    value_size: u32,
    max_entries: u32,
    flags: u32,
    name: [u8; 16],
}

/// Name and locked bytes of every map that a process holds.
pub fn map_bytes(pid: u32) -> Vec<(String, u64)> {
    let dir = format!("/proc/{pid}/fdinfo");
    let mut seen = BTreeSet::new();
    let mut maps = Vec::new();
    for entry in std::fs::read_dir(dir).into_iter().flatten().flatten() {
        let text = std::fs::read_to_string(entry.path()).unwrap_or_default();
        let field = |name: &str| {
            let lines = text.lines().filter_map(|line| line.split_once(':'));
            let mut found = lines.filter(|(key, _)| *key == name);
            found.next()?.1.trim().parse::<u64>().ok()
        };
        let (Some(id), Some(bytes)) = (field("map_id"), field("memlock")) else {
            continue;
        };
        let info = Object::Map(id as u32).open().and_then(|fd| info(&fd).ok());
        if let (true, Some(info)) = (seen.insert(id), info) {
            let name = info.name.iter().take_while(|byte| **byte != 0);
            let name = name.map(|byte| char::from(*byte)).collect();
            maps.push((name, bytes));
        }
    }
    maps
}

/// Entries of the hash map of that name which a process holds; `None` when it
/// holds none of that name.
pub fn entries(pid: u32, name: &str) -> Option<usize> {
    held_by(pid).into_iter().find_map(|object| {
        let fd = matches!(object, Object::Map(_)).then(|| object.open())??;
        let info = info(&fd).ok()?;
        let found = info.kind == MAP_TYPE_HASH && info.name.starts_with(name.as_bytes());
        found.then(|| count(&fd, info.key_size as usize))
    })
}

fn info(map: &OwnedFd) -> io::Result<MapInfo> {
    let mut info = MapInfo::default();
    let size = size_of::<MapInfo>() as u64;
    // bpf_fd, info_len, info
    let attributes = [
        u64::from(map.as_raw_fd() as u32) | size << 32,
        (&raw mut info) as u64,
    ];
    call(OBJ_GET_INFO_BY_FD, &attributes)?;
    Ok(info)
}

fn count(map: &OwnedFd, key_size: usize) -> usize {
    let (mut key, mut next) = (vec![0u8; key_size], vec![0u8; key_size]);
    let mut count = 0;
    loop {
        let from = if count == 0 { 0 } else { key.as_ptr() as u64 };
        let fd = u64::from(map.as_raw_fd() as u32);
        // map_fd, key, next_key
        if call(MAP_GET_NEXT_KEY, &[fd, from, next.as_mut_ptr() as u64]).is_err() {
            return count;
        }
        key.clone_from(&next);
        count += 1;
    }
}
