//! The proof of `ejabberd.rs` while a node is added, drained and killed: who is not moved
//! loses nothing, and nobody is moved but whom the balancer has to. `MQTT_LB_LONG` also
//! lets the killed node return; an ejabberd that was killed does not always take its
//! sessions over again then (0x80 to a session that another node still has), so that part
//! is for somebody who looks at it. `rebalance.rs` has the return in front of other brokers.

use std::io::Write;
use std::net::TcpStream;
use std::time::{Duration, Instant};

use mqtt_lb_tests::brokers::ejabberd::{Ejabberd, NEEDS};
use mqtt_lb_tests::lb::{DataPath, Lb, config};
use mqtt_lb_tests::mqtt::{Client, Connect};
use mqtt_lb_tests::netns::Netns;
use mqtt_lb_tests::require::{met, say};
use mqtt_lb_tests::size::long;
use mqtt_lb_tests::solo::{FRONT, backend};
use mqtt_lb_tests::wait;

const NODES: [u8; 3] = [1, 2, 3];
const SUBSCRIBERS: usize = 6;
const PATIENCE: Duration = Duration::from_secs(60);
const POOL: &str = "balance = \"roundrobin\"\nproxy_protocol = \"v2\"\n\
    [pool.brokers.stick]\n\
    [pool.brokers.rebalance]\nrate = 5\nmax_moved = 0.5\nsettle = \"1s\"\n\
    [pool.brokers.health]\ninterval = \"1s\"\ntimeout = \"1s\"\nfall = 2\nrise = 1\n";

fn login(id: &str, clean: bool) -> Connect<'_> {
    Connect {
        clean,
        login: Some(("user", b"any")),
        ..Connect::new(id)
    }
}

/// The cluster, and the balancer in front of it.
struct Site<'a> {
    ns: &'a Netns,
    cluster: Ejabberd<'a>,
    lb: Lb<'a>,
}

impl Site<'_> {
    fn wait(&self, node: u8, up: f64) {
        let name = format!("b{node}");
        let labels = [("backend", name.as_str())];
        self.lb
            .wait_metric("mqttlb_backend_up", &labels, PATIENCE, |now| now == up);
    }

    /// The node that has a connection, by the address in its own log.
    fn node_of(&self, client: &TcpStream) -> u8 {
        let address = client.local_addr().expect("address");
        let accepted = format!("Accepted proxied connection {address} ");
        wait::until("a node should log the client", PATIENCE, || {
            let mut nodes = NODES.into_iter();
            nodes.find(|node| self.cluster.log(usize::from(*node)).contains(&accepted))
        })
    }

    /// Publishes on a node, past the balancer.
    fn publish(&self, node: u8, topic: &str, payload: &[u8]) {
        let mut stream = self.ns.connect(backend(node)).expect("connect");
        stream
            .write_all(b"PROXY TCP4 127.0.0.1 127.0.0.1 1 1\r\n")
            .expect("PROXY header");
        let id = format!("publisher-{node}");
        let mut client = Client::connect(stream, &login(&id, true)).expect("publisher");
        client.publish(topic, 1, payload).expect("publish");
        client.disconnect().expect("disconnect");
    }
}

/// A persistent subscriber.
struct Subscriber {
    id: String,
    client: Client,
    node: u8,
}

impl Subscriber {
    fn new(site: &Site<'_>, id: String) -> Self {
        let stream = site.ns.connect(FRONT).expect("connect");
        let client = Client::connect(stream, &login(&id, false)).expect("subscriber");
        let node = site.node_of(client.stream());
        let mut new = Self { id, client, node };
        let topic = new.topic();
        new.client.subscribe(&topic, 1).expect("subscribe");
        new
    }

    fn topic(&self) -> String {
        format!("proof/{}", self.id)
    }

