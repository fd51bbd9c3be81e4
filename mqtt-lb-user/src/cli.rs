//! The command line.

pub mod admin;
mod explain;
pub mod import;
mod run;

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};
use mqtt_lb_user::config::units::parse_duration;
use mqtt_lb_user::config::{DEFAULT_ADMIN_SOCKET, MAX_WEIGHT, PathKind, Splice, parse_pin};

pub use explain::Explain;
pub use import::Import;
pub use run::Run;

/// MQTT load balancer with client-id stickiness and in-kernel forwarding.
#[derive(Debug, Parser)]
#[command(name = "mqtt-lb", version, arg_required_else_help = true)]
#[command(after_help = "\
Examples:
  mqtt-lb run --listen 0.0.0.0:1883 --backend 10.0.0.1:1883 --backend 10.0.0.2:1883
  mqtt-lb check -f /etc/mqtt-lb.toml && mqtt-lb run -f /etc/mqtt-lb.toml
  mqtt-lb import /etc/haproxy/haproxy.cfg -o /etc/mqtt-lb.toml
  mqtt-lb table show
  mqtt-lb backend drain emqx/emqx1")]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Balance, from a configuration file or from flags alone.
    Run(Run),
    /// Say whether a configuration file is valid, or everything that is wrong with it.
    ///
    /// Prints "configuration is valid", or one line per problem as
    /// FILE:LINE:COLUMN: what is wrong, what to do.
    Check {
        /// The configuration file.
        #[arg(short, long, value_name = "FILE", env = "MQTT_LB_CONFIG")]
        file: PathBuf,
    },
    /// Turn a configuration of HAProxy or NGINX into one of mqtt-lb.
    Import(Import),
    /// Say which data paths this host can run, and why not the others.
    ///
    /// Prints one line per thing it looks at: what, ok or no, and why. Loads the kernel
    /// programs for a moment, so it needs the rights that the balancer needs. Succeeds
    /// when every path of the configuration can run.
    Doctor {
        /// The configuration file; the defaults when left out.
        #[arg(short, long, value_name = "FILE", env = "MQTT_LB_CONFIG")]
        file: Option<PathBuf>,
    },
    /// List the connections of a running balancer, or end those that one has left behind.
    Flows {
        /// What to do with the connections.
        #[command(subcommand)]
        command: FlowsCommand,
        /// Where the balancer is.
        #[command(flatten)]
        socket: Socket,
    },
    /// See what the guard of a running balancer has dropped.
    Guard {
        /// What to see.
        #[command(subcommand)]
        command: GuardCommand,
        /// Where the balancer is.
        #[command(flatten)]
        socket: Socket,
    },
    /// Look at the stick tables of a running balancer, or change them.
    Table {
        /// What to do with the table.
        #[command(subcommand)]
        command: TableCommand,
        /// Where the balancer is.
        #[command(flatten)]
        socket: Socket,
    },
    /// Say where a client would go now, and why; nothing changes.
    ///
    /// Prints listener, route, key and table entry, and every backend with its place in
    /// the order and the reason for it.
    Explain(Explain),
    /// Show the client ids that a running balancer sees most often.
    Ids {
        /// What to do with the ids.
        #[command(subcommand)]
        command: IdsCommand,
        /// Where the balancer is.
        #[command(flatten)]
        socket: Socket,
    },
    /// List the backends of a running balancer, or change what they may get.
    Backend {
        /// What to do with the backends.
        #[command(subcommand)]
        command: BackendCommand,
        /// Where the balancer is.
        #[command(flatten)]
        socket: Socket,
    },
}

/// How to reach the running balancer.
#[derive(Debug, Args)]
pub struct Socket {
    /// Unix admin socket of the running balancer.
    #[arg(long, global = true, value_name = "PATH", env = "MQTT_LB_SOCKET")]
    #[arg(default_value = DEFAULT_ADMIN_SOCKET)]
    pub socket: PathBuf,
}

/// Commands on connections.
#[derive(Debug, Subcommand)]
pub enum FlowsCommand {
    /// Print the connections of a running balancer.
    List {
        /// Only those on this data path.
        #[arg(long, value_enum)]
        path: Option<PathKind>,
    },
    /// End the connections that the kernel forwards although no balancer runs, and remove
    /// their maps and programs. Nothing is done to those of a running balancer.
    #[command(after_help = "\
Examples:
  mqtt-lb flows flush                     of this network namespace
  mqtt-lb flows flush --all-namespaces    also of namespaces that are gone")]
    Flush {
        /// Where they are pinned (splice.pin of the configuration).
        #[arg(long, value_name = "DIR", default_value = Splice::PIN, value_parser = parse_pin)]
        pin: PathBuf,
        /// Of every network namespace, not only of this one.
        #[arg(long)]
        all_namespaces: bool,
    },
}

