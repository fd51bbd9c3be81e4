//! The `mqtt-lb` program: reads the command line, calls the library, prints errors.

mod cli;

use std::path::Path;
use std::process::ExitCode;

use clap::Parser;
use mqtt_lb_user::datapath::splice;
use mqtt_lb_user::{config, doctor, server};

use cli::{Cli, Command, FlowsCommand, GuardCommand};

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
        Command::Import(import) => match import.run() {
            Ok(code) => return code,
            Err(error) => Err(error),
        },
        Command::Doctor { file } => match file.as_deref().map(config::load).transpose() {
            Ok(config) => return examine(&config.unwrap_or_default()),
            Err(error) => return refuse(&error),
        },
        Command::Flows { command, socket } => match command {
            FlowsCommand::List { path } => ask(&socket, &cli::admin::show_flows(path)),
            FlowsCommand::Flush {
                pin,
                all_namespaces,
            } => flush(&pin, all_namespaces),
        },
        Command::Guard {
            command: GuardCommand::Top { count },
            socket,
        } => ask(&socket, &format!("show guard {count}")),
        Command::Table { command, socket } => ask(&socket, &command.line()),
        Command::Explain(explain) => ask(&explain.socket, &explain.line()),
        Command::Ids { command, socket } => ask(&socket, &command.line()),
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

/// Prints what this host can do.
fn examine(config: &config::Config) -> ExitCode {
    let lines = doctor::examine(config);
    for line in &lines {
        println!("{line}");
    }
    match doctor::can_run(config, &lines) {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    }
}

/// Ends the connections that nobody looks after, and says which.
fn flush(pin: &Path, all_namespaces: bool) -> anyhow::Result<()> {
    let done = splice::flush::flush(pin, all_namespaces)?;
    for flushed in &done {
        println!("{flushed}");
    }
    if done.is_empty() {
        println!("nothing is pinned below {}", pin.display());
    }
    Ok(())
}

fn ask(socket: &cli::Socket, line: &str) -> anyhow::Result<()> {
    cli::admin::ask(&socket.socket, line, &mut std::io::stdout().lock())
}
