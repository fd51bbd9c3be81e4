//! Stick tables on disk.

mod damage;
mod hold;
mod keeper;
mod lb;
mod life;
