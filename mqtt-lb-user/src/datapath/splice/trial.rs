//! Whether the programs load and attach here, tried out and undone at once.

use aya::programs::tc::TcAttachOptions;
use aya::programs::{LinkOrder, SchedClassifier, TcAttachType};

use super::attachments::SYN;
use super::interfaces::{self, Interface};
use super::kernel::SpliceKernel;
use crate::config::Splice;
use crate::datapath::object::program;

/// What became of the trial on an interface.
pub type Tried = (Interface, anyhow::Result<()>);

/// Loads the programs and puts one that touches no packet but ours on each interface
/// that the path would use, for a moment. A driver is not bothered: loading native XDP
/// makes some restart their link.
///
/// # Errors
/// The programs cannot be loaded.
pub fn run(config: &Splice) -> anyhow::Result<Vec<Tried>> {
    let mut ebpf = SpliceKernel::load_programs()?;
    let syn: &mut SchedClassifier = program(&mut ebpf, SYN)?.try_into()?;
    let mut tried = Vec::new();
    for interface in interfaces::all()? {
        let wanted = match config.interfaces.as_slice() {
            [] => interface.is_usual() && interface.is_up,
            names => names.contains(&interface.name),
        };
        if wanted {
            let result = attach(syn, &interface);
            tried.push((interface, result));
        }
    }
    Ok(tried)
}

fn attach(program: &mut SchedClassifier, interface: &Interface) -> anyhow::Result<()> {
    let order = TcAttachOptions::TcxOrder(LinkOrder::last());
    let id = program.attach_with_options(&interface.name, TcAttachType::Egress, order)?;
    program.detach(id)?;
    Ok(())
}
