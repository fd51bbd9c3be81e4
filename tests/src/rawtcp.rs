//! A TCP client made by hand on a packet socket: its segments begin and end
//! where the test wants, overlap, and come in any order (RFC 9293).
//!
//! It lives at an address that no kernel owns, so nobody answers for it. It
//! sends no options: no window scaling, no timestamps, no SACK.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddrV4};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::time::{Duration, Instant};

use crate::lab::{FRONT, Lab};

/// The client's address.
pub const GHOST: Ipv4Addr = Ipv4Addr::new(10, 77, 1, 3);
/// The largest payload of a segment.
pub const LARGEST: usize = 60_000;
const GHOST_MAC: &str = "02:00:00:4d:00:03";
const FRONT_MAC: [u8; 6] = [2, 0, 0, 0x4d, 0, 1];
/// The largest a veth pair takes.
const MTU: u32 = 65_535;

const FIN: u8 = 0x01;
const SYN: u8 = 0x02;
const RST: u8 = 0x04;
const PSH: u8 = 0x08;
const ACK: u8 = 0x10;

/// Makes room in a lab for such clients: large segments, and an entry for
/// their address in the balancer's neighbour table.
pub fn prepare(lab: &Lab) {
    let mac = FRONT_MAC.map(|byte| format!("{byte:02x}")).join(":");
    lab.lb
        .ip(&format!("link set front address {mac} mtu {MTU}"));
    lab.client.ip(&format!("link set c0 mtu {MTU}"));
    lab.lb.ip(&format!(
        "neigh replace {GHOST} lladdr {GHOST_MAC} nud permanent dev front"
    ));
}

/// An established connection; reset on drop.
///
/// Offsets count the bytes of the stream: the first byte behind SYN is 0.
#[derive(Debug)]
pub struct RawTcp {
    socket: OwnedFd,
    to_mac: libc::sockaddr_ll,
    port: u16,
    peer: SocketAddrV4,
    isn: u32,
    acked: u32,
    next_in: u32,
    incoming: Vec<u8>,
    window: u16,
    ended: bool,
    reset: bool,
}

/// What was waited for has not come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Missing {
    /// The peer has reset the connection.
    Reset,
    /// The time was over.
    Late,
}

impl RawTcp {
    /// Shakes hands with the balancer's `to` port, `isn` being the sequence
    /// number of the SYN.
    pub fn connect(lab: &Lab, port: u16, to: u16, isn: u32) -> Self {
        let IpAddr::V4(front) = FRONT else {
            unreachable!("the lab speaks IPv4")
        };
        let (socket, to_mac) = lab.client.run(|| open("c0")).expect("packet socket");
        let mut tcp = Self {
            socket,
            to_mac,
            port,
            peer: SocketAddrV4::new(front, to),
            isn,
            acked: isn,
            next_in: 0,
            incoming: Vec::new(),
            window: u16::MAX,
            ended: false,
            reset: false,
        };
        tcp.emit(isn, SYN, &[]);
        tcp.listen(Duration::from_secs(5), |tcp| tcp.acked != isn)
            .unwrap_or_else(|missing| panic!("no SYN-ACK from {}: {missing:?}", tcp.peer));
        tcp
    }

    /// Sends bytes as one segment that begins at an offset.
    pub fn send(&self, at: u64, bytes: &[u8]) {
        assert!(bytes.len() <= LARGEST, "a segment of {}", bytes.len());
        self.emit(self.seq(at), ACK | PSH, bytes);
    }

    /// Like [`RawTcp::send`], with the FIN behind the bytes.
    pub fn send_last(&self, at: u64, bytes: &[u8]) {
        assert!(bytes.len() <= LARGEST, "a segment of {}", bytes.len());
        self.emit(self.seq(at), ACK | PSH | FIN, bytes);
    }

    /// Tells the peer that there is no room for more of its bytes.
    pub fn close_window(&mut self) {
        self.window = 0;
        self.emit(self.acked, ACK, &[]);
    }

