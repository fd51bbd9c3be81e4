//! `BPF_PROG_TEST_RUN`: one packet through one program.
//!
//! aya can do it too, but not with `BPF_F_TEST_SKB_CHECKSUM_COMPLETE`.

use std::io;
use std::os::fd::{AsRawFd as _, BorrowedFd};

/// `BPF_PROG_TEST_RUN` (linux/bpf.h, `enum bpf_cmd`).
const BPF_PROG_TEST_RUN: libc::c_long = 10;

/// The skb comes as from a device that has summed it, and the kernel checks that
/// the program has kept that sum right: `EBADMSG` if not (Linux 6.16).
pub const CHECKSUM_COMPLETE: u32 = 1 << 2;

/// The part of `union bpf_attr` that the command reads and writes.
#[repr(C)]
#[derive(Default)]
pub struct Attr {
    prog_fd: u32,
    retval: u32,
    data_size_in: u32,
    data_size_out: u32,
    data_in: u64,
    data_out: u64,
    repeat: u32,
    /// Mean time of a run in whole nanoseconds.
    pub duration: u32,
    ctx_size_in: u32,
    ctx_size_out: u32,
    ctx_in: u64,
    ctx_out: u64,
    flags: u32,
    cpu: u32,
    batch_size: u32,
    reserved: u32,
}

/// `struct __sk_buff`, as far as a test may set it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Skb {
    /// Socket mark.
    pub mark: u32,
    /// Payload bytes of each segment of a GSO packet; 0 for a plain one.
    pub gso_size: u32,
}

impl Skb {
    /// `sizeof(struct __sk_buff)`.
    const SIZE: usize = 192;

    fn bytes(self) -> [u8; Self::SIZE] {
        let mut bytes = [0; Self::SIZE];
        let mut put = |at: usize, value: u32| {
            bytes[at..at + 4].copy_from_slice(&value.to_ne_bytes());
        };
        put(8, self.mark);
        put(36, LOOPBACK); // ingress_ifindex
        put(164, u32::from(self.gso_size != 0) * 2); // gso_segs
        put(176, self.gso_size);
        bytes
    }
}

/// Index of `lo`, which every test packet arrives on.
pub const LOOPBACK: u32 = 1;

/// Runs `frame` through a program; `skb` for classifiers only. Returns what the
/// program returned and leaves the packet as it left it in `out`.
pub fn run(
    program: BorrowedFd<'_>,
    frame: &[u8],
    skb: Option<Skb>,
    flags: u32,
    out: &mut Vec<u8>,
) -> io::Result<i32> {
    let attr = call(program, frame, skb, flags, 1, out)?;
    Ok(attr.retval as i32)
}

/// The same so many times, each on what the run before has left of the packet.
pub fn call(
    program: BorrowedFd<'_>,
    frame: &[u8],
    skb: Option<Skb>,
    flags: u32,
    repeat: u32,
    out: &mut Vec<u8>,
) -> io::Result<Attr> {
    let context = skb.map(Skb::bytes);
    out.clear();
    // Room for a program that makes packets longer, so that it is seen.
    out.resize(frame.len() + 256, 0xa5);
    let mut attr = Attr {
        prog_fd: program.as_raw_fd() as u32,
        data_size_in: frame.len() as u32,
        data_size_out: out.len() as u32,
        data_in: frame.as_ptr() as u64,
        data_out: out.as_mut_ptr() as u64,
        repeat,
        flags,
        ..Attr::default()
    };
    if let Some(context) = &context {
        attr.ctx_in = context.as_ptr() as u64;
        attr.ctx_size_in = context.len() as u32;
    }
    // SAFETY: the pointers and sizes in `attr` are those of `frame`, `out` and
    // `context`, which outlive the call.
    let result = unsafe {
        libc::syscall(
            libc::SYS_bpf,
            BPF_PROG_TEST_RUN,
            &raw mut attr,
            size_of::<Attr>(),
        )
    };
    if result < 0 {
        return Err(io::Error::last_os_error());
    }
    assert!(
        out[attr.data_size_out as usize..]
            .iter()
            .all(|b| *b == 0xa5),
        "the kernel wrote behind the packet"
    );
    out.truncate(attr.data_size_out as usize);
    Ok(attr)
}
