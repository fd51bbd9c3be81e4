//! What a stick table should do, as plainly as it can be said.

use std::collections::BTreeMap;
use std::time::Instant;

use mqtt_lb_user::affinity::{BackendId, Sticky};
use mqtt_lb_user::config::Stick;

#[derive(Debug, Clone)]
pub struct Entry {
    pub key: Vec<u8>,
    pub backend: BackendId,
    pub home: BackendId,
    pub touched: Instant,
}

/// What the table should do, with a list from oldest to newest match.
pub struct Reference {
    pub stick: Stick,
    pub entries: Vec<Entry>,
    pub evictions: u64,
}

impl Reference {
    pub fn purge(&mut self, now: Instant) {
        let expire = self.stick.expire;
        self.entries.retain(|entry| now - entry.touched < expire);
    }

    pub fn take(&mut self, key: &[u8]) -> Option<Entry> {
        let at = self.entries.iter().position(|entry| entry.key == key)?;
        Some(self.entries.remove(at))
    }

    pub fn get(&mut self, now: Instant, key: &[u8]) -> Option<BackendId> {
        let entry = self.take(key)?;
        let backend = entry.backend;
        self.entries.push(Entry {
            touched: now,
            ..entry
        });
        Some(backend)
    }

    pub fn over(&self, entries: usize, bytes: usize) -> bool {
        let held: usize = self.entries.iter().map(|entry| entry.key.len()).sum();
        self.entries.len() + entries > self.stick.size
            || held + bytes > (self.stick.size * 256).max(65_535)
    }

    pub fn set(&mut self, now: Instant, key: &[u8], backend: BackendId) -> Sticky {
        let before = self.take(key);
        let answer = match &before {
            Some(before) if before.backend == backend => Sticky::Hit,
            Some(_) => Sticky::Moved,
            None => Sticky::New,
        };
        while answer == Sticky::New && self.over(1, key.len()) {
            if self.stick.nopurge || self.entries.is_empty() {
                return Sticky::None;
            }
            self.entries.remove(0);
            self.evictions += 1;
        }
        self.entries.push(Entry {
            key: key.to_vec(),
            backend,
            home: before.map_or(backend, |before| before.home),
            touched: now,
        });
        answer
    }

    pub fn set_home(&mut self, key: &[u8], home: BackendId) -> bool {
        let entry = self.entries.iter_mut().find(|entry| entry.key == key);
        entry.map(|entry| entry.home = home).is_some()
    }

    /// Forgets a backend, and returns how many entries it had.
    pub fn clear_backend(&mut self, backend: BackendId) -> usize {
        let before = self.entries.len();
        self.entries.retain(|entry| entry.backend != backend);
        for entry in &mut self.entries {
            if entry.home == backend {
                entry.home = entry.backend;
            }
        }
        before - self.entries.len()
    }

    /// Entries, homes, and homes of entries that are away, by backend.
    pub fn shares(&self) -> BTreeMap<BackendId, (u32, u32, u32)> {
        let mut shares = BTreeMap::new();
        for entry in &self.entries {
            shares.entry(entry.backend).or_insert((0, 0, 0)).0 += 1;
            let home = shares.entry(entry.home).or_insert((0, 0, 0));
            home.1 += 1;
            home.2 += u32::from(entry.home != entry.backend);
        }
        shares
    }

    /// Another process takes over what is saved of this one, and counts from zero.
    pub fn restart(&mut self, now: Instant, stick: Stick) {
        self.reconfigure(now, stick);
        self.evictions = 0;
    }

    pub fn reconfigure(&mut self, now: Instant, stick: Stick) {
        self.stick = stick;
        self.purge(now);
        while self.over(0, 0) {
            self.entries.remove(0);
            self.evictions += 1;
        }
    }
}
