//! The splice path's programs on each interface.

use anyhow::anyhow;

use super::Line;
use crate::config::{Attach, Splice};
use crate::datapath::splice::trial;

/// Subject of the line about the programs.
pub const PROGRAMS: &str = "splice programs";

/// Beginning of the subjects of the lines about interfaces.
pub const INTERFACE: &str = "splice on ";

/// One line about the programs and one for each interface.
pub fn interfaces(config: &Splice) -> Vec<Line> {
    let tried = match trial::run(config) {
        Ok(tried) => tried,
        Err(error) => return vec![Line::new(PROGRAMS, Err(error))],
    };
    let mut lines = vec![Line::new(PROGRAMS, Ok("the kernel takes them".to_owned()))];
    let missing = config
        .interfaces
        .iter()
        .filter(|name| tried.iter().all(|(interface, _)| interface.name != **name))
        .map(|name| (name.clone(), Err(anyhow!("there is no such interface"))));
    let missing: Vec<_> = missing.collect();
    let hook = match config.attach {
        Attach::Xdp => "tcx; native XDP is tried when mqtt-lb starts",
        Attach::Auto | Attach::Tcx => "tcx",
    };
    let tried = tried
        .into_iter()
        .map(|(interface, result)| (interface.name, result.map(|()| hook.to_owned())));
    for (name, outcome) in tried.chain(missing) {
        lines.push(Line::new(format!("{INTERFACE}{name}"), outcome));
    }
    lines
}
