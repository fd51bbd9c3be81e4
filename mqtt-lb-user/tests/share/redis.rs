//! What Redis does with the requests of a replica. The scripts do the same in the real one,
//! which `tests/tests/share.rs` shows.

use std::collections::BTreeMap;

use mqtt_lb_user::share::Version;
use mqtt_lb_user::share::record::{Message, Record};
use mqtt_lb_user::share::request::{Answer, Request};

/// Keys in one answer to SCAN.
const SCANNED: usize = 3;

/// The content of a server, and what it has published.
#[derive(Default)]
pub struct Redis {
    pub entries: BTreeMap<Vec<u8>, Vec<u8>>,
    pub clears: BTreeMap<String, Version>,
    published: Vec<Vec<u8>>,
}

impl Redis {
    pub fn ask(&mut self, request: &Request) -> Answer {
        match request {
            Request::Push(pushes) => {
                for push in pushes {
                    let known = self.entries.get(&push.key[..]);
                    let known = known.and_then(|value| Record::decode(value));
                    if known.is_none_or(|known| known.version < push.record.version) {
                        self.entries.insert(push.key.to_vec(), push.record.encode());
                        let message = Message::Entry(push.key.to_vec(), push.record.clone());
                        self.published.push(message.encode());
                    }
                }
                Answer::Done
            }
            Request::Clear(clears, _) => {
                for (field, version) in clears {
                    if self.clears.get(field).is_none_or(|known| known < version) {
                        self.clears.insert(field.clone(), *version);
                        let message = Message::Clear(field.clone(), *version);
                        self.published.push(message.encode());
                    }
                }
                Answer::Done
            }
            Request::Clears => {
                let fields = self.clears.iter();
                let text = |(field, version): (&String, &Version)| {
                    (field.clone().into_bytes(), version.text().into_bytes())
                };
                Answer::Clears(fields.map(text).collect())
            }
            Request::Scan(cursor) => {
                let from = usize::try_from(*cursor).expect("cursor");
                let found = self.entries.iter().skip(from).take(SCANNED);
                let found = found
                    .map(|(key, value)| (key.clone(), value.clone()))
                    .collect();
                let next = from + SCANNED;
                let more = next < self.entries.len();
                Answer::Scanned(if more { next as u64 } else { 0 }, found)
            }
            Request::Get(keys) => {
                let value = |key| self.entries.get(key).cloned();
                Answer::Values(keys.iter().map(value).collect())
            }
        }
    }

    /// What was published since the last call.
    pub fn published(&mut self) -> Vec<Vec<u8>> {
        std::mem::take(&mut self.published)
    }
}
