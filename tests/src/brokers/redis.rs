//! A Redis server without persistence, as balancers share their stick tables through it.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use tempfile::TempDir;

use crate::netns::Netns;
use crate::process::Process;
use crate::require::find;
use crate::wait;

/// A redis-server, killed on drop.
#[derive(Debug)]
pub struct Redis<'a> {
    /// Where it listens.
    pub address: SocketAddr,
    /// The process.
    pub process: Process,
    ns: &'a Netns,
    dir: TempDir,
    lives: usize,
}

impl<'a> Redis<'a> {
    /// Starts one, empty, for the user `lb` with the password `secret` and the rights that
    /// the documentation names, and for anybody in this namespace.
    pub fn start(ns: &'a Netns, address: SocketAddr) -> Self {
        let dir = TempDir::new().expect("temporary directory");
        let process = run(ns, address, &dir, 0);
        let redis = Self {
            address,
            process,
            ns,
            dir,
            lives: 1,
        };
        redis.wait_up();
        redis
    }

    /// Starts it again after its death; it is empty then.
    pub fn start_again(&mut self) {
        assert!(self.process.ended().is_some(), "it is still there");
        self.process = run(self.ns, self.address, &self.dir, self.lives);
        self.lives += 1;
        self.wait_up();
    }

    /// What a balancer writes into its configuration.
    pub fn url(&self) -> String {
        format!("redis://lb:secret@{}/0", self.address)
    }

    /// Asks it something: the lines of a simple answer, joined.
    pub fn ask(&self, words: &[&str]) -> String {
        self.try_ask(words)
            .unwrap_or_else(|e| panic!("redis: {words:?}: {e}"))
    }

    fn try_ask(&self, words: &[&str]) -> std::io::Result<String> {
        let mut stream = self.ns.connect(self.address)?;
        stream.set_read_timeout(Some(Duration::from_secs(10)))?;
        let mut request = format!("*{}\r\n", words.len());
        for word in words {
            request += &format!("${}\r\n{word}\r\n", word.len());
        }
        stream.write_all(request.as_bytes())?;
        answer(&mut BufReader::new(stream))
    }

    fn wait_up(&self) {
        wait::for_true("redis should answer", Duration::from_secs(10), || {
            self.try_ask(&["PING"]).is_ok_and(|pong| pong == "PONG")
        });
    }
}

/// Reads an answer (RESP2) as text.
fn answer(reader: &mut BufReader<TcpStream>) -> std::io::Result<String> {
    let mut line = String::new();
    reader.read_line(&mut line)?;
    let (kind, rest) = line.trim_end().split_at(1);
    match (kind, rest.parse::<i64>()) {
        ("$", Ok(length @ 0..)) => {
            let mut bytes = vec![0; length as usize + 2];
            reader.read_exact(&mut bytes)?;
            bytes.truncate(length as usize);
            Ok(String::from_utf8_lossy(&bytes).into_owned())
        }
        ("*", Ok(count @ 0..)) => {
            let items: std::io::Result<Vec<_>> = (0..count).map(|_| answer(reader)).collect();
            Ok(items?.join("\n"))
        }
        _ => Ok(rest.to_owned()),
    }
}

fn run(ns: &Netns, address: SocketAddr, dir: &TempDir, lives: usize) -> Process {
    let mut command = ns.command(find("redis-server").expect("redis-server"));
    command.args(["--bind", &address.ip().to_string()]);
    command.args(["--port", &address.port().to_string()]);
    command.args(["--save", "", "--appendonly", "no"]);
    command.arg("--dir").arg(dir.path());
    command.arg("--user").args(RIGHTS.split(' '));
    Process::start(&format!("redis-{lives}"), dir.path(), &mut command)
}

/// As in `docs/sharing.md`.
pub const RIGHTS: &str = "lb on >secret ~mqtt-lb/* &mqtt-lb/* +get +set +mget +scan +hget +hset \
                          +hgetall +pexpire +publish +subscribe +evalsha +script|load +ping +hello \
                          +select";
