//! One table per subject, one row per branch of the programs.

mod ecn;
mod editor;
mod ends;
mod icmp;
mod index;
mod ip;
mod learn;
mod malformed;
mod offload;
mod options;
mod plain;
mod window;
