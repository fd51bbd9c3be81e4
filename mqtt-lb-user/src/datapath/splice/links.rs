//! One program on one interface: attached anew, or put in the place of the one that
//! an earlier process has left there, without a packet passing by.

use std::fs;
use std::io;
use std::path::Path;

use anyhow::Context as _;
use aya::programs::links::{FdLink, LinkError, PinnedLink};
use aya::programs::tc::{SchedClassifierLink, TcAttachOptions};
use aya::programs::xdp::{XdpLink, XdpMode};
use aya::programs::{LinkOrder, ProgramError, SchedClassifier, TcAttachType, Xdp};

use super::interfaces::Interface;

/// Attaches a program to tcx and pins the link at `pin`. It runs before other
/// programs there, so that no packet of a flow gets past it.
///
/// # Errors
/// What the kernel said.
pub fn tcx(
    program: &mut SchedClassifier,
    interface: &Interface,
    direction: TcAttachType,
    pin: &Path,
) -> anyhow::Result<()> {
    if let Some(link) = pinned(pin)? {
        let link = SchedClassifierLink::try_from(link).with_context(|| foreign(pin))?;
        match program.attach_to_link(link) {
            Ok(id) => {
                program.take_link(id)?;
                return Ok(());
            }
            Err(error) if is_loose(&error) => remove(pin)?,
            Err(error) => return Err(error).with_context(|| format!("updating {}", pin.display())),
        }
    }
    let order = TcAttachOptions::TcxOrder(LinkOrder::first());
    let id = program
        .attach_with_options(&interface.name, direction, order)
        .context("attaching to tcx")?;
    let link = program.take_link(id)?;
    keep(FdLink::try_from(link)?, pin)
}

/// Attaches a program to the driver and pins the link at `pin`.
///
/// # Errors
/// What the kernel said; the driver may not be able to.
pub fn xdp(program: &mut Xdp, interface: &Interface, pin: &Path) -> anyhow::Result<()> {
    if let Some(link) = pinned(pin)? {
        let link = XdpLink::try_from(link).with_context(|| foreign(pin))?;
        match program.attach_to_link(link) {
            Ok(id) => {
                program.take_link(id)?;
                return Ok(());
            }
            Err(error) if is_loose(&error) => remove(pin)?,
            Err(error) => return Err(error).with_context(|| format!("updating {}", pin.display())),
        }
    }
    let id = program.attach_to_if_index(interface.ifindex, XdpMode::Driver)?;
    let link = program.take_link(id)?;
    keep(FdLink::try_from(link)?, pin)
}

/// Removes a pin, and with it the program from its interface.
///
/// # Errors
/// It cannot be removed; that there is none is not an error.
pub fn remove(pin: &Path) -> anyhow::Result<()> {
    match fs::remove_file(pin) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("removing {}", pin.display()))
        }
        _ => Ok(()),
    }
}

fn keep(link: FdLink, pin: &Path) -> anyhow::Result<()> {
    let pinned = link.pin(pin);
    pinned.with_context(|| format!("pinning {}", pin.display()))?;
    Ok(())
}

fn pinned(pin: &Path) -> anyhow::Result<Option<FdLink>> {
    match PinnedLink::from_pin(pin) {
        Ok(link) => Ok(Some(link.into())),
        Err(LinkError::SyscallError(error)) if error.io_error.kind() == io::ErrorKind::NotFound => {
            Ok(None)
        }
        Err(error) => Err(error).with_context(|| format!("opening {}", pin.display())),
    }
}

fn foreign(pin: &Path) -> String {
    format!(
        "{} is no link of mqtt-lb: `mqtt-lb flows flush` removes it",
        pin.display()
    )
}

/// Whether the interface of the link is gone (`ENOLINK`).
fn is_loose(error: &ProgramError) -> bool {
    let ProgramError::SyscallError(error) = error else {
        return false;
    };
    error.io_error.raw_os_error() == Some(libc::ENOLINK)
}
