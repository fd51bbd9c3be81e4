//! The control surface: unix admin socket and HTTP endpoints.
