//! A bad wire: a relay between two interfaces on packet sockets that loses,
//! delays, reorders, duplicates and damages TCP packets (for kernels without netem).

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::ffi::CString;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::netns::Netns;
use crate::rng::Rng;

/// What happens to the packets, in both directions. Probabilities are 0 to 1.
#[derive(Debug, Clone, Copy, Default)]
pub struct Impairment {
    /// Probability that a packet is lost.
    pub loss: f64,
    /// Probability that a packet is held back by `reorder_by`.
    pub reorder: f64,
    /// Extra delay of a reordered packet.
    pub reorder_by: Duration,
    /// Probability that a packet is sent twice.
    pub duplicate: f64,
    /// Probability that one bit of a packet is flipped.
    pub flip: f64,
    /// Which bits: those of an even or of an odd number. Two wires in a row take
    /// one of each, lest the second flip hides the first from the checksum.
    pub odd_bits: bool,
    /// Delay of every packet.
    pub delay: Duration,
    /// Random delay on top, which reorders too.
    pub jitter: Duration,
}

/// What a relay has done so far.
#[derive(Debug, Default)]
pub struct Counters {
    /// Frames received.
    pub seen: AtomicU64,
    /// TCP packets lost.
    pub lost: AtomicU64,
    /// TCP packets held back.
    pub reordered: AtomicU64,
    /// TCP packets doubled.
    pub duplicated: AtomicU64,
    /// TCP packets damaged.
    pub flipped: AtomicU64,
}

/// A running relay; stops on drop.
#[derive(Debug)]
pub struct Relay {
    stop: Arc<AtomicBool>,
    counters: Arc<Counters>,
    thread: Option<JoinHandle<()>>,
}

impl Relay {
    /// Starts relaying between two interfaces of a namespace.
    pub fn start(ns: &Netns, a: &str, b: &str, how: Impairment, seed: u64) -> Self {
        let ports = ns.run(|| [a, b].map(|name| open(name).expect("open a packet socket")));
        let stop = Arc::new(AtomicBool::new(false));
        let counters = Arc::new(Counters::default());
        let mut wire = Wire {
            ports,
            how,
            rng: Rng::new(seed),
            queue: BinaryHeap::new(),
            order: 0,
            counters: Arc::clone(&counters),
        };
        let flag = Arc::clone(&stop);
        let thread = std::thread::spawn(move || {
            while !flag.load(Relaxed) {
                wire.turn();
            }
        });
        Self {
            stop,
            counters,
            thread: Some(thread),
        }
    }

