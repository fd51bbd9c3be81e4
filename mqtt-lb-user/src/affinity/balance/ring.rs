//! The ring of nginx's `hash $key consistent` (ketama), point by point.
//!
//! Each server has 160 points per weight: CRC-32 of HOST NUL PORT and the point
//! before, in little endian. HOST is the text of nginx's `server` line, so an IPv6
//! address keeps its brackets (the reason why this is not the crate
//! pingora-ketama, which hashes it without).

use std::net::SocketAddr;
use std::sync::Arc;

use crate::affinity::{RAMPED, Server};

/// Points per weight, as in nginx.
const POINTS: usize = 160;

/// Hash values in ascending order, and who owns them.
#[derive(Clone)]
pub(super) struct Ring {
    points: Arc<[Point]>,
}

/// A point of the ring.
pub(super) struct Point {
    hash: u32,
    /// Percent of the server's ramp from which on it counts.
    wakes_at: u32,
    /// Index of the server in the list the ring was made of.
    pub server: u32,
}

impl Point {
    /// Whether it counts when its server has got so many percent of its weight.
    pub fn is_awake(&self, ramp: u32) -> bool {
        ramp >= self.wakes_at
    }
}

impl Ring {
    /// Lays the points of all servers. Of two equal points the first server's stays.
    pub fn new(servers: &[Server]) -> Self {
        let mut points = Vec::new();
        for (at, server) in (0..).zip(servers) {
            let base = base(server.address);
            let mut hash = 0_u32;
            let count = server.weight as usize * POINTS;
            for nth in 0..count {
                let mut hasher = base.clone();
                hasher.update(&hash.to_le_bytes());
                hash = hasher.finalize();
                points.push(Point {
                    hash,
                    // Each percent wakes as many; the first ones are always awake.
                    wakes_at: (nth * RAMPED as usize / count) as u32 + 1,
                    server: at,
                });
            }
        }
        points.sort_by_key(|point| point.hash);
        points.dedup_by_key(|point| point.hash);
        Self {
            points: points.into(),
        }
    }

    /// All points, once around, from the first one at or behind the key's hash.
    pub fn walk(&self, key: &[u8]) -> impl Iterator<Item = &Point> {
        let hash = crc32fast::hash(key);
        let (before, from) = self
            .points
            .split_at(self.points.partition_point(|p| p.hash < hash));
        from.iter().chain(before)
    }
}

fn base(address: SocketAddr) -> crc32fast::Hasher {
    let text = address.to_string();
    let (host, port) = text.rsplit_once(':').unwrap_or((&text, ""));
    let mut hasher = crc32fast::Hasher::new();
    for part in [host, "\0", port] {
        hasher.update(part.as_bytes());
    }
    hasher
}
