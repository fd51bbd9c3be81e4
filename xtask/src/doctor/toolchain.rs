//! The parts that build the eBPF half.

use std::env;

use super::Part;
use crate::compiler::Compiler;
use crate::linker::Linker;
use crate::toolchain::Found;

/// The compiler and the linker.
pub fn parts(found: &Found) -> Vec<Part> {
    let (compiler, linker) = match found.toolchain() {
        Some(toolchain) => (
            Ok(compiler(&toolchain.compiler)),
            Ok(linker(&toolchain.linker)),
        ),
        None => (first_compiler(found), Err(no_linker(found))),
    };
    vec![
        Part::new("eBPF compiler with its library source", compiler),
        Part::new("bpf-linker on the compiler's LLVM", linker),
    ]
}

fn compiler(found: &Compiler) -> String {
    let Compiler { rustc, version } = found;
    format!(
        "rustc {} (LLVM {}), {}",
        version.release,
        version.llvm,
        rustc.display()
    )
}

fn linker(found: &Linker) -> String {
    let Linker {
        path,
        version,
        llvm,
    } = found;
    format!("bpf-linker {version} (LLVM {llvm}), {}", path.display())
}

fn first_compiler(found: &Found) -> Result<String, String> {
    found
        .compilers
        .first()
        .map(compiler)
        .ok_or_else(|| match env::var("EBPF_RUSTC") {
            Ok(path) => format!("$EBPF_RUSTC is {path}, which has none: correct or unset it"),
            Err(_) => "no toolchain of rustup's, /usr or /usr/local has it; run `cargo xtask \
                       setup`, or by hand `rustup toolchain install nightly --profile minimal \
                       --component rust-src --component clippy`, or on Debian 12 as root \
                       `apt-get install rustc-web cargo-web rust-web-src rust-web-clippy`"
                .into(),
        })
}

fn no_linker(found: &Found) -> String {
    let chosen = env::var("BPF_LINKER");
    let seen = match (&chosen, found.linkers.first(), found.compilers.first()) {
        (_, Some(linker), Some(compiler)) => format!(
            "{} is on LLVM {}, too old for the compiler's LLVM {}",
            linker.path.display(),
            linker.llvm,
            compiler.version.llvm
        ),
        (_, Some(linker), None) => format!("{} has no compiler yet", linker.path.display()),
        (Ok(path), None, _) => format!("$BPF_LINKER is {path}, which does not run"),
        (Err(_), None, _) => "none in target/bpf-tools, $PATH or cargo's bin directory".into(),
    };
    let mend = match chosen {
        Ok(_) => "correct or unset $BPF_LINKER",
        Err(_) => "run `cargo xtask setup`, or by hand `cargo binstall bpf-linker`",
    };
    format!("{seen}; {mend}")
}
