//! The programs that the demo, the tests and the measurements run, and the Debian packages that
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
    /// `cargo xtask bench`.
    Bench,
}

struct Program {
    /// Its name; what is no program but a part of one has its path instead.
    name: &'static str,
    package: &'static str,
    /// What needs it.
    uses: &'static [Use],
    /// Arguments with which it succeeds only if it is whole; none to run it.
    probe: &'static [&'static str],
}

const fn program(name: &'static str, package: &'static str, uses: &'static [Use]) -> Program {
    Program {
        name,
        package,
        uses,
        probe: &[],
    }
}

/// nginx's module for TCP.
pub const NGINX_STREAM: &str = "/usr/lib/nginx/modules/ngx_stream_module.so";
/// nginx's module that runs a script over the first bytes of a connection.
pub const NGINX_NJS: &str = "/usr/lib/nginx/modules/ngx_stream_js_module.so";

/// All of them.
const PROGRAMS: [Program; 13] = [
    program(
        "mosquitto",
        "mosquitto",
        &[Use::Demo, Use::Test, Use::Bench],
    ),
    program(
        "mosquitto_sub",
        "mosquitto-clients",
        &[Use::Demo, Use::Test],
    ),
    program(
        "mosquitto_pub",
        "mosquitto-clients",
        &[Use::Demo, Use::Test],
    ),
    program("ejabberdctl", "ejabberd", &[Use::Test]),
    program("rabbitmqctl", "rabbitmq-server", &[Use::Test]),
    program("erl", "erlang-base", &[Use::Test]),
    program("redis-server", "redis-server", &[Use::Test]),
    program("ip", "iproute2", &[Use::Test, Use::Bench]),
    program("haproxy", "haproxy", &[Use::Test, Use::Bench]),
    program("nginx", "nginx", &[Use::Bench]),
    program(NGINX_STREAM, "libnginx-mod-stream", &[Use::Bench]),
    program(NGINX_NJS, "libnginx-mod-stream-js", &[Use::Bench]),
    Program {
        // Debian's python3 alone cannot make virtual environments.
        probe: &["-c", "import ensurepip, venv"],
        ..program("python3", "python3-venv", &[Use::Test])
    },
];

impl Program {
    /// Where it is, if it is there and whole.
    fn find(&self) -> Option<PathBuf> {
        // An absolute path stays itself when joined to a directory.
        let path = paths::program(self.name)?;
        let whole = self.probe.is_empty() || stdout(Command::new(&path).args(self.probe)).is_ok();
        whole.then_some(path)
    }
}

fn of(wanted: Use) -> impl Iterator<Item = &'static Program> {
    PROGRAMS.iter().filter(move |p| p.uses.contains(&wanted))
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
