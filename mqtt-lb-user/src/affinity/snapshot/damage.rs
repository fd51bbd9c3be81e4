//! Why a snapshot cannot be used.

use std::fmt;
use std::io;

/// Why a snapshot cannot be used.
#[derive(Debug)]
pub enum Damage {
    /// It cannot be read at all; the file may be whole.
    Unreadable(io::Error),
    /// It is something else.
    Foreign,
    /// Another version of mqtt-lb has written it.
    Version(u32),
    /// It ends too early.
    Cut,
    /// What stands in front of this byte has changed.
    Sum(u64),
    /// It makes no sense in front of this byte, though the checksum is right.
    Malformed(u64),
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreadable(error) => write!(f, "cannot be read: {error}"),
            Self::Foreign => f.write_str("is not a snapshot of a stick table"),
            Self::Version(version) => {
                let known = super::VERSION;
                write!(f, "is of version {version}, this mqtt-lb knows {known}")
            }
            Self::Cut => f.write_str("is cut off"),
            Self::Sum(at) => write!(f, "is damaged in front of byte {at}"),
            Self::Malformed(at) => write!(f, "makes no sense in front of byte {at}"),
        }
    }
}

impl std::error::Error for Damage {}

impl From<io::Error> for Damage {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::UnexpectedEof => Self::Cut,
            _ => Self::Unreadable(error),
        }
    }
}
