//! Build and test driver: `cargo xtask --help`.

fn main() {}