    /// Waits until everything in front of an offset is acknowledged (a FIN
    /// counts as a byte).
    pub fn acked(&mut self, offset: u64, within: Duration) -> Result<(), Missing> {
        let wanted = self.seq(offset);
        self.listen(within, |tcp| reached(tcp.acked, wanted))
    }

    /// Waits for that many bytes from the peer.
    pub fn read(&mut self, len: usize, within: Duration) -> Result<Vec<u8>, Missing> {
        self.listen(within, |tcp| tcp.incoming.len() >= len)?;
        Ok(self.incoming.drain(..len).collect())
    }

    /// Waits for the peer's FIN.
    pub fn ended(&mut self, within: Duration) -> Result<(), Missing> {
        self.listen(within, |tcp| tcp.ended)
    }

    fn seq(&self, offset: u64) -> u32 {
        self.isn.wrapping_add(1).wrapping_add(offset as u32)
    }

    /// Takes what arrives until the condition holds or the time is over.
    fn listen(&mut self, within: Duration, done: impl Fn(&Self) -> bool) -> Result<(), Missing> {
        let end = Instant::now() + within;
        let mut packet = [0; MTU as usize];
        while !done(self) {
            let left = end.saturating_duration_since(Instant::now());
            if self.reset {
                return Err(Missing::Reset);
            }
            if left.is_zero() {
                return Err(Missing::Late);
            }
            let mut fd = libc::pollfd {
                fd: self.socket.as_raw_fd(),
                events: libc::POLLIN,
                revents: 0,
            };
            // SAFETY: one entry; the pointer and length are those of `packet`.
            let n = unsafe {
                libc::poll(&mut fd, 1, left.as_millis() as i32 + 1);
                libc::recv(
                    fd.fd,
                    packet.as_mut_ptr().cast(),
                    packet.len(),
                    libc::MSG_DONTWAIT,
                )
            };
            if let Ok(n) = usize::try_from(n) {
                self.take(&packet[..n]);
            }
        }
        Ok(())
    }

    /// Takes an IPv4 packet, when it is one of this connection.
    fn take(&mut self, packet: &[u8]) {
        let header = usize::from(packet[0] & 0x0f) * 4;
        let total = usize::from(u16::from_be_bytes([packet[2], packet[3]]));
        let ours = packet[9] == 6
            && packet[12..16] == self.peer.ip().octets()
            && packet[16..20] == GHOST.octets();
        // A neighbour pads short frames.
        let Some(tcp) = packet.get(header..total).filter(|_| ours) else {
            return;
        };
        let half = |at: usize| u16::from_be_bytes([tcp[at], tcp[at + 1]]);
        let word = |at: usize| u32::from(half(at)) << 16 | u32::from(half(at + 2));
        if (half(0), half(2)) != (self.peer.port(), self.port) {
            return;
        }
        let (seq, ack, flags) = (word(4), word(8), tcp[13]);
        let bytes = &tcp[usize::from(tcp[12] >> 4) * 4..];
        if flags & RST != 0 {
            self.reset = true;
            return;
        }
        if flags & SYN != 0 {
            self.next_in = seq.wrapping_add(1);
        } else if seq == self.next_in {
            self.incoming.extend_from_slice(bytes);
            self.ended |= flags & FIN != 0;
            let len = bytes.len() as u32 + u32::from(flags & FIN);
            self.next_in = seq.wrapping_add(len);
        }
        if reached(ack, self.acked) {
            self.acked = ack;
        }
        if flags & (SYN | FIN) != 0 || !bytes.is_empty() {
            self.emit(self.acked, ACK, &[]);
        }
    }