    /// What it has done so far.
    pub fn counters(&self) -> &Counters {
        &self.counters
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.stop.store(true, Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Due time, order of arrival, port to leave by, frame.
type Queued = Reverse<(Instant, u64, usize, Vec<u8>)>;

struct Wire {
    ports: [OwnedFd; 2],
    how: Impairment,
    rng: Rng,
    queue: BinaryHeap<Queued>,
    order: u64,
    counters: Arc<Counters>,
}

impl Wire {
    fn turn(&mut self) {
        self.send_due();
        let wait = match self.queue.peek() {
            Some(Reverse((due, ..))) => due.saturating_duration_since(Instant::now()),
            None => Duration::from_millis(100),
        };
        let wait = wait.min(Duration::from_millis(100));
        let time = libc::timespec {
            tv_sec: 0,
            tv_nsec: wait.subsec_nanos().into(),
        };
        let mut fds = [0, 1].map(|i| libc::pollfd {
            fd: self.ports[i].as_raw_fd(),
            events: libc::POLLIN,
            revents: 0,
        });
        // SAFETY: `fds` holds two entries and `time` outlives the call.
        if unsafe { libc::ppoll(fds.as_mut_ptr(), 2, &time, std::ptr::null()) } <= 0 {
            return;
        }
        for (port, fd) in fds.iter().enumerate() {
            if fd.revents != 0 {
                self.receive(port);
            }
        }
    }

    fn send_due(&mut self) {
        let now = Instant::now();
        while self
            .queue
            .peek()
            .is_some_and(|Reverse((due, ..))| *due <= now)
        {
            let Some(Reverse((_, _, port, frame))) = self.queue.pop() else {
                return;
            };
            let fd = self.ports[port].as_raw_fd();
            // A full transmit queue loses the frame: a wire may.
            // SAFETY: the pointer and length are those of `frame`.
            unsafe { libc::send(fd, frame.as_ptr().cast(), frame.len(), 0) };
        }
    }

    fn receive(&mut self, port: usize) {
        let mut frame = [0u8; 65_536];
        // Bounded, so that the other side and the due frames get their turn.
        for _ in 0..64 {
            let fd = self.ports[port].as_raw_fd();
            // SAFETY: the pointer and length are those of `frame`.
            let n = unsafe { libc::recv(fd, frame.as_mut_ptr().cast(), frame.len(), 0) };
            let Ok(n) = usize::try_from(n) else { return };
            self.counters.seen.fetch_add(1, Relaxed);
            self.impair(1 - port, &frame[..n]);
        }
    }

    fn impair(&mut self, out: usize, frame: &[u8]) {
        let tcp = is_tcp(frame);
        if tcp && self.hit(self.how.loss, |c| &c.lost) {
            return;
        }
        let copies = if tcp && self.hit(self.how.duplicate, |c| &c.duplicated) {
            2
        } else {
            1
        };
        for _ in 0..copies {
            let mut due = Instant::now() + self.how.delay + self.rng.up_to(self.how.jitter);
            if tcp && self.hit(self.how.reorder, |c| &c.reordered) {
                due += self.how.reorder_by;
            }
            let mut frame = frame.to_vec();
            if tcp && self.hit(self.how.flip, |c| &c.flipped) {
                // Behind the Ethernet and IP headers: TCP's checksum covers it.
                let header = if frame[12] == 0x08 { 34 } else { 54 };
                let at = self.rng.within(&(header..frame.len()));
                let bit = 2 * self.rng.within(&(0..4)) + usize::from(self.how.odd_bits);
                frame[at] ^= 1 << bit;
            }
            self.order += 1;
            self.queue.push(Reverse((due, self.order, out, frame)));
        }
    }

    fn hit(&mut self, probability: f64, counter: impl Fn(&Counters) -> &AtomicU64) -> bool {
        let hit = self.rng.chance(probability);
        if hit {
            counter(&self.counters).fetch_add(1, Relaxed);
        }
        hit
    }
}

/// Whether an Ethernet frame carries TCP over IPv4 or IPv6.
fn is_tcp(frame: &[u8]) -> bool {
    match frame.get(12..14) {
        Some([0x08, 0x00]) => frame.get(23) == Some(&6),
        Some([0x86, 0xdd]) => frame.get(20) == Some(&6),
        _ => false,
    }
}

/// A packet socket that takes all frames that arrive on an interface.
pub(crate) fn open(interface: &str) -> io::Result<OwnedFd> {
    let all = (libc::ETH_P_ALL as u16).to_be();
    let kind = libc::SOCK_RAW | libc::SOCK_NONBLOCK | libc::SOCK_CLOEXEC;
    // SAFETY: plain system calls; the new descriptor is owned at once.
    let socket = unsafe {
        let fd = libc::socket(libc::AF_PACKET, kind, all.into());
        if fd < 0 {
            return Err(io::Error::last_os_error());
        }
        OwnedFd::from_raw_fd(fd)
    };
    let name = CString::new(interface)?;
    // SAFETY: `name` is NUL-terminated; an all-zero sockaddr_ll is valid.
    let mut address: libc::sockaddr_ll = unsafe { std::mem::zeroed() };
    address.sll_family = libc::AF_PACKET as u16;
    address.sll_protocol = all;
    // SAFETY: `name` is NUL-terminated.
    address.sll_ifindex = unsafe { libc::if_nametoindex(name.as_ptr()) } as i32;
    set(
        &socket,
        libc::SOL_PACKET,
        libc::PACKET_IGNORE_OUTGOING,
        &1i32,
    )?;
    set(&socket, libc::SOL_PACKET, libc::PACKET_QDISC_BYPASS, &1i32)?;
    set(
        &socket,
        libc::SOL_SOCKET,
        libc::SO_RCVBUFFORCE,
        &(32i32 << 20),
    )?;
    set(
        &socket,
        libc::SOL_SOCKET,
        libc::SO_SNDBUFFORCE,
        &(32i32 << 20),
    )?;
    let promiscuous = libc::packet_mreq {
        mr_ifindex: address.sll_ifindex,
        mr_type: libc::PACKET_MR_PROMISC as u16,
        mr_alen: 0,
        mr_address: [0; 8],
    };
    set(
        &socket,
        libc::SOL_PACKET,
        libc::PACKET_ADD_MEMBERSHIP,
        &promiscuous,
    )?;
    let size = size_of_val(&address) as libc::socklen_t;
    // SAFETY: the pointer and size are those of `address`.
    match unsafe { libc::bind(socket.as_raw_fd(), (&raw const address).cast(), size) } {
        0 => Ok(socket),
        _ => Err(io::Error::last_os_error()),
    }
}

fn set<T>(socket: &OwnedFd, level: i32, option: i32, value: &T) -> io::Result<()> {
    let size = size_of::<T>() as libc::socklen_t;
    let fd = socket.as_raw_fd();
    // SAFETY: the pointer and size are those of `value`.
    match unsafe { libc::setsockopt(fd, level, option, std::ptr::from_ref(value).cast(), size) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}
