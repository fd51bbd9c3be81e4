//! The splice path's BPF programs, packet by packet, through `BPF_PROG_TEST_RUN`:
//! tables with a row per branch, and a fuzzer, both against a second
//! implementation of the rules in `docs/architecture.md` (`oracle`), which shares
//! nothing with the programs but the types of the maps.
//!
//! What `BPF_PROG_TEST_RUN` cannot show (the interface a packet leaves by with tcx,
//! checksum offload of a real device) is left to the end-to-end tests.

mod bench;
mod compare;
mod flow;
mod fuzz;
mod layers;
mod load;
mod oracle;
mod packet;
mod prog_run;
mod rng;
mod row;
mod sums;
mod tables;
