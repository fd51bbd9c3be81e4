//! The object file of the kernel half, and what loading a part of it has in common.

use anyhow::{Context as _, bail};
use aya::Ebpf;
use aya::maps::Map;
use aya::programs::{Program, ProgramError};
use socket2::{Domain, Socket, Type};
use tracing::debug;

use super::tcp;

/// `SO_NETNS_COOKIE` (asm-generic/socket.h); not in every libc.
const SO_NETNS_COOKIE: libc::c_int = 71;

/// The object file of `mqtt-lb-ebpf`; empty when built without the BPF toolchain.
static OBJECT: &[u8] = aya::include_bytes_aligned!(concat!(env!("OUT_DIR"), "/mqtt-lb.bpf.o"));

/// The object file.
///
/// # Errors
/// This binary was built without it.
pub fn bytes() -> anyhow::Result<&'static [u8]> {
    if OBJECT.is_empty() {
        bail!(
            "this binary was built without the kernel programs; \
             build it with `cargo xtask build`"
        );
    }
    Ok(OBJECT)
}

/// Cookie of the network namespace this thread is in.
pub fn netns_cookie() -> anyhow::Result<u64> {
    Socket::new(Domain::IPV4, Type::STREAM, None)
        .and_then(|socket| tcp::socket_option(&socket, libc::SOL_SOCKET, SO_NETNS_COOKIE))
        .context("asking for the network namespace (SO_NETNS_COOKIE)")
}

/// One line for what the kernel said; the verifier's log at debug level.
pub fn refused(error: ProgramError) -> anyhow::Error {
    match error {
        ProgramError::LoadError {
            io_error,
            verifier_log,
        } => {
            debug!("{verifier_log}");
            anyhow::anyhow!(
                "the kernel refused a program: {io_error} (it needs CAP_BPF, CAP_PERFMON and \
                 CAP_NET_ADMIN; more at log level debug)"
            )
        }
        error => error.into(),
    }
}

/// Takes a map out of the loaded object.
///
/// # Errors
/// The object has none of that name.
pub fn take(ebpf: &mut Ebpf, name: &str) -> anyhow::Result<Map> {
    ebpf.take_map(name)
        .with_context(|| format!("the object has no map {name}"))
}

/// A program of the object.
///
/// # Errors
/// The object has none of that name.
pub fn program<'a>(ebpf: &'a mut Ebpf, name: &str) -> anyhow::Result<&'a mut Program> {
    ebpf.program_mut(name)
        .with_context(|| format!("the object has no program {name}"))
}
