//! A flood of SYNs from one address that never answers.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::os::fd::{AsRawFd as _, FromRawFd as _, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::netns::Netns;

/// SYNs between two looks at the clock.
const BATCH: u32 = 20;

/// A running flood; it ends on drop.
#[derive(Debug)]
pub struct Flood {
    stop: Arc<AtomicBool>,
    sent: Arc<AtomicU64>,
    thread: Option<JoinHandle<()>>,
}

impl Flood {
    /// Sends `rate` SYNs a second from `source`, out of `interface` to the host at `mac`.
    pub fn start(
        ns: &Netns,
        interface: &str,
        mac: [u8; 6],
        source: Ipv4Addr,
        to: SocketAddr,
        rate: u32,
    ) -> Self {
        let IpAddr::V4(target) = to.ip() else {
            panic!("the flood speaks IPv4")
        };
        let socket = ns.run(|| open(interface)).expect("packet socket");
        let (stop, sent) = (
            Arc::new(AtomicBool::new(false)),
            Arc::new(AtomicU64::new(0)),
        );
        let (stopped, count) = (stop.clone(), sent.clone());
        let flood = move || {
            let begin = Instant::now();
            let mut n = 0_u32;
            while !stopped.load(Relaxed) {
                for _ in 0..BATCH {
                    n += 1;
                    send(&socket, &syn(mac, source, target, to.port(), n)).expect("send");
                }
                count.store(n.into(), Relaxed);
                let due = begin + Duration::from_secs_f64(f64::from(n) / f64::from(rate));
                std::thread::sleep(due.saturating_duration_since(Instant::now()));
            }
        };
        Self {
            stop,
            sent,
            thread: Some(std::thread::spawn(flood)),
        }
    }

    /// SYNs sent so far.
    pub fn sent(&self) -> u64 {
        self.sent.load(Relaxed)
    }
}

impl Drop for Flood {
    fn drop(&mut self) {
        self.stop.store(true, Relaxed);
        let ended = self.thread.take().map(JoinHandle::join);
        if !std::thread::panicking() {
            ended.expect("a thread").expect("the flood ran to its end");
        }
    }
}

fn open(interface: &str) -> io::Result<OwnedFd> {
    let name = std::ffi::CString::new(interface).expect("a name");
    let all = (libc::ETH_P_ALL as u16).to_be();
    // SAFETY: plain numbers; the result is checked.
    let fd = unsafe { libc::socket(libc::AF_PACKET, libc::SOCK_RAW | libc::SOCK_CLOEXEC, 0) };
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: a new descriptor.
    let socket = unsafe { OwnedFd::from_raw_fd(fd) };
    // SAFETY: integers only; all zeros is a value.
    let mut address: libc::sockaddr_ll = unsafe { std::mem::zeroed() };
    address.sll_family = libc::AF_PACKET as u16;
    address.sll_protocol = all;
    // SAFETY: a string that ends.
    address.sll_ifindex = unsafe { libc::if_nametoindex(name.as_ptr()) } as i32;
    let length = size_of::<libc::sockaddr_ll>() as libc::socklen_t;
    // SAFETY: an address of that length.
    match unsafe { libc::bind(fd, (&raw const address).cast(), length) } {
        0 => Ok(socket),
        _ => Err(io::Error::last_os_error()),
    }
}

fn send(socket: &OwnedFd, frame: &[u8]) -> io::Result<()> {
    loop {
        // SAFETY: a buffer of that length.
        let n = unsafe { libc::send(socket.as_raw_fd(), frame.as_ptr().cast(), frame.len(), 0) };
        if n >= 0 {
            return Ok(());
        }
        let error = io::Error::last_os_error();
        match error.raw_os_error() {
            // The queue is full: what a flood does is wait.
            Some(libc::ENOBUFS | libc::EINTR) => std::thread::yield_now(),
            _ => return Err(error),
        }
    }
}

/// The `n`th SYN: each from another port, with another sequence number.
fn syn(mac: [u8; 6], source: Ipv4Addr, target: Ipv4Addr, port: u16, n: u32) -> Vec<u8> {
    let mut tcp = Vec::with_capacity(20);
    tcp.extend((1024 + (n % 60_000) as u16).to_be_bytes());
    tcp.extend(port.to_be_bytes());
    tcp.extend(n.wrapping_mul(2_654_435_761).to_be_bytes());
    tcp.extend([0, 0, 0, 0, 0x50, 2, 0xff, 0xff, 0, 0, 0, 0]);
    let pseudo = [&source.octets()[..], &target.octets(), &[0, 6, 0, 20]].concat();
    let sum = checksum(&[pseudo, tcp.clone()].concat());
    tcp[16..18].copy_from_slice(&sum.to_be_bytes());

    let mut ip = vec![0x45, 0, 0, 40, 0, 0, 0x40, 0, 64, 6, 0, 0];
    ip.extend(source.octets());
    ip.extend(target.octets());
    let sum = checksum(&ip);
    ip[10..12].copy_from_slice(&sum.to_be_bytes());
    [&mac[..], &[2, 0, 0, 0x4d, 0xff, 1, 0x08, 0x00], &ip, &tcp].concat()
}

/// RFC 1071, of an even number of bytes.
fn checksum(bytes: &[u8]) -> u16 {
    let pairs = bytes.chunks(2);
    let mut sum: u32 = pairs
        .map(|p| u32::from(u16::from_be_bytes([p[0], p[1]])))
        .sum();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !(sum as u16)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::segment::{Segment, flag};

    #[test]
    fn a_syn_is_sound() {
        let (from, to) = (Ipv4Addr::new(10, 0, 0, 9), Ipv4Addr::new(10, 0, 0, 1));
        for n in [1, 59_999, 60_000, 4_000_000_000] {
            let segment = Segment::parse(&syn([1; 6], from, to, 1883, n)).expect("a segment");
            assert!(segment.sound);
            assert_eq!(segment.flags, flag::SYN);
            assert_eq!((segment.from.ip(), segment.to.port()), (from.into(), 1883));
        }
    }
}
