//! The least XDP program: it passes everything. A veth pair takes redirected
//! frames only where the other end has one (veth_xdp_xmit wants its NAPI).

use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};

use crate::bpf::call;
use crate::ethtool::{self, Offload};
use crate::netns::Netns;

const PROG_LOAD: i64 = 5;
const LINK_CREATE: i64 = 28;
/// `BPF_PROG_TYPE_XDP`.
const TYPE: u64 = 6;
/// `BPF_XDP`, the type of attachment.
const ATTACH: u64 = 37;
/// `XDP_FLAGS_DRV_MODE`.
const NATIVE: u64 = 4;
/// `r0 = XDP_PASS; exit`.
const PASS: [u64; 2] = [0x0000_0002_0000_00b7, 0x0000_0000_0000_0095];

/// An attached program; detached on drop.
#[derive(Debug)]
pub struct Pass {
    _link: OwnedFd,
}

impl Pass {
    /// Attaches to an interface of a namespace.
    pub fn attach(ns: &Netns, interface: &str) -> Self {
        let link = ns.run(|| {
            let link = attach(interface)?;
            // The kernel switches it on beside a program; a relay on packet
            // sockets could not send on what it merges.
            ethtool::set(interface, Offload::Gro, false)?;
            Ok::<_, io::Error>(link)
        });
        let link = link.unwrap_or_else(|e| panic!("XDP on {interface}: {e}"));
        Self { _link: link }
    }
}

fn attach(interface: &str) -> io::Result<OwnedFd> {
    let name = std::ffi::CString::new(interface)?;
    // SAFETY: `name` is NUL-terminated.
    let index = unsafe { libc::if_nametoindex(name.as_ptr()) };
    let license = c"GPL".as_ptr() as u64;
    // prog_type and insn_cnt, insns, license, log_level and log_size, log_buf
    let load = [
        TYPE | (PASS.len() as u64) << 32,
        PASS.as_ptr() as u64,
        license,
        0,
        0,
    ];
    let program = own(call(PROG_LOAD, &load)?);
    // prog_fd and target_ifindex, attach_type and flags
    let create = [
        u64::from(program.as_raw_fd() as u32) | u64::from(index) << 32,
        ATTACH | NATIVE << 32,
    ];
    Ok(own(call(LINK_CREATE, &create)?))
}

fn own(fd: i32) -> OwnedFd {
    // SAFETY: the kernel has just made this descriptor for us.
    unsafe { OwnedFd::from_raw_fd(fd) }
}
