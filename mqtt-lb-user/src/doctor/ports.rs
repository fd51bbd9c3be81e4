//! Whether our ports towards the backends are ours alone.

use super::Line;
use crate::config::Splice;
use crate::datapath::splice::overlap;

/// `splice.ports` against the ephemeral range.
pub fn own(config: &Splice) -> Line {
    let (first, last) = (config.ports.start(), config.ports.end());
    let checked = overlap::check(&config.ports);
    Line::new("ports", checked.map(|()| format!("{first}-{last}")))
}
