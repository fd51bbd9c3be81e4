//! What the tests of the splice path share: a configuration, and questions to
//! the program about its spliced flows.

use std::net::{SocketAddr, TcpListener};
use std::time::Duration;

use crate::lab::{BACKEND, BACKEND6, FRONT, FRONT6, Lab, Layout};
use crate::lb::{self, DataPath, Lb};
use crate::metrics::Scrape;
use crate::require::{Need, say};

/// What it takes to run them.
pub const NEEDS: &[Need] = &[Need::Root, Need::Bpf, Need::Program("ip")];

/// Port of the listener.
pub const PORT: u16 = 1883;
/// Port of the backend.
pub const BROKER: u16 = 1001;

/// The listener's address in a lab.
pub fn front(six: bool) -> SocketAddr {
    (if six { FRONT6 } else { FRONT }, PORT).into()
}

/// The backend's address in a lab.
pub fn broker(six: bool) -> SocketAddr {
    (if six { BACKEND6 } else { BACKEND }, BROKER).into()
}

/// One listener, one backend behind a PROXY header, no health checks.
pub fn config(six: bool) -> String {
    let pool = "proxy_protocol = \"v2\"\n[pool.brokers.health]\ntype = \"off\"\n";
    lb::config(front(six), pool, &[broker(six)])
}

/// Flows that are spliced now.
pub fn spliced(lb: &Lb<'_>) -> f64 {
    let labels = [("path", "splice")];
    lb.metrics().sum("mqttlb_datapath_flows", &labels)
}

/// Waits until that many flows are spliced.
pub fn wait_spliced(lb: &Lb<'_>, count: usize, within: Duration) {
    let labels = [("path", "splice")];
    let there = |flows: f64| flows == count as f64;
    lb.wait_metric("mqttlb_datapath_flows", &labels, within, there);
}

/// Handovers to the splice path so far, adopted flows not counted.
pub fn handovers(scrape: &Scrape) -> f64 {
    let labels = [("path", "splice"), ("reason", "quiet")];
    scrape.sum("mqttlb_datapath_moves_total", &labels)
}

/// Refusals of the splice path so far, by reason; those that are not zero.
pub fn refusals(scrape: &Scrape) -> Vec<(String, f64)> {
    let name = "mqttlb_datapath_refused_total";
    let reasons = scrape.by_label(name, "reason");
    let mine = reasons.into_iter().filter_map(|(reason, _)| {
        let count = scrape.sum(name, &[("path", "splice"), ("reason", reason)]);
        (count > 0.0).then(|| (reason.to_owned(), count))
    });
    let mut found: Vec<_> = mine.collect();
    found.dedup();
    found
}

/// A verdict of the programs, counted.
pub fn packets(scrape: &Scrape, verdict: &str) -> f64 {
    scrape.sum("mqttlb_splice_packets_total", &[("verdict", verdict)])
}

/// Prints how long the gates were shut and what was lost there.
pub fn say_handovers(scrape: &Scrape) {
    let name = "mqttlb_splice_handover_seconds_bucket";
    let total = scrape.sum("mqttlb_splice_handover_seconds_count", &[]);
    let mut below = 0.0;
    let mut line = String::new();
    for (bound, count) in scrape.by_label(name, "le") {
        if count > below {
            line += &format!(" <={bound}s:{}", count - below);
            below = count;
        }
    }
    say(&format!(
        "  {total} handovers;{line}; {} packets held, refused {:?}",
        packets(scrape, "held"),
        refusals(scrape)
    ));
}

/// A line of `mqtt-lb flows list`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// The data path.
    pub path: String,
    /// The client's address.
    pub client: String,
    /// The backend.
    pub backend: String,
    /// The client id.
    pub id: String,
    /// Bytes from client to backend.
    pub up: u64,
    /// Bytes from backend to client.
    pub down: u64,
}

/// The flows that the program lists.
pub fn list(lb: &Lb<'_>) -> Vec<Listed> {
    let text = lb.admin_ok(&["flows", "list"]);
    let mut lines = text.lines();
    let head = lines.next().unwrap_or_default();
    let names: Vec<_> = head.trim_start_matches('#').split_whitespace().collect();
    lines
        .map(|line| {
            let words: Vec<_> = line.split_whitespace().collect();
            let word = |name: &str| {
                let at = names.iter().position(|n| *n == name);
                let at = at.unwrap_or_else(|| panic!("no column {name}: {head}"));
                words.get(at).copied().unwrap_or_default().to_owned()
            };
            let count = |name: &str| word(name).parse().unwrap_or_else(|_| panic!("{line}"));
            Listed {
                path: word("path"),
                client: word("client"),
                backend: word("backend"),
                id: word("id"),
                up: count("up_bytes"),
                down: count("down_bytes"),
            }
        })
        .collect()
}

/// Two arms on good wires, as the path wants them.
pub fn lab(path: DataPath) -> Lab {
    Lab::build(&Layout {
        xdp: path == DataPath::Xdp,
        ..Layout::default()
    })
}

/// A listening broker and the balancer in front of it, over IPv4.
pub fn setup(lab: &Lab, path: DataPath) -> (TcpListener, Lb<'_>) {
    let listener = lab.backend.listen(broker(false));
    let lb = Lb::start(&lab.lb, path, &config(false));
    (listener, lb)
}
