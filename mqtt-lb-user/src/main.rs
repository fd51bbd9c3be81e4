//! The `mqtt-lb` program: reads the command line, calls the library, prints errors.

mod cli;

use std::process::ExitCode;

use clap::Parser;
use mqtt_lb_user::{config, server};

use cli::{Cli, Command};

fn main() -> ExitCode {
    let done = match Cli::parse().command {
        Command::Run(run) => match run.config() {
            Ok((config, source)) => server::run(config, source),
            Err(error) => return refuse(&error),
        },
        Command::Check { file } => match config::load(&file) {
            Ok(_) => {
                println!("configuration is valid");
                Ok(())
            }
            Err(error) => return refuse(&error),
        },
        Command::Table { command, socket } => ask(&socket, &command.line()),
        Command::Backend { command, socket } => ask(&socket, &command.line()),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("mqtt-lb: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Prints every problem of a configuration, in lines that editors can follow.
fn refuse(error: &config::ConfigError) -> ExitCode {
    eprintln!("{error}");
    ExitCode::FAILURE
}

fn ask(socket: &cli::Socket, line: &str) -> anyhow::Result<()> {
    cli::admin::ask(&socket.socket, line, &mut std::io::stdout().lock())
}
