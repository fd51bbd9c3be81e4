//! Offload switches of an interface, by the ethtool ioctl.

use std::io;

/// An offload that can be switched.
#[derive(Debug, Clone, Copy)]
#[repr(u32)]
pub enum Offload {
    /// Transmit checksums (ETHTOOL_STXCSUM).
    TxChecksum = 0x17,
    /// TCP segmentation (ETHTOOL_STSO).
    Tso = 0x1f,
    /// Generic segmentation (ETHTOOL_SGSO).
    Gso = 0x24,
    /// Generic receive merging (ETHTOOL_SGRO).
    Gro = 0x2c,
}

#[repr(C)]
struct Value {
    command: u32,
    data: u32,
}

#[repr(C)]
struct Request {
    name: [libc::c_char; libc::IFNAMSIZ],
    data: *mut Value,
    padding: [u8; 16],
}

const SIOCETHTOOL: libc::c_ulong = 0x8946;

/// Switches an offload of an interface in the calling thread's namespace.
pub fn set(interface: &str, offload: Offload, on: bool) -> io::Result<()> {
    let mut value = Value {
        command: offload as u32,
        data: on.into(),
    };
    let mut request = Request {
        name: [0; libc::IFNAMSIZ],
        data: &mut value,
        padding: [0; 16],
    };
    for (to, from) in request
        .name
        .iter_mut()
        .zip(interface.bytes().take(libc::IFNAMSIZ - 1))
    {
        *to = from as libc::c_char;
    }
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::DGRAM, None)?;
    use std::os::fd::AsRawFd;
    // SAFETY: the request has the layout of struct ifreq (name, then a pointer)
    // and its pointer stays valid for the call.
    let answer = unsafe { libc::ioctl(socket.as_raw_fd(), SIOCETHTOOL as _, &mut request) };
    if answer < 0 {
        Err(io::Error::last_os_error())
    } else {
        Ok(())
    }
}

/// Makes every frame leave as it would on a plain wire: whole checksums, no
/// segments larger than the MTU. A relay on packet sockets needs that.
pub fn plain(interface: &str) {
    for offload in [
        Offload::Tso,
        Offload::Gso,
        Offload::Gro,
        Offload::TxChecksum,
    ] {
        set(interface, offload, false)
            .unwrap_or_else(|e| panic!("cannot switch off {offload:?} of {interface}: {e}"));
    }
}
