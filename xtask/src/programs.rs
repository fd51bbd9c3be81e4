//! The programs that the demo and the tests run, and the Debian packages that
//! have them.

use std::path::PathBuf;
use std::process::Command;

use crate::command::stdout;
use crate::doctor::Part;
use crate::paths;

/// What a program is for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Use {
    /// `cargo xtask demo`.
    Demo,
    /// `cargo xtask test`.
    Test,
}

struct Program {
    name: &'static str,
    package: &'static str,
    demo: bool,
    /// Arguments with which it succeeds only if it is whole; none to run it.
    probe: &'static [&'static str],
}

const fn demo(name: &'static str, package: &'static str) -> Program {
    Program {
        name,
        package,
        demo: true,
        probe: &[],
    }
}

const fn test(name: &'static str, package: &'static str) -> Program {
    Program {
        name,
        package,
        demo: false,
        probe: &[],
    }
}

/// The tests also run everything that the demo runs.
const PROGRAMS: [Program; 8] = [
    demo("mosquitto", "mosquitto"),
    demo("mosquitto_sub", "mosquitto-clients"),
    demo("mosquitto_pub", "mosquitto-clients"),
    test("ejabberdctl", "ejabberd"),
    test("rabbitmqctl", "rabbitmq-server"),
    test("erl", "erlang-base"),
    test("ip", "iproute2"),
    Program {
        // Debian's python3 alone cannot make virtual environments.
        probe: &["-c", "import ensurepip, venv"],
        ..test("python3", "python3-venv")
    },
];

impl Program {
    /// Where it is, if it is there and whole.
    fn find(&self) -> Option<PathBuf> {
        let path = paths::program(self.name)?;
        let whole = self.probe.is_empty() || stdout(Command::new(&path).args(self.probe)).is_ok();
        whole.then_some(path)
    }
}

fn of(wanted: Use) -> impl Iterator<Item = &'static Program> {
    PROGRAMS
        .iter()
        .filter(move |p| wanted == Use::Test || p.demo)
}

/// One part per program.
pub fn parts(wanted: Use) -> Vec<Part> {
    let state = |program: &Program| match program.find() {
        Some(path) => Ok(path.display().to_string()),
        None => Err(format!("run `apt-get install {}` as root", program.package)),
    };
    of(wanted).map(|p| Part::new(p.name, state(p))).collect()
}

/// The packages whose programs are missing, each once.
pub fn missing_packages(wanted: Use) -> Vec<&'static str> {
    let mut packages: Vec<_> = of(wanted)
        .filter(|program| program.find().is_none())
        .map(|program| program.package)
        .collect();
    packages.dedup();
    packages
}
