//! Which BPF objects a process holds, and which of them the kernel still has.

use std::collections::BTreeSet;

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
        // enum bpf_cmd: BPF_{PROG,MAP,LINK}_GET_FD_BY_ID
        let (command, id) = match self {
            Object::Program(id) => (13, id),
            Object::Map(id) => (14, id),
            Object::Link(id) => (30, id),
        };
        let attributes: [u32; 4] = [id, 0, 0, 0];
        let size = size_of_val(&attributes);
        // SAFETY: the attributes begin with the id, the rest is zero, and the
        // size is theirs; the descriptor that comes back is closed at once.
        unsafe {
            let fd = libc::syscall(libc::SYS_bpf, command, attributes.as_ptr(), size);
            if fd >= 0 {
                libc::close(fd as i32);
            }
            fd >= 0
        }
    }
}
