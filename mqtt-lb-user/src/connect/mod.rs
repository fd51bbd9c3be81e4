//! The first packet of a client: CONNECT, read incrementally and sans-IO.
