//! Client or backend of a measurement; `cargo xtask bench` starts it.

use std::process::ExitCode;

use mqtt_lb_tests::load::{self, Job};

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let done = Job::parse(&arguments).and_then(|job| load::run(&job).map_err(|e| e.to_string()));
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("mqtt-lb-load: {error}");
            ExitCode::FAILURE
        }
    }
}
