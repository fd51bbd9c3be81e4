//! What became of what other balancers said, counted.

/// What became of one word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// The entry was stored or changed.
    Stored,
    /// Entries were removed.
    Removed,
    /// It was known here, in this or a newer version.
    Known,
    /// This balancer has no backend of that name.
    UnknownBackend,
    /// The entry has expired.
    Expired,
    /// The table has no room for it.
    Full,
    /// Its time is too far ahead to be believed: a balancer's clock is wrong.
    Ahead,
    /// It is not written as it should be: another program uses these keys.
    Malformed,
}

impl Outcome {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::Stored,
        Self::Removed,
        Self::Known,
        Self::UnknownBackend,
        Self::Expired,
        Self::Full,
        Self::Ahead,
        Self::Malformed,
    ];

    /// Its word in metrics.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Stored => "stored",
            Self::Removed => "removed",
            Self::Known => "known",
            Self::UnknownBackend => "unknown_backend",
            Self::Expired => "expired",
            Self::Full => "full",
            Self::Ahead => "ahead",
            Self::Malformed => "malformed",
        }
    }
}

/// Counts since the last look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Tally {
    /// Words on keys that Redis has taken.
    pub sent: u64,
    received: [u64; Outcome::ALL.len()],
}

impl Tally {
    /// One more.
    pub fn count(&mut self, outcome: Outcome) {
        self.received[outcome as usize] += 1;
    }

    /// How many there were of each.
    pub fn received(&self) -> impl Iterator<Item = (Outcome, u64)> {
        Outcome::ALL.into_iter().zip(self.received)
    }
}
