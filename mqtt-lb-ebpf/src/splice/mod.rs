//! The splice path: packets of two dissolved TCP connections become those of one.
//!
//! One core for both hooks: `parse` finds the flow, `learn` and `forward` are what
//! the states mean, `translate` rewrites. `hook` is what tcx and XDP do differently.

mod ecn;
mod flow;
mod forward;
mod hook;
mod icmp;
mod index;
mod learn;
mod link;
mod options;
mod packet;
mod parse;
mod stray;
pub mod syn;
pub mod tcx;
mod translate;
mod verify;
pub mod xdp;
