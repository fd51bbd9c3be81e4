//! What an import has to say about a line of its source.

use std::collections::BTreeSet;
use std::fmt;

/// Characters of the source that a note repeats at most.
const MAX_TEXT: usize = 120;

/// How much of what a line says is missing from the result.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Weight {
    /// Clients and brokers will not notice: it has no counterpart because none is needed.
    NotNeeded,
    /// It was taken, and here it means something a little different.
    Differs,
    /// Clients, brokers or operators will notice that it is missing.
    NotTaken,
}

impl fmt::Display for Weight {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotNeeded => "not needed",
            Self::Differs => "differs",
            Self::NotTaken => "not taken",
        })
    }
}

/// A piece of the source, to say where a value or a note comes from.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Said {
    /// Its line, from 1.
    pub line: usize,
    /// What stands there, printable and not too long.
    pub text: String,
}

impl Said {
    /// The piece `text` of line `line`.
    pub fn new(line: usize, text: &str) -> Self {
        let mut printed: String = text
            .chars()
            .take(MAX_TEXT)
            .map(|c| if c.is_control() { '\u{fffd}' } else { c })
            .collect();
        if text.chars().nth(MAX_TEXT).is_some() {
            printed.push('…');
        }
        Self {
            line,
            text: printed,
        }
    }

    /// Another piece of the same line.
    pub fn piece(&self, text: &str) -> Self {
        Self::new(self.line, text)
    }
}

/// One line for the reader: `LINE: text: weight: why, what to do`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Note {
    /// The piece of the source.
    pub said: Said,
    /// How much of it is missing.
    pub weight: Weight,
    /// Why, and what to do.
    pub why: String,
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { said, weight, why } = self;
        write!(f, "{}: {}: {weight}: {why}", said.line, said.text)
    }
}

/// Notes in the order of the source, each once: a line of `defaults` is read for
/// every proxy that it holds for.
#[derive(Debug, Default)]
pub(super) struct Notes {
    notes: BTreeSet<Note>,
}

impl Notes {
    pub(super) fn not_needed(&mut self, said: &Said, why: impl Into<String>) {
        self.add(said, Weight::NotNeeded, why.into());
    }

    pub(super) fn differs(&mut self, said: &Said, why: impl Into<String>) {
        self.add(said, Weight::Differs, why.into());
    }

    pub(super) fn not_taken(&mut self, said: &Said, why: impl Into<String>) {
        self.add(said, Weight::NotTaken, why.into());
    }

    fn add(&mut self, said: &Said, weight: Weight, why: String) {
        let said = said.clone();
        self.notes.insert(Note { said, weight, why });
    }

    /// The notes so far.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Note> {
        self.notes.iter()
    }

    pub(super) fn into_vec(self) -> Vec<Note> {
        self.notes.into_iter().collect()
    }
}
