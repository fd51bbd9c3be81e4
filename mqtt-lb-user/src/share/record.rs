//! What balancers tell each other, as text in Redis.
//!
//! | where | content |
//! |---|---|
//! | the value of an entry | `VERSION BACKEND HOME`, or `VERSION` alone where it was removed |
//! | a message about an entry | `e`, the value, a newline, the key |
//! | the field of a clear | the backend's name, or `*` for all; its value `VERSION` |
//! | a message about a clear | `c`, `VERSION`, a space, the field |
//!
//! Backends have their names here: their numbers are each balancer's own.

use super::Version;

/// The field of a clear of all entries; no backend has this name.
pub const ALL: &str = "*";

/// What is known of one key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// When it was said.
    pub version: Version,
    /// Where the client is; `None` when the entry was removed.
    pub place: Option<Place>,
}

/// Where a client is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// Name of its backend.
    pub backend: String,
    /// Name of the backend it would return to.
    pub home: String,
}

impl Record {
    /// As the value of a key in Redis.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let version = self.version.text();
        match &self.place {
            Some(Place { backend, home }) => format!("{version} {backend} {home}").into_bytes(),
            None => version.into_bytes(),
        }
    }

    /// Reads [`Record::encode`].
    #[must_use]
    pub fn decode(value: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(value).ok()?;
        let mut words = text.split(' ');
        let version = Version::parse(words.next()?)?;
        let place = match (words.next(), words.next(), words.next()) {
            (None, ..) => None,
            (Some(backend), Some(home), None) => Some(Place {
                backend: backend.to_owned(),
                home: home.to_owned(),
            }),
            _ => return None,
        };
        Some(Self { version, place })
    }
}

/// What a message says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Message {
    /// News of a key.
    Entry(Vec<u8>, Record),
    /// All entries of this field that are not newer were removed.
    Clear(String, Version),
}

impl Message {
    /// As it is published. The script in Redis makes the same bytes.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        match self {
            Self::Entry(key, record) => [b"e", &record.encode()[..], b"\n", key].concat(),
            Self::Clear(field, version) => format!("c{} {field}", version.text()).into_bytes(),
        }
    }

    /// Reads [`Message::encode`].
    #[must_use]
    pub fn decode(message: &[u8]) -> Option<Self> {
        match message.split_first()? {
            (b'e', rest) => {
                let end = rest.iter().position(|b| *b == b'\n')?;
                let record = Record::decode(&rest[..end])?;
                Some(Self::Entry(rest[end + 1..].to_vec(), record))
            }
            (b'c', rest) => {
                let (version, field) = std::str::from_utf8(rest).ok()?.split_once(' ')?;
                Some(Self::Clear(field.to_owned(), Version::parse(version)?))
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(backend: &str, home: &str) -> Option<Place> {
        let (backend, home) = (backend.to_owned(), home.to_owned());
        Some(Place { backend, home })
    }

    #[test]
    fn what_is_written_reads_back() {
        let version = Version::at_millis(1_700_000_000_000);
        for place in [place("emqx1", "emqx-2.a:b"), None] {
            let record = Record { version, place };
            assert_eq!(Record::decode(&record.encode()), Some(record.clone()));
            for key in [&b"c1"[..], b"with\nnewline", b"\0\xff", b""] {
                let message = Message::Entry(key.to_vec(), record.clone());
                assert_eq!(Message::decode(&message.encode()), Some(message));
            }
        }
        for field in ["emqx1", ALL] {
            let message = Message::Clear(field.to_owned(), version);
            assert_eq!(Message::decode(&message.encode()), Some(message));
        }
    }

    #[test]
    fn anything_else_is_no_record() {
        let version = Version::at_millis(1).text();
        for value in [
            String::new(),
            "1 a b".to_owned(),
            format!("{version} a"),
            format!("{version} a b c"),
        ] {
            assert_eq!(Record::decode(value.as_bytes()), None, "{value}");
        }
        for message in ["", "e", "x", "c1 a", "c"] {
            assert_eq!(Message::decode(message.as_bytes()), None, "{message}");
        }
        assert_eq!(Message::decode(format!("e{version} a b").as_bytes()), None);
        assert_eq!(Record::decode(b"\xff"), None);
    }
}
