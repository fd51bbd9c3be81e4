//! The programs that the demo and the tests run, and the Debian packages that
//! have them.

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
}

const fn demo(name: &'static str, package: &'static str) -> Program {
    Program {
        name,
        package,
        demo: true,
    }
}

const fn test(name: &'static str, package: &'static str) -> Program {
    Program {
        name,
        package,
        demo: false,
    }
}

/// The tests also run everything that the demo runs.
const PROGRAMS: [Program; 7] = [
    demo("mosquitto", "mosquitto"),
    demo("mosquitto_sub", "mosquitto-clients"),
    demo("mosquitto_pub", "mosquitto-clients"),
    test("ejabberdctl", "ejabberd"),
    test("rabbitmqctl", "rabbitmq-server"),
    test("ip", "iproute2"),
    test("python3", "python3-venv"),
];

fn of(wanted: Use) -> impl Iterator<Item = &'static Program> {
    PROGRAMS
        .iter()
        .filter(move |p| wanted == Use::Test || p.demo)
}

/// One part per program.
pub fn parts(wanted: Use) -> Vec<Part> {
    let state = |program: &Program| match paths::program(program.name) {
        Some(path) => Ok(path.display().to_string()),
        None => Err(format!("run `apt-get install {}` as root", program.package)),
    };
    of(wanted).map(|p| Part::new(p.name, state(p))).collect()
}

/// The packages whose programs are missing, each once.
pub fn missing_packages(wanted: Use) -> Vec<&'static str> {
    let mut packages: Vec<_> = of(wanted)
        .filter(|program| paths::program(program.name).is_none())
        .map(|program| program.package)
        .collect();
    packages.dedup();
    packages
}
