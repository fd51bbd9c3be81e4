//! Does what a command asks, and answers in text. One file per group of commands.

mod backend;
mod columns;
mod explain;
mod guard;
mod ids;
mod info;
mod table;

use std::iter;
use std::sync::Arc;

use super::command::{self, Command};
use super::{Context, flows};
use crate::backend::{Backend, Pool};
use crate::escape::Word;
use crate::flow::Shared;

/// An answer in pieces, each one made when the one before is written. An answer
/// that starts with [`ERROR`] is one line that says why nothing was done.
pub type Answer = Box<dyn Iterator<Item = String> + Send>;

/// How the answer to a command that was not carried out begins.
pub const ERROR: &str = "error: ";

/// Does what `command` asks.
pub fn answer(command: Command, context: &Context) -> Answer {
    execute(command, context).unwrap_or_else(|reason| text(format!("{ERROR}{reason}\n")))
}

fn execute(command: Command, context: &Context) -> Result<Answer, String> {
    match command {
        Command::Help => Ok(text(help())),
        // What these two do, they do to the connection.
        Command::Prompt | Command::Quit => Ok(Box::new(iter::empty())),
        Command::ShowInfo => Ok(text(info::info(context))),
        Command::Backend(command) => backend::answer(command, context),
        Command::ShowFlows { path } => Ok(Box::new(flows::show(flows(context)?.clone(), path))),
        Command::ShowGuard { count } => guard::answer(context, count).map(text),
        Command::Explain(command) => explain::answer(&command, context),
        Command::Ids(command) => ids::answer(&command, context),
        Command::Table(command) => table::answer(command, context),
    }
}

fn flows(context: &Context) -> Result<&Arc<Shared>, String> {
    context
        .flows
        .as_ref()
        .ok_or_else(|| "there are no flows yet".to_owned())
}

fn find_pool(context: &Context, name: &str) -> Result<Arc<Pool>, String> {
    context.pools.get(name).ok_or_else(|| {
        let all = context.pools.all();
        let names: Vec<_> = all.iter().map(|pool| pool.name.as_str()).collect();
        format!(
            "no pool {}: there is {}",
            Word(name.as_bytes()),
            names.join(", ")
        )
    })
}

fn find_backend(pool: &Pool, name: &str) -> Result<Arc<Backend>, String> {
    pool.backend(name).ok_or_else(|| {
        let all = pool.backends();
        let names: Vec<_> = all.iter().map(|backend| backend.name.as_str()).collect();
        let name = Word(name.as_bytes());
        format!(
            "no backend {name} in pool {}: there is {}",
            pool.name,
            names.join(", ")
        )
    })
}

fn text(text: String) -> Answer {
    Box::new(iter::once(text))
}

fn help() -> String {
    command::help()
        .map(|(command, what)| format!("{command:<46} {what}\n"))
        .collect()
}
