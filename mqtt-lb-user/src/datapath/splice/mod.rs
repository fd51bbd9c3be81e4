//! The splice path: two connections become one, and the kernel translates its packets.

mod attachments;
pub mod bpffs;
pub mod flush;
pub mod interfaces;
pub mod kernel;
mod layout;
mod links;
mod maps;
pub mod neighbour;
mod next_hop;
pub mod overlap;
mod pins;
pub mod trial;

pub use attachments::{Hook, InterfaceState};