/// Commands on the guard.
#[derive(Debug, Subcommand)]
pub enum GuardCommand {
    /// Print the source prefixes whose SYNs were dropped most.
    Top {
        /// How many.
        #[arg(short = 'n', long, default_value_t = 20)]
        count: usize,
    },
}

/// Commands on stick tables.
///
/// A KEY is a client id as the log and `table show` print it: `\xNN` is a byte,
/// `\\` a backslash.
#[derive(Debug, Subcommand)]
pub enum TableCommand {
    /// Print the tables, the entries of one, or one entry.
    #[command(after_help = "\
Examples:
  mqtt-lb table show                         every table: size, used
  mqtt-lb table show emqx                    its entries
  mqtt-lb table show emqx --key sensor-17    where one client goes")]
    Show {
        /// The pool; every table when left out.
        pool: Option<String>,
        /// Only this client id, written as in the log (\xNN is a byte).
        #[arg(long, requires = "pool", value_parser = admin::parse_key)]
        key: Option<admin::Key>,
    },
    /// Decide which backend a client id goes to.
    #[command(after_help = "\
Example:
  mqtt-lb table set emqx sensor-17 emqx2")]
    Set {
        /// The pool.
        pool: String,
        /// The client id, written as in the log (\xNN is a byte).
        #[arg(value_parser = admin::parse_key)]
        key: admin::Key,
        /// The backend's name.
        backend: String,
    },
    /// Forget entries; the clients are balanced anew when they connect next.
    #[command(after_help = "\
Examples:
  mqtt-lb table clear emqx --key sensor-17
  mqtt-lb table clear emqx --backend emqx1
  mqtt-lb table clear emqx --all")]
    Clear {
        /// The pool.
        pool: String,
        /// Which entries.
        #[command(flatten)]
        which: Which,
    },
}

/// Which entries of a table to forget.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub struct Which {
    /// The entry of this client id, written as in the log (\xNN is a byte).
    #[arg(long, value_parser = admin::parse_key)]
    pub key: Option<admin::Key>,
    /// The entries that lead to this backend.
    #[arg(long, value_name = "NAME")]
    pub backend: Option<String>,
    /// Every entry.
    #[arg(long)]
    pub all: bool,
}

/// Commands on client ids.
#[derive(Debug, Subcommand)]
pub enum IdsCommand {
    /// Print the ids that connect most often: how often at least, how exact that is, how
    /// often they came back too soon (flaps) and took over a living connection.
    Top {
        /// How many.
        #[arg(short = 'n', long, value_name = "COUNT", default_value_t = 10)]
        count: usize,
    },
    /// Count anew.
    Clear,
}

/// Commands on backends.
#[derive(Debug, Subcommand)]
pub enum BackendCommand {
    /// Print the backends with their state.
    List {
        /// Only those of this pool.
        pool: Option<String>,
    },
    /// Send a backend only the clients that the stick table sends there.
    Drain {
        /// The backend.
        #[command(flatten)]
        target: Target,
        /// Reset the sessions that are left after this time, such as 30s.
        #[arg(long, value_name = "TIME", value_parser = parse_duration)]
        deadline: Option<Duration>,
    },
    /// Send a backend clients again.
    Ready(Target),
    /// Send a backend no clients at all.
    Maint(Target),
    /// Change a backend's share of new clients, until the file says another one.
    Weight {
        /// The backend.
        #[command(flatten)]
        target: Target,
        /// Its share relative to the others; 0 takes none.
        #[arg(value_parser = clap::value_parser!(u32).range(0..=i64::from(MAX_WEIGHT)))]
        weight: u32,
    },
    /// Reset all sessions of a backend.
    Shutdown(Target),
}

/// One backend.
#[derive(Debug, Args)]
pub struct Target {
    /// The backend, such as emqx/emqx1.
    #[arg(value_name = "POOL/BACKEND", value_parser = admin::parse_target)]
    pub target: String,
}

#[cfg(test)]
#[path = "cli/tests.rs"]
mod tests;
