//! A cluster of ejabberd nodes (mod_mqtt) that expect a PROXY header.

use std::net::SocketAddr;
use std::time::Duration;

use super::erlang::{Erlang, QUIET};
use crate::netns::Netns;
use crate::process::Process;
use crate::require::{Need, find};
use crate::wait;

/// What it takes to run one.
pub const NEEDS: &[Need] = &[
    Need::Root,
    Need::Program("ip"),
    Need::Program("erl"),
    Need::Program("epmd"),
    Need::Program("ejabberdctl"),
];

const START: Duration = Duration::from_secs(60);

/// A running cluster, killed on drop. Clients need a user name and a password;
/// any will do.
#[derive(Debug)]
pub struct Ejabberd<'a> {
    nodes: Vec<(SocketAddr, Process)>,
    erlang: Erlang<'a>,
}

impl<'a> Ejabberd<'a> {
    /// Starts one node per address and joins them.
    pub fn start(ns: &'a Netns, addresses: &[SocketAddr]) -> Self {
        let erlang = Erlang::start(ns);
        let nodes: Vec<_> = (1..)
            .zip(addresses)
            .map(|(n, a)| (*a, node(&erlang, n, *a)))
            .collect();
        let listening = || {
            for (address, _) in &nodes {
                wait::for_true("ejabberd should listen", START, || {
                    ns.connect(*address).is_ok()
                });
            }
        };
        listening();
        for n in 2..=nodes.len() {
            let join = format!(
                "ok = rpc:call('ej{n}@localhost', ejabberd_cluster, join, ['ej1@localhost'], 60000)"
            );
            evaluate(&erlang, &join);
        }
        listening();
        let all = nodes.len();
        let together = "length(rpc:call('ej1@localhost', ejabberd_cluster, get_nodes, []))";
        evaluate(&erlang, &format!("{all} = {together}"));
        Self { nodes, erlang }
    }

    /// Kills a node (counted from 1).
    pub fn kill(&mut self, node: usize) {
        self.nodes[node - 1].1.kill();
    }

    /// Starts a node that was killed; it joins the others again.
    pub fn start_again(&mut self, number: usize) {
        let (address, process) = &mut self.nodes[number - 1];
        *process = node(&self.erlang, number, *address);
        wait::for_true("ejabberd should listen again", START, || {
            self.erlang.ns.connect(*address).is_ok()
        });
        // A node that the others do not all know answers, and loses sessions.
        let all = self.nodes.len();
        let names: Vec<_> = (1..=all).map(|n| format!("'ej{n}@localhost'")).collect();
        let names = names.join(", ");
        wait::for_true("the nodes should know each other", START, || {
            let sees = format!("length(rpc:call(N, ejabberd_cluster, get_nodes, [])) =:= {all}");
            let running =
                format!("length(rpc:call(N, mnesia, system_info, [running_db_nodes])) =:= {all}");
            let every =
                format!("true = lists:all(fun(N) -> {sees} andalso {running} end, [{names}])");
            try_evaluate(&self.erlang, &every).is_ok()
        });
    }

    /// What a node (counted from 1) has logged.
    pub fn log(&self, node: usize) -> String {
        let file = self.erlang.dir().join(format!("ej{node}/ejabberd.log"));
        String::from_utf8_lossy(&std::fs::read(file).unwrap_or_default()).into_owned()
    }
}

fn node(erlang: &Erlang<'_>, n: usize, address: SocketAddr) -> Process {
    let dir = erlang.node_dir(&format!("ej{n}"));
    let config = format!(
        "hosts: [\"localhost\"]\nloglevel: info\nauth_method: [anonymous]\n\
         anonymous_protocol: both\nallow_multiple_connections: true\nlisten:\n  -\n    \
         port: {}\n    ip: \"{}\"\n    module: mod_mqtt\n    backlog: 1024\n    \
         use_proxy_protocol: true\nmodules:\n  mod_mqtt:\n    session_expiry: 10 minutes\n",
        address.port(),
        address.ip()
    );
    std::fs::write(dir.join("ejabberd.yml"), config).expect("write ejabberd.yml");
    let mut command = erlang.command(find("erl").expect("erl"));
    command.env("ERL_LIBS", "/usr/lib/x86_64-linux-gnu");
    command.env("EJABBERD_CONFIG_PATH", dir.join("ejabberd.yml"));
    command.env("EJABBERD_LOG_PATH", dir.join("ejabberd.log"));
    command.env("ERL_CRASH_DUMP", dir.join("crash.dump"));
    command
        .args(["-noinput", "-sname", &format!("ej{n}@localhost")])
        .args(QUIET);
    command.args(["-kernel", "inet_dist_use_interface", "{127,0,0,1}"]);
    // Or a node that comes back may make `global` cut the others apart.
    command.args(["-kernel", "prevent_overlapping_partitions", "false"]);
    let mnesia = format!("\"{}\"", dir.join("mnesia").display());
    command.args(["-mnesia", "dir", &mnesia, "-s", "ejabberd"]);
    Process::start(&format!("ej{n}"), erlang.dir(), &mut command)
}

/// Evaluates an Erlang expression on a node of its own; panics when it fails.
fn evaluate(erlang: &Erlang<'_>, expression: &str) {
    if let Err(text) = try_evaluate(erlang, expression) {
        panic!("{expression}: {text}");
    }
}

/// The same; what was printed when it fails.
fn try_evaluate(erlang: &Erlang<'_>, expression: &str) -> Result<(), String> {
    let mut command = erlang.command(find("erl").expect("erl"));
    // Hidden: the cluster does not take it for one of its nodes.
    command.args([
        "-noinput",
        "-hidden",
        "-sname",
        &format!("ask{}@localhost", std::process::id()),
    ]);
    let code = format!(
        "try {expression}, halt(0) catch C:R -> io:format(\"~p:~p~n\", [C, R]), halt(1) end."
    );
    let out = command.arg("-eval").arg(code).output().expect("run erl");
    match out.status.success() {
        true => Ok(()),
        false => Err(String::from_utf8_lossy(&out.stdout).into_owned()),
    }
}
