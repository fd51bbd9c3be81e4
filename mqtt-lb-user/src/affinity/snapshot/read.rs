//! From bytes back to entries: all of them, or why not.

use std::collections::BTreeMap;
use std::io::{self, Read};
use std::time::Duration;

use super::head::{self, HEAD};
use super::newest::{Newest, Saved};
use super::{BLOCK_HEAD, Damage, ENTRY_HEAD, MAX_PAYLOAD, Passed, SUM, Stamp, kind};
use crate::affinity::{BackendId, Former, Room};

/// A snapshot, checked to its end.
#[derive(Debug)]
pub struct Snapshot {
    /// When it was taken.
    pub stamp: Stamp,
    /// Entries that the table has no room for.
    pub dropped: u64,
    clock: u64,
    backends: Vec<String>,
    entries: Vec<Saved>,
}

/// What a table can take of a snapshot.
#[derive(Debug, Default)]
pub struct Revived {
    /// The entries, oldest first.
    pub entries: Vec<Former>,
    /// Entries that have expired since.
    pub expired: u64,
    /// Entries of backends that are not there any more, by backend.
    pub unknown: BTreeMap<String, u64>,
}

/// Reads a whole snapshot; of one that is larger than the table only the entries
/// matched last.
///
/// # Errors
/// The first damage.
pub fn read(source: impl Read, room: Room) -> Result<Snapshot, Damage> {
    let mut source = Source {
        source,
        sum: crc32fast::Hasher::new(),
        at: 0,
    };
    let mut head = [0; HEAD];
    source.take(&mut head[..HEAD - SUM])?;
    // What is no snapshot at all is not worth a checksum.
    let (stamp, clock) = head::decode(&head)?;
    source.check()?;
    let mut backends = Vec::new();
    let mut entries = Newest::new(room);
    let mut count = 0;
    let mut payload = Vec::new();
    loop {
        let kind = source.block(&mut payload)?;
        let malformed = Damage::Malformed(source.at);
        match kind {
            kind::BACKEND => {
                let name = String::from_utf8(payload.clone()).map_err(|_| malformed)?;
                backends.push(name);
            }
            kind::ENTRIES => {
                let mut rest = &payload[..];
                while !rest.is_empty() {
                    let entry =
                        entry(&mut rest, backends.len()).ok_or(Damage::Malformed(source.at))?;
                    entries.push(entry);
                    count += 1;
                }
            }
            kind::END if payload == u64::to_le_bytes(count) => break,
            _ => return Err(malformed),
        }
    }
    if source.take(&mut [0]).is_ok() {
        return Err(Damage::Malformed(source.at));
    }
    let (entries, dropped) = entries.finish();
    Ok(Snapshot {
        stamp,
        dropped,
        clock,
        backends,
        entries,
    })
}

impl Snapshot {
    /// The entries for a table whose entries live for `expire`, after so much time;
    /// `backend` knows the backends that are there.
    pub fn revive(
        self,
        passed: Passed,
        expire: Duration,
        backend: impl Fn(&str) -> Option<BackendId>,
    ) -> Revived {
        let ids: Vec<_> = self.backends.iter().map(|name| backend(name)).collect();
        let mut revived = Revived::default();
        for saved in self.entries {
            let age = Duration::from_nanos(self.clock.saturating_sub(saved.touched));
            let Some(age) = passed.age(age, expire) else {
                revived.expired += 1;
                continue;
            };
            let number = usize::from(saved.backend);
            let Some(backend) = ids[number] else {
                let name = self.backends[number].clone();
                *revived.unknown.entry(name).or_default() += 1;
                continue;
            };
            revived.entries.push(Former {
                key: saved.key,
                backend,
                home: ids[usize::from(saved.home)].unwrap_or(backend),
                age,
            });
        }
        revived
    }
}

/// Takes one entry off the front.
fn entry(rest: &mut &[u8], backends: usize) -> Option<Saved> {
    let (head, behind) = rest.split_first_chunk::<ENTRY_HEAD>()?;
    let short = |at: usize| u16::from_le_bytes([head[at], head[at + 1]]);
    let (key, behind) = behind.split_at_checked(short(12).into())?;
    let (backend, home) = (short(0), short(2));
    if usize::from(backend.max(home)) >= backends {
        return None;
    }
    *rest = behind;
    Some(Saved {
        key: key.into(),
        touched: u64::from_le_bytes(std::array::from_fn(|i| head[4 + i])),
        backend,
        home,
    })
}

/// What is read, with the checksum of all of it.
struct Source<R> {
    source: R,
    sum: crc32fast::Hasher,
    at: u64,
}

impl<R: Read> Source<R> {
    fn take(&mut self, bytes: &mut [u8]) -> io::Result<()> {
        self.raw(bytes)?;
        self.sum.update(bytes);
        Ok(())
    }

    fn raw(&mut self, bytes: &mut [u8]) -> io::Result<()> {
        self.source.read_exact(bytes)?;
        self.at += bytes.len() as u64;
        Ok(())
    }

    /// Reads a checksum and compares.
    fn check(&mut self) -> Result<(), Damage> {
        let expected = self.sum.clone().finalize().to_le_bytes();
        let mut sum = [0; SUM];
        self.raw(&mut sum)?;
        if sum == expected {
            Ok(())
        } else {
            Err(Damage::Sum(self.at))
        }
    }

    /// Reads a block and says its kind.
    fn block(&mut self, payload: &mut Vec<u8>) -> Result<u8, Damage> {
        let mut head = [0; BLOCK_HEAD];
        self.take(&mut head)?;
        let [kind, length @ ..] = head;
        let length = u32::from_le_bytes(length) as usize;
        // A wrong length is damage, too, and not a reason to take so much memory.
        if length > MAX_PAYLOAD {
            return Err(Damage::Sum(self.at));
        }
        payload.resize(length, 0);
        self.take(payload)?;
        self.check()?;
        Ok(kind)
    }
}
