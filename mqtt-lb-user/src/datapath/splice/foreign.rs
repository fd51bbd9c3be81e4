//! What flows of other versions occupy: their programs go on, and take what arrives for
//! their ports.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::{AsFd as _, AsRawFd as _, BorrowedFd};
use std::path::Path;

use aya::maps::MapData;
use mqtt_lb_ebpf::tuple::{Tuple4, Tuple6};

use super::{index4, layout};

/// `BPF_MAP_GET_NEXT_KEY` (linux/bpf.h).
const GET_NEXT_KEY: libc::c_long = 4;

/// Its part of `union bpf_attr`.
#[repr(C)]
struct NextKey {
    map: u32,
    padding: u32,
    key: u64,
    next: u64,
}

/// Source and destination of the packets that the programs pinned in `directory` take,
/// both directions of each flow. Only the keys are read: they are of one layout in all
/// versions.
pub fn arrivals(directory: &Path) -> Vec<[SocketAddr; 2]> {
    let v4 = index4::pinned(&directory.join(layout::IDX4)).unwrap_or_default();
    let v6 = keys::<{ size_of::<Tuple6>() }>(&directory.join(layout::IDX6));
    v4.iter()
        .map(|(key, _)| arrival4(key))
        .chain(v6.iter().map(arrival6))
        .collect()
}

fn arrival4(key: &Tuple4) -> [SocketAddr; 2] {
    let address = |ip, port| SocketAddr::new(Ipv4Addr::from(ip).into(), u16::from_be_bytes(port));
    [
        address(key.source, key.source_port),
        address(key.destination, key.destination_port),
    ]
}

fn arrival6(key: &[u8; size_of::<Tuple6>()]) -> [SocketAddr; 2] {
    let address = |at: usize, port: usize| {
        let ip: [u8; 16] = std::array::from_fn(|i| key[at + i]);
        let port = u16::from_be_bytes([key[port], key[port + 1]]);
        SocketAddr::new(Ipv6Addr::from(ip).into(), port)
    };
    [address(0, 32), address(16, 34)]
}

/// All keys of a pinned map; none of one that is not there or has other keys.
fn keys<const N: usize>(pin: &Path) -> Vec<[u8; N]> {
    let Ok(map) = MapData::from_pin(pin) else {
        return Vec::new();
    };
    if map.info().is_ok_and(|info| info.key_size() as usize != N) {
        return Vec::new();
    }
    let mut keys = Vec::new();
    while let Ok(key) = next(map.fd().as_fd(), keys.last()) {
        keys.push(key);
    }
    keys
}

fn next<const N: usize>(map: BorrowedFd<'_>, key: Option<&[u8; N]>) -> io::Result<[u8; N]> {
    let mut next = [0; N];
    let attr = NextKey {
        map: map.as_raw_fd() as u32,
        padding: 0,
        key: key.map_or(0, |key| key.as_ptr() as u64),
        next: next.as_mut_ptr() as u64,
    };
    // SAFETY: both buffers have the map's key size, and outlive the call.
    let result = unsafe {
        libc::syscall(
            libc::SYS_bpf,
            GET_NEXT_KEY,
            std::ptr::from_ref(&attr),
            size_of::<NextKey>(),
        )
    };
    if result == 0 {
        Ok(next)
    } else {
        Err(io::Error::last_os_error())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_addresses() {
        let key = Tuple4 {
            source: [10, 2, 0, 2],
            destination: [10, 2, 0, 1],
            source_port: [0x07, 0x5b],
            destination_port: [0x27, 0x10],
        };
        let [from, to] = arrival4(&key);
        assert_eq!(from, "10.2.0.2:1883".parse().unwrap());
        assert_eq!(to, "10.2.0.1:10000".parse().unwrap());
        let mut key = [0; 36];
        key[15] = 1;
        key[31] = 2;
        key[33] = 7;
        key[35] = 8;
        let [from, to] = arrival6(&key);
        assert_eq!(from, "[::1]:7".parse().unwrap());
        assert_eq!(to, "[::2]:8".parse().unwrap());
    }
}
