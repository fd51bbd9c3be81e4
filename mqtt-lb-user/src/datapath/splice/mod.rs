//! The splice path: two connections become one, and the kernel translates its packets.

mod attachments;
mod bpffs;
mod interfaces;
pub mod kernel;
mod layout;
mod links;
mod maps;
pub mod neighbour;
mod next_hop;
mod overlap;
mod pins;

pub use attachments::{Hook, InterfaceState};
