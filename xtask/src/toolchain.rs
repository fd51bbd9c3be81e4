//! A compiler and a bpf-linker that fit together.

use crate::compiler::{self, Compiler};
use crate::linker::{self, Linker};

/// What builds the eBPF half.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Toolchain {
    /// The compiler with its library source.
    pub compiler: Compiler,
    /// A linker that reads what it writes.
    pub linker: Linker,
}

/// What this machine has for the eBPF half.
pub struct Found {
    /// Compilers with their library source, best first.
    pub compilers: Vec<Compiler>,
    /// Linkers that run, best first.
    pub linkers: Vec<Linker>,
}

impl Found {
    /// Looks at this machine.
    pub fn look() -> Self {
        Self {
            compilers: compiler::all(),
            linkers: linker::all(),
        }
    }

    /// The best compiler for which there is a linker, with that linker.
    pub fn toolchain(&self) -> Option<Toolchain> {
        self.compilers.iter().find_map(|compiler| {
            let linker = self
                .linkers
                .iter()
                .find(|l| l.reads(compiler.version.llvm))?;
            Some(Toolchain {
                compiler: compiler.clone(),
                linker: linker.clone(),
            })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rustc::Version;

    fn compiler(release: &str, llvm: u32) -> Compiler {
        Compiler {
            rustc: format!("/{release}/bin/rustc").into(),
            version: Version {
                release: release.into(),
                llvm,
            },
        }
    }

    fn linker(llvm: u32) -> Linker {
        Linker {
            path: format!("/bpf-linker-{llvm}").into(),
            version: "0.13.0".into(),
            llvm,
        }
    }

    #[test]
    fn the_first_compiler_with_a_fitting_linker_is_taken() {
        let found = Found {
            compilers: vec![compiler("1.101.0-nightly", 23), compiler("1.96.0", 22)],
            linkers: vec![linker(21), linker(22)],
        };
        let toolchain = found.toolchain().unwrap();
        assert_eq!(toolchain.compiler.version.release, "1.96.0");
        assert_eq!(toolchain.linker.llvm, 22);
    }

    #[test]
    fn an_older_linker_fits_no_newer_compiler() {
        let found = Found {
            compilers: vec![compiler("1.101.0-nightly", 23)],
            linkers: vec![linker(22)],
        };
        assert_eq!(found.toolchain(), None);
    }
}
