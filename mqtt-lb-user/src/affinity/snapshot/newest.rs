//! The entries of a snapshot that a table has room for.

use crate::affinity::Room;

/// An entry of a snapshot; backends are numbers of the file.
#[derive(Debug)]
pub(super) struct Saved {
    pub key: Box<[u8]>,
    pub touched: u64,
    pub backend: u16,
    pub home: u16,
}

/// Keeps those matched last, and never holds more than twice what there is room for.
pub(super) struct Newest {
    room: Room,
    entries: Vec<Saved>,
    key_bytes: usize,
    dropped: u64,
}

impl Newest {
    pub fn new(room: Room) -> Self {
        Self {
            room,
            entries: Vec::new(),
            key_bytes: 0,
            dropped: 0,
        }
    }

    pub fn push(&mut self, entry: Saved) {
        self.key_bytes += entry.key.len();
        self.entries.push(entry);
        let most = self.room.entries.saturating_mul(2);
        if self.entries.len() > most || self.key_bytes > self.room.key_bytes.saturating_mul(2) {
            self.trim();
        }
    }

    /// The entries, oldest first, and how many there was no room for.
    pub fn finish(mut self) -> (Vec<Saved>, u64) {
        self.trim();
        self.entries.reverse();
        (self.entries, self.dropped)
    }

    /// Drops the oldest until the rest fits; newest first.
    fn trim(&mut self) {
        self.entries
            .sort_unstable_by_key(|entry| std::cmp::Reverse(entry.touched));
        let mut bytes = 0;
        let fits = self.entries.iter().take(self.room.entries).take_while(|e| {
            bytes += e.key.len();
            bytes <= self.room.key_bytes
        });
        let fits = fits.count();
        self.dropped += (self.entries.len() - fits) as u64;
        self.entries.truncate(fits);
        self.key_bytes = self.entries.iter().map(|entry| entry.key.len()).sum();
    }
}
