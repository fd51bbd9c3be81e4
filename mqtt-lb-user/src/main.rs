//! The `mqtt-lb` program.

fn main() {}
