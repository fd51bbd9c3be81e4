//! The ways to forward an established flow, behind one trait.
