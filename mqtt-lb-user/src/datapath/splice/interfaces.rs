//! The network interfaces of this namespace.
//!
//! Asked by system calls and not read from `/sys/class/net`, which shows the
//! namespace it was mounted in.

use std::ffi::CStr;
use std::io;
use std::os::fd::AsRawFd as _;

use socket2::{Domain, Socket, Type};

/// A network interface.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Interface {
    /// Its name.
    pub name: String,
    /// Its index.
    pub ifindex: u32,
    /// Whether packets start with an Ethernet header: Ethernet and loopback.
    pub has_ethernet_header: bool,
    /// Whether it is up.
    pub is_up: bool,
    /// Whether it is a port of a bond, whose packets belong to the bond.
    pub is_slave: bool,
}

impl Interface {
    /// Whether the programs belong on it when the configuration names no interfaces.
    pub fn is_usual(&self) -> bool {
        self.has_ethernet_header && !self.is_slave
    }
}

/// All interfaces of the network namespace this thread is in, by index.
///
/// # Errors
/// The kernel does not answer.
pub fn all() -> io::Result<Vec<Interface>> {
    let socket = Socket::new(Domain::IPV4, Type::DGRAM, None)?;
    let mut interfaces = Vec::new();
    for (ifindex, name) in names()? {
        // One that is gone by now is no interface.
        let (Ok(flags), Ok(kind)) = (flags(&socket, &name), kind(&socket, &name)) else {
            continue;
        };
        let has = |flag: libc::c_int| flags & flag != 0;
        interfaces.push(Interface {
            ifindex,
            has_ethernet_header: [libc::ARPHRD_ETHER, libc::ARPHRD_LOOPBACK].contains(&kind),
            is_up: has(libc::IFF_UP),
            is_slave: has(libc::IFF_SLAVE),
            name: String::from_utf8_lossy(&name).into_owned(),
        });
    }
    interfaces.sort_by_key(|interface| interface.ifindex);
    Ok(interfaces)
}

fn names() -> io::Result<Vec<(u32, Vec<u8>)>> {
    // SAFETY: the list is read up to its end and freed once.
    unsafe {
        let list = libc::if_nameindex();
        if list.is_null() {
            return Err(io::Error::last_os_error());
        }
        let mut names = Vec::new();
        let mut entry = list;
        while (*entry).if_index != 0 {
            let name = CStr::from_ptr((*entry).if_name).to_bytes().to_vec();
            names.push(((*entry).if_index, name));
            entry = entry.add(1);
        }
        libc::if_freenameindex(list);
        Ok(names)
    }
}

fn flags(socket: &Socket, name: &[u8]) -> io::Result<libc::c_int> {
    let request = ask(socket, name, libc::SIOCGIFFLAGS)?;
    // SAFETY: the kernel has filled this member.
    Ok(unsafe { request.ifr_ifru.ifru_flags }.into())
}

fn kind(socket: &Socket, name: &[u8]) -> io::Result<libc::c_ushort> {
    let request = ask(socket, name, libc::SIOCGIFHWADDR)?;
    // SAFETY: the kernel has filled this member.
    Ok(unsafe { request.ifr_ifru.ifru_hwaddr }.sa_family)
}

fn ask(socket: &Socket, name: &[u8], what: libc::Ioctl) -> io::Result<libc::ifreq> {
    // SAFETY: integers and unions of integers; all zeros is a value.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    // The last byte stays 0.
    let room = request.ifr_name.len() - 1;
    for (to, from) in request.ifr_name[..room].iter_mut().zip(name) {
        *to = *from as libc::c_char;
    }
    // SAFETY: the request is valid through the call and large enough for both answers.
    if unsafe { libc::ioctl(socket.as_raw_fd(), what, &raw mut request) } != 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(request)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loopback_has_an_ethernet_header() {
        let interfaces = all().expect("interfaces");
        let lo = interfaces.iter().find(|interface| interface.name == "lo");
        let lo = lo.expect("lo");
        assert!(lo.is_usual(), "{lo:?}");
        assert!(!lo.is_slave);
    }
}
