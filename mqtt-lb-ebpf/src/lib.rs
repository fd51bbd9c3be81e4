//! The contract between the kernel half and the userspace half of mqtt-lb:
//! keys and values of the maps, and the arithmetic on them.
//!
//! Every type is `#[repr(C)]`, of fixed size, without hidden padding, and has
//! its size asserted; a change of layout is a change of [`LAYOUT`].
#![no_std]

pub mod checksum;
pub mod ends;
pub mod headers;
pub mod index;
pub mod local;
pub mod quote;
pub mod sequence;
pub mod slot;
pub mod splice_slot;
pub mod splice_stat;
pub mod tcp;
pub mod tcp_options;
pub mod tuple;
pub mod window;

/// Version of everything in this crate, in the object's `.rodata`.
pub const LAYOUT: u32 = 2;