    fn emit(&self, seq: u32, flags: u8, bytes: &[u8]) {
        let ack = if flags & SYN == 0 { self.next_in } else { 0 };
        let mut tcp = Vec::with_capacity(20 + bytes.len());
        tcp.extend(self.port.to_be_bytes());
        tcp.extend(self.peer.port().to_be_bytes());
        tcp.extend(seq.to_be_bytes());
        tcp.extend(ack.to_be_bytes());
        tcp.extend([5 << 4, flags]);
        tcp.extend(self.window.to_be_bytes());
        tcp.extend([0; 4]);
        tcp.extend(bytes);
        let len = tcp.len() as u16;
        let pseudo = [0, 6, len.to_be_bytes()[0], len.to_be_bytes()[1]];
        let sum = checksum(&[&GHOST.octets(), &self.peer.ip().octets(), &pseudo, &tcp]);
        tcp[16..18].copy_from_slice(&sum);

        let mut packet = vec![0x45, 0];
        packet.extend((20 + len).to_be_bytes());
        packet.extend([0, 0, 0x40, 0, 64, 6, 0, 0]);
        packet.extend(GHOST.octets());
        packet.extend(self.peer.ip().octets());
        let sum = checksum(&[&packet]);
        packet[10..12].copy_from_slice(&sum);
        packet.extend(tcp);

        // SAFETY: pointers and lengths are those of `packet` and the address.
        let sent = unsafe {
            libc::sendto(
                self.socket.as_raw_fd(),
                packet.as_ptr().cast(),
                packet.len(),
                0,
                (&raw const self.to_mac).cast(),
                size_of_val(&self.to_mac) as libc::socklen_t,
            )
        };
        let error = io::Error::last_os_error();
        assert_eq!(sent, packet.len() as isize, "packet not sent: {error}");
    }
}

impl Drop for RawTcp {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            self.emit(self.acked, RST | ACK, &[]);
        }
    }
}

/// Whether a sequence number is at or behind another (RFC 9293, 3.4).
fn reached(seq: u32, wanted: u32) -> bool {
    seq.wrapping_sub(wanted) as i32 >= 0
}

/// The Internet checksum (RFC 1071) of parts, all but the last of even length.
fn checksum(parts: &[&[u8]]) -> [u8; 2] {
    let words = parts.iter().flat_map(|part| part.chunks(2));
    let sum: u64 = words
        .map(|word| u64::from(word[0]) << 8 | u64::from(*word.get(1).unwrap_or(&0)))
        .sum();
    let folded = (sum & 0xffff) + (sum >> 16);
    let folded = (folded & 0xffff) + (folded >> 16);
    (!(folded as u16)).to_be_bytes()
}

/// A packet socket for the IPv4 packets of an interface, and the address that
/// sends to the balancer over it.
fn open(interface: &str) -> io::Result<(OwnedFd, libc::sockaddr_ll)> {
    let ipv4 = (libc::ETH_P_IP as u16).to_be();
    let kind = libc::SOCK_DGRAM | libc::SOCK_CLOEXEC;
    let name = std::ffi::CString::new(interface)?;
    // SAFETY: plain system calls; the new descriptor is owned at once, `name`
    // is NUL-terminated, an all-zero sockaddr_ll is valid and its size given.
    unsafe {
        let fd = libc::socket(libc::AF_PACKET, kind, ipv4.into());
        if fd < 0 {
            return Err(io::Error::last_os_error());
        }
        let socket = OwnedFd::from_raw_fd(fd);
        let mut address: libc::sockaddr_ll = std::mem::zeroed();
        address.sll_family = libc::AF_PACKET as u16;
        address.sll_protocol = ipv4;
        address.sll_ifindex = libc::if_nametoindex(name.as_ptr()) as i32;
        let size = size_of_val(&address) as libc::socklen_t;
        if libc::bind(fd, (&raw const address).cast(), size) < 0 {
            return Err(io::Error::last_os_error());
        }
        address.sll_halen = 6;
        address.sll_addr[..6].copy_from_slice(&FRONT_MAC);
        Ok((socket, address))
    }
}
