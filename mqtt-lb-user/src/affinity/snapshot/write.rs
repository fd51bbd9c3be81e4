//! From a table's entries to bytes, a page at a time.

use std::collections::HashMap;

use super::head;
use super::{Stamp, kind};
use crate::affinity::{BackendId, Batch, Moment};

/// Writes one snapshot.
pub struct Writer {
    sum: crc32fast::Hasher,
    /// Numbers of the backends; `None` is one without a name.
    numbers: HashMap<BackendId, Option<u16>>,
    named: u16,
    entries: u64,
    skipped: u64,
    payload: Vec<u8>,
}

impl Writer {
    /// Begins a snapshot that is taken now.
    pub fn new(stamp: &Stamp, clock: Moment, out: &mut Vec<u8>) -> Self {
        let mut writer = Self {
            sum: crc32fast::Hasher::new(),
            numbers: HashMap::new(),
            named: 0,
            entries: 0,
            skipped: 0,
            payload: Vec::new(),
        };
        let from = out.len();
        out.extend(head::encode(stamp, clock.0));
        writer.seal(from, out);
        writer
    }

    /// Appends a page. An entry whose backend has no name any more is left out; a
    /// client whose home has none is at home where it is.
    pub fn page(
        &mut self,
        batch: &Batch,
        name: impl Fn(BackendId) -> Option<String>,
        out: &mut Vec<u8>,
    ) {
        self.payload.clear();
        for entry in batch.entries() {
            let Some(backend) = self.number(entry.backend, &name, out) else {
                self.skipped += 1;
                continue;
            };
            let home = self.number(entry.home, &name, out).unwrap_or(backend);
            let length = entry.key.len() as u16;
            self.payload.extend(backend.to_le_bytes());
            self.payload.extend(home.to_le_bytes());
            self.payload.extend(entry.touched.0.to_le_bytes());
            self.payload.extend(length.to_le_bytes());
            self.payload.extend(entry.key);
            self.entries += 1;
        }
        if !self.payload.is_empty() {
            let payload = std::mem::take(&mut self.payload);
            self.block(kind::ENTRIES, &payload, out);
            self.payload = payload;
        }
    }

    /// Ends the snapshot; returns how many entries it has, and how many were left out.
    pub fn end(mut self, out: &mut Vec<u8>) -> (u64, u64) {
        self.block(kind::END, &self.entries.to_le_bytes(), out);
        (self.entries, self.skipped)
    }

    /// The number of a backend; its name goes in front of the first entry that has it.
    fn number(
        &mut self,
        backend: BackendId,
        name: impl Fn(BackendId) -> Option<String>,
        out: &mut Vec<u8>,
    ) -> Option<u16> {
        if let Some(known) = self.numbers.get(&backend) {
            return *known;
        }
        let number = name(backend).filter(|_| self.named < u16::MAX).map(|name| {
            self.block(kind::BACKEND, name.as_bytes(), out);
            self.named += 1;
            self.named - 1
        });
        self.numbers.insert(backend, number);
        number
    }

    fn block(&mut self, kind: u8, payload: &[u8], out: &mut Vec<u8>) {
        let from = out.len();
        out.push(kind);
        out.extend((payload.len() as u32).to_le_bytes());
        out.extend(payload);
        self.seal(from, out);
    }

    /// Appends the checksum of all that was written; `from` is where the news begin.
    /// It does not go into the next one: a CRC of something and its CRC is always
    /// the same.
    fn seal(&mut self, from: usize, out: &mut Vec<u8>) {
        self.sum.update(&out[from..]);
        out.extend(self.sum.clone().finalize().to_le_bytes());
    }
}