    /// Reconnects, and gets what is published where it was before; whether it has stayed.
    /// Who has been moved gets what is published on its new node.
    fn round(&mut self, site: &Site<'_>, payload: &[u8]) -> bool {
        let _ = self.client.stream().shutdown(std::net::Shutdown::Both);
        let (before, topic) = (self.node, self.topic());
        // ejabberd may refuse a session on its way between nodes, or end it at once.
        wait::until("the subscriber should be taken", PATIENCE, || {
            let stream = site.ns.connect(FRONT).ok()?;
            self.client = Client::connect(stream, &login(&self.id, false)).ok()?;
            self.node = site.node_of(self.client.stream());
            match self.node == before {
                true => Some(()),
                false => self.client.subscribe(&topic, 1).ok(),
            }
        });
        let stayed = before == self.node;
        site.publish(self.node, &topic, payload);
        let end = Instant::now() + Duration::from_secs(20);
        while let Ok(Some(got)) = self.client.message(end - Instant::now()) {
            if got == payload {
                return stayed;
            }
        }
        panic!(
            "{} on node {}, before on {before}: lost",
            self.id, self.node
        );
    }
}

/// All subscribers reconnect; how many were moved.
fn round(site: &Site<'_>, subscribers: &mut [Subscriber], what: &str) -> usize {
    let all = subscribers.iter_mut().enumerate();
    let stayed =
        all.filter_map(|(n, s)| s.round(site, format!("{what} {n}").as_bytes()).then_some(n));
    SUBSCRIBERS - stayed.count()
}

/// Rounds until so many have been moved, and one more, in which nobody is.
fn moved(site: &Site<'_>, subscribers: &mut [Subscriber], what: &str, wanted: usize) {
    let begin = Instant::now();
    let (mut moved, mut delivered) = (0, 0);
    while moved < wanted {
        assert!(begin.elapsed() < PATIENCE, "{what}: only {moved} moved");
        moved += round(site, subscribers, what);
        delivered += SUBSCRIBERS;
    }
    moved += round(site, subscribers, what);
    delivered += SUBSCRIBERS;
    assert_eq!(moved, wanted, "{what}");
    say(&format!(
        "  {what}: {moved} moved, {delivered} of {delivered} delivered"
    ));
}

#[test]
fn nothing_is_lost_while_nodes_come_and_go() {
    if !met(NEEDS) {
        return;
    }
    for path in [DataPath::Splice, DataPath::Copy] {
        let ns = Netns::new("moves");
        let cluster = Ejabberd::start(&ns, &NODES.map(backend));
        let lb = Lb::start(&ns, path, &config(FRONT, POOL, &[1, 2].map(backend)));
        let mut site = Site {
            ns: &ns,
            cluster,
            lb,
        };
        say(&format!("ejabberd ({path:?}):"));
        [1, 2].into_iter().for_each(|node| site.wait(node, 1.0));
        let ids = (0..SUBSCRIBERS).map(|n| format!("{path:?}-{n}"));
        let mut all: Vec<_> = ids.map(|id| Subscriber::new(&site, id)).collect();
        moved(&site, &mut all, "two nodes", 0);

        site.lb
            .write_config(&config(FRONT, POOL, &NODES.map(backend)));
        assert_eq!(site.lb.reload(), "ok");
        site.wait(3, 1.0);
        // Three and three become two, two and two.
        moved(&site, &mut all, "a third one added", 2);

        site.lb.admin_ok(&["backend", "drain", "brokers/b2"]);
        moved(&site, &mut all, "the second one drained", 0);
        site.lb.admin_ok(&["backend", "ready", "brokers/b2"]);

        let home: Vec<u8> = all.iter().map(|s| s.node).collect();
        site.cluster.kill(3);
        site.wait(3, 0.0);
        moved(&site, &mut all, "the third one killed", 2);
        if !long() {
            continue;
        }
        site.cluster.start_again(3);
        site.wait(3, 1.0);
        moved(&site, &mut all, "the third one back", 2);
        let now: Vec<u8> = all.iter().map(|s| s.node).collect();
        assert_eq!(now, home, "everybody is where it was");
    }
}
