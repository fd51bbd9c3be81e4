//! Which backend a client belongs to: stick table and balancing, sans-IO.

/// How the stick table answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sticky {
    /// The entry's backend took the client.
    Hit,
    /// There was no entry; one was made.
    New,
    /// The entry's backend was not available; the entry moved.
    Moved,
    /// The client is not tracked (no table, empty client id, or the table is full).
    None,
}
