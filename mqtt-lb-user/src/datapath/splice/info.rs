//! What the kernel says of a TCP socket that may be dissolved.

use std::io;
use std::os::fd::AsFd;

use crate::datapath::tcp;

/// `TCP_ESTABLISHED` (net/tcp_states.h).
const ESTABLISHED: u8 = 1;
/// Bits of `tcpi_options` (linux/tcp.h).
const TIMESTAMPS: u8 = 1;
const SACK: u8 = 2;
const WSCALE: u8 = 4;
const ECN: u8 = 8;
/// Bytes of the structure up to the last member that is read.
const LENGTH: usize = 88;

/// The part of `struct tcp_info` (linux/tcp.h) that decides about a splice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TcpInfo {
    /// The connection is established.
    pub established: bool,
    /// Both ends use timestamps (RFC 7323).
    pub timestamps: bool,
    /// Both ends use SACK (RFC 2018).
    pub sack: bool,
    /// Both ends agreed on ECN (RFC 3168).
    pub ecn: bool,
    /// Window scale of what the peer sends; 0 without the option.
    pub snd_wscale: u8,
    /// Window scale of what we send; 0 without the option.
    pub rcv_wscale: u8,
    /// Largest segment we send, bytes without TCP options.
    pub snd_mss: u32,
    /// Largest segment we have told the peer to send (`tcpi_advmss`), bytes.
    pub advmss: u32,
}

impl TcpInfo {
    /// Asks the kernel.
    ///
    /// # Errors
    /// The socket is no TCP socket.
    pub fn of(socket: &impl AsFd) -> io::Result<Self> {
        let raw: [u8; LENGTH] = tcp::info(socket)?;
        let word = |at: usize| u32::from_ne_bytes([raw[at], raw[at + 1], raw[at + 2], raw[at + 3]]);
        let options = raw[5];
        let scaled = options & WSCALE != 0;
        let scale = |bits: u8| if scaled { bits } else { 0 };
        let (low, high) = (raw[6] & 0xf, raw[6] >> 4);
        // Bit fields begin at the low end on little-endian hosts (gcc ABI).
        let (snd, rcv) = if cfg!(target_endian = "little") {
            (low, high)
        } else {
            (high, low)
        };
        Ok(Self {
            established: raw[0] == ESTABLISHED,
            timestamps: options & TIMESTAMPS != 0,
            sack: options & SACK != 0,
            ecn: options & ECN != 0,
            snd_wscale: scale(snd),
            rcv_wscale: scale(rcv),
            snd_mss: word(16),
            advmss: word(84),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::{TcpListener, TcpStream};

    #[test]
    fn a_pair_on_loopback_agrees() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (server, _) = listener.accept().unwrap();
        let (a, b) = (TcpInfo::of(&client).unwrap(), TcpInfo::of(&server).unwrap());
        assert!(a.established && b.established);
        assert_eq!((a.timestamps, a.sack, a.ecn), (b.timestamps, b.sack, b.ecn));
        assert_eq!((a.snd_wscale, a.rcv_wscale), (b.rcv_wscale, b.snd_wscale));
        assert!(a.advmss > 500 && a.snd_mss > 500, "{a:?}");
    }
}
