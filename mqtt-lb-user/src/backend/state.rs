//! What the operator wants of a backend (HAProxy's `set server … state`).

use std::fmt;
use std::str::FromStr;

/// The operator's word on a backend; its health is separate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum AdminState {
    /// Takes clients.
    Ready,
    /// Takes only the clients that the stick table sends there.
    Drain,
    /// Takes nobody.
    Maint,
}

impl AdminState {
    /// The word that the command line and the admin socket use.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ready => "ready",
            Self::Drain => "drain",
            Self::Maint => "maint",
        }
    }

    pub(super) fn from_u8(value: u8) -> Self {
        match value {
            1 => Self::Drain,
            2 => Self::Maint,
            _ => Self::Ready,
        }
    }
}

impl fmt::Display for AdminState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// A word that names no [`AdminState`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnknownState(String);

impl fmt::Display for UnknownState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "unknown state {:?}: use ready, drain or maint", self.0)
    }
}

impl std::error::Error for UnknownState {}

impl FromStr for AdminState {
    type Err = UnknownState;

    fn from_str(word: &str) -> Result<Self, UnknownState> {
        [Self::Ready, Self::Drain, Self::Maint]
            .into_iter()
            .find(|state| state.as_str() == word)
            .ok_or_else(|| UnknownState(word.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_and_numbers_go_both_ways() {
        for state in [AdminState::Ready, AdminState::Drain, AdminState::Maint] {
            assert_eq!(state.to_string().parse(), Ok(state));
            assert_eq!(AdminState::from_u8(state as u8), state);
        }
    }

    #[test]
    fn an_unknown_word_is_named() {
        let error = "READY".parse::<AdminState>().unwrap_err();
        assert_eq!(
            error.to_string(),
            "unknown state \"READY\": use ready, drain or maint"
        );
    }
}
