//! A narrow link: a token bucket (`tc`, `sch_tbf`) whose short queue refuses
//! what the sender's TCP hands to it too fast.

use std::io;
use std::process::Output;

use crate::netns::Netns;

/// 40 Mbit/s, and no more than 20 kB may wait.
const LINK: &str = "root tbf rate 40mbit burst 20k limit 20k";

/// A narrowed interface, for as long as its namespace lives.
#[derive(Debug)]
pub struct Shaper<'a> {
    ns: &'a Netns,
    interface: &'a str,
}

impl<'a> Shaper<'a> {
    /// Narrows what leaves the namespace by an interface.
    pub fn start(ns: &'a Netns, interface: &'a str) -> Self {
        let added = add(ns, interface).unwrap_or_else(|e| panic!("{interface}: {e}"));
        assert!(added.status.success(), "{interface}: {}", complaint(&added));
        Self { ns, interface }
    }

    /// Segments refused so far.
    pub fn refused(&self) -> u64 {
        let shown = tc(self.ns, &format!("-s qdisc show dev {}", self.interface)).expect("run tc");
        let text = String::from_utf8_lossy(&shown.stdout);
        let mut words = text.split_whitespace().skip_while(|w| *w != "(dropped");
        let count = words.nth(1).and_then(|w| w.trim_matches(',').parse().ok());
        count.unwrap_or_else(|| panic!("no count of drops: {text}"))
    }
}

/// Why this host cannot narrow a link.
pub fn missing() -> Option<String> {
    match add(&Netns::new("shaper"), "lo") {
        Ok(added) if added.status.success() => None,
        Ok(added) => Some(format!("no sch_tbf: tc says {:?}", complaint(&added))),
        Err(error) => Some(format!("tc (iproute2): {error}")),
    }
}

fn add(ns: &Netns, interface: &str) -> io::Result<Output> {
    tc(ns, &format!("qdisc add dev {interface} {LINK}"))
}

fn tc(ns: &Netns, words: &str) -> io::Result<Output> {
    ns.command("tc").args(words.split_whitespace()).output()
}

fn complaint(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).trim().to_owned()
}
