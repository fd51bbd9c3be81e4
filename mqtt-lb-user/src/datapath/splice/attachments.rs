//! Which interfaces the programs are on, kept up to date as interfaces come and go.

use std::collections::BTreeMap;
use std::os::fd::{AsFd as _, OwnedFd};
use std::path::PathBuf;

use anyhow::{Context as _, bail};
use aya::Ebpf;
use aya::programs::{Program, SchedClassifier, TcAttachType, Xdp};
use tracing::{info, warn};

use super::interfaces::{self, Interface};
use super::links;
use crate::config::{Attach, Splice};
use crate::datapath::object::{program, refused};

/// Translates arriving packets, on tcx.
pub const TCX: &str = "mqtt_lb_tcx";
/// Edits our SYNs.
pub const SYN: &str = "mqtt_lb_syn";
/// Translates arriving packets, in the driver.
pub const XDP: &str = "mqtt_lb_xdp";

/// Where the programs are on an interface.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hook {
    /// Traffic control.
    Tcx,
    /// The driver.
    Xdp,
}

impl Hook {
    /// The word for logs and tables.
    pub fn name(self) -> &'static str {
        match self {
            Self::Tcx => "tcx",
            Self::Xdp => "xdp",
        }
    }
}

/// What an interface has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InterfaceState {
    /// Its name.
    pub name: String,
    /// Its index; 0 when there is no such interface.
    pub ifindex: u32,
    /// Where the programs are; `None` when they are not there.
    pub hook: Option<Hook>,
    /// Why they are not there, or not where the configuration wants them.
    pub why: Option<String>,
}

/// The programs and where they are.
pub struct Attachments {
    ebpf: Ebpf,
    directory: PathBuf,
    names: Vec<String>,
    wants_xdp: bool,
    known: BTreeMap<u32, InterfaceState>,
    missing: Vec<String>,
}

impl Attachments {
    /// For loaded programs, not attached yet; links will be pinned in `directory`.
    pub fn new(ebpf: Ebpf, directory: PathBuf, config: &Splice) -> Self {
        Self {
            ebpf,
            directory,
            names: config.interfaces.clone(),
            wants_xdp: config.attach == Attach::Xdp,
            known: BTreeMap::new(),
            missing: Vec::new(),
        }
    }

    /// Attaches to interfaces that have none of the programs yet, and forgets those
    /// that are gone. Links of an earlier process get the programs of this one.
    ///
    /// # Errors
    /// The kernel does not say which interfaces there are.
    pub fn refresh(&mut self) -> anyhow::Result<()> {
        let all = interfaces::all().context("listing the network interfaces")?;
        self.missing = self.names.clone();
        self.missing
            .retain(|name| all.iter().all(|interface| interface.name != *name));
        let wanted = |interface: &&Interface| match self.names.as_slice() {
            [] => interface.is_usual(),
            names => names.contains(&interface.name),
        };
        let wanted: Vec<Interface> = all.iter().filter(wanted).cloned().collect();
        self.forget(&wanted);
        for interface in wanted {
            let known = self.known.get_mut(&interface.ifindex);
            if let Some(state) = known.filter(|state| state.hook.is_some()) {
                state.name = interface.name;
            } else if interface.is_up || !self.names.is_empty() || self.has_pins(&interface) {
                self.enter(&interface);
            }
        }
        Ok(())
    }

    /// The interfaces, as of the last refresh.
    pub fn states(&self) -> Vec<InterfaceState> {
        let missing = self.missing.iter().map(|name| InterfaceState {
            name: name.clone(),
            ifindex: 0,
            hook: None,
            why: Some("there is no such interface".to_owned()),
        });
        self.known.values().cloned().chain(missing).collect()
    }

    /// The loaded programs.
    pub fn ebpf(&self) -> &Ebpf {
        &self.ebpf
    }

