//! Whether maps and programs can outlive the process.

use anyhow::{bail, ensure};

use super::{Line, capabilities};
use crate::config::Splice;
use crate::datapath::splice::bpffs;

/// bpffs below `splice.pin`.
pub fn bpffs(config: &Splice) -> Line {
    Line::new("bpffs", look(config))
}

fn look(config: &Splice) -> anyhow::Result<String> {
    let pin = config.pin.display();
    if bpffs::is_on(&config.pin)? {
        ensure!(
            bpffs::is_writable(&config.pin),
            "{pin} cannot be written: run as root, or give its directory to this user"
        );
        return Ok(pin.to_string());
    }
    if !bpffs::is_usual(&config.pin) {
        bail!("{pin} (splice.pin) is not on bpffs: mount -t bpf bpf DIR");
    }
    if !capabilities::may_mount() {
        bail!(
            "not mounted, and without CAP_SYS_ADMIN mqtt-lb cannot: mount -t bpf bpf {}",
            bpffs::USUAL
        );
    }
    Ok(format!("{pin}, mounted when mqtt-lb starts"))
}