    fn enter(&mut self, interface: &Interface) {
        let state = match self.attach(interface) {
            Ok((hook, why)) => InterfaceState {
                name: interface.name.clone(),
                ifindex: interface.ifindex,
                hook: Some(hook),
                why,
            },
            Err(error) => InterfaceState {
                name: interface.name.clone(),
                ifindex: interface.ifindex,
                hook: None,
                why: Some(format!("{error:#}")),
            },
        };
        // What is tried again every second is said once.
        if self.known.get(&interface.ifindex) != Some(&state) {
            match (&state.hook, &state.why) {
                (Some(hook), None) => info!("splice: {} on {}", hook.name(), state.name),
                (Some(hook), Some(why)) => {
                    info!("splice: {} on {} ({why})", hook.name(), state.name);
                }
                (None, why) => {
                    let why = why.as_deref().unwrap_or_default();
                    warn!("splice: interface {} cannot be used: {why}", state.name);
                }
            }
        }
        self.known.insert(interface.ifindex, state);
    }

    fn attach(&mut self, interface: &Interface) -> anyhow::Result<(Hook, Option<String>)> {
        let ebpf = &mut self.ebpf;
        let pin = |kind: &str| self.directory.join(format!("{kind}-{}", interface.ifindex));
        let syn: &mut SchedClassifier = program(ebpf, SYN)?.try_into()?;
        links::tcx(syn, interface, TcAttachType::Egress, &pin("syn"))?;
        let mut why = None;
        if self.wants_xdp {
            let xdp: &mut Xdp = program(ebpf, XDP)?.try_into()?;
            match links::xdp(xdp, interface, &pin("xdp")) {
                Ok(()) => {
                    links::remove(&pin("tcx"))?;
                    return Ok((Hook::Xdp, None));
                }
                Err(error) => why = Some(format!("no native XDP: {error:#}")),
            }
        }
        let tcx: &mut SchedClassifier = program(ebpf, TCX)?.try_into()?;
        links::tcx(tcx, interface, TcAttachType::Ingress, &pin("tcx"))?;
        links::remove(&pin("xdp"))?;
        Ok((Hook::Tcx, why))
    }

    fn has_pins(&self, interface: &Interface) -> bool {
        self.directory
            .join(format!("syn-{}", interface.ifindex))
            .exists()
    }

    /// Removes the pins of interfaces that are not in `wanted`.
    fn forget(&mut self, wanted: &[Interface]) {
        let is_wanted = |ifindex| wanted.iter().any(|interface| interface.ifindex == ifindex);
        let entries = std::fs::read_dir(&self.directory).into_iter().flatten();
        for entry in entries.flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            let ifindex = name
                .split_once('-')
                .and_then(|(_, index)| index.parse().ok());
            if ifindex.is_some_and(|ifindex| !is_wanted(ifindex)) {
                if let Err(error) = links::remove(&entry.path()) {
                    warn!("splice: {error:#}");
                }
            }
        }
        self.known.retain(|ifindex, state| {
            let stays = is_wanted(*ifindex);
            if !stays {
                info!("splice: interface {} is gone", state.name);
            }
            stays
        });
    }
}

/// Loads the programs into the kernel; XDP only where it is wanted, each takes a while.
///
/// # Errors
/// The kernel refuses one.
pub fn load_programs(ebpf: &mut Ebpf, with_xdp: bool) -> anyhow::Result<()> {
    for name in [TCX, SYN] {
        let classifier: &mut SchedClassifier = program(ebpf, name)?.try_into()?;
        classifier.load().map_err(refused)?;
    }
    if with_xdp {
        let xdp: &mut Xdp = program(ebpf, XDP)?.try_into()?;
        xdp.load().map_err(refused)?;
    }
    Ok(())
}

/// A descriptor of the program `name`.
///
/// # Errors
/// There is none of that name, or it is not loaded.
pub fn descriptor(ebpf: &Ebpf, name: &str) -> anyhow::Result<OwnedFd> {
    let fd = match ebpf.program(name) {
        Some(Program::SchedClassifier(program)) => program.fd()?,
        Some(Program::Xdp(program)) => program.fd()?,
        _ => bail!("the object has no program {name} of the splice path"),
    };
    Ok(fd.as_fd().try_clone_to_owned()?)
}
