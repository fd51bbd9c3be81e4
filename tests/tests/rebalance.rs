//! A node is out and back, and one is added: who is where afterwards, how long it takes,
//! and how many move per second. HAProxy with the published recipe beside it.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use mqtt_lb_tests::brokers::fake::FakeBroker;
use mqtt_lb_tests::haproxy::Haproxy;
use mqtt_lb_tests::lb::{self, DataPath, Lb};
use mqtt_lb_tests::mqtt::Client;
use mqtt_lb_tests::netns::Netns;
use mqtt_lb_tests::require::{Need, met, say};
use mqtt_lb_tests::solo::{FRONT, backend, place};
use mqtt_lb_tests::wait;

const NEEDS: &[Need] = &[Need::Root, Need::Program("ip"), Need::Program("haproxy")];
const IDS: usize = 90;
const RATE: usize = 20;
/// What may come at once, beside the rate.
const BURST: usize = RATE / 5;
const SKEW: f64 = 1.1;
const POOL: &str = "balance = \"roundrobin\"\nproxy_protocol = \"v2\"\n\
    [pool.brokers.stick]\n\
    [pool.brokers.rebalance]\nrate = 20\nmax_moved = 0.5\nskew = 1.1\nsettle = \"1s\"\n\
    [pool.brokers.health]\ninterval = \"500ms\"\ntimeout = \"500ms\"\nfall = 2\nrise = 1\n";
/// Time in which whoever moves nobody has the occasion to move everybody.
const IDLE: Duration = Duration::from_secs(6);
const PATIENCE: Duration = Duration::from_secs(60);

/// One of the two.
enum Balancer<'a> {
    Ours(Lb<'a>),
    Haproxy(Haproxy),
}

impl Balancer<'_> {
    fn is_up(&self, server: &str) -> bool {
        match self {
            Self::Ours(lb) => {
                lb.metrics()
                    .sum("mqttlb_backend_up", &[("backend", server)])
                    == 1.0
            }
            Self::Haproxy(haproxy) => haproxy.is_up(server),
        }
    }

    fn wait(&self, server: &str, up: bool) {
        let what = format!("{server} should be {}", if up { "up" } else { "down" });
        wait::for_true(&what, PATIENCE, || self.is_up(server) == up);
    }

    /// Adds the fourth server.
    fn add(&self) {
        match self {
            Self::Ours(lb) => {
                lb.write_config(&lb::config(FRONT, POOL, &[1, 2, 3, 4].map(backend)));
                assert_eq!(lb.reload(), "ok");
            }
            Self::Haproxy(haproxy) => {
                let add = format!("add server brokers/b4 {} check send-proxy-v2", backend(4));
                let answer = haproxy.command(&add);
                assert!(answer.contains("New server registered"), "{answer}");
                haproxy.command("enable health brokers/b4");
                haproxy.command("enable server brokers/b4");
            }
        }
        self.wait("b4", true);
    }
}

type Places = BTreeMap<String, usize>;

/// The brokers, of which some come and go.
struct Site<'a> {
    ns: &'a Netns,
    brokers: Vec<FakeBroker>,
}

impl<'a> Site<'a> {
    fn new(ns: &'a Netns) -> Self {
        let mut site = Self {
            ns,
            brokers: Vec::new(),
        };
        (0..3).for_each(|_| site.start_one());
        site
    }

    fn start_one(&mut self) {
        let next = backend(self.brokers.len() as u8 + 1);
        self.brokers.push(FakeBroker::start(self.ns, next));
    }

    /// Where a client comes to.
    fn place(&self, id: &str) -> usize {
        self.client(id).1
    }

    /// The same, and it stays.
    fn client(&self, id: &str) -> (Client, usize) {
        place(self.ns, &self.brokers, id)
    }

    /// All clients connect, one after the other.
    fn connect(&self) -> Places {
        let ids = (0..IDS).map(|n| format!("client-{n}"));
        ids.map(|id| (id.clone(), self.place(&id))).collect()
    }
}

fn shares(places: &Places, brokers: usize) -> Vec<usize> {
    let on = |n| places.values().filter(|place| **place == n).count();
    (1..=brokers).map(on).collect()
}

/// The largest share over the mean, or the mean over the smallest.
fn skew(shares: &[usize]) -> f64 {
    let mean = shares.iter().sum::<usize>() as f64 / shares.len() as f64;
    let most = *shares.iter().max().expect("a share") as f64;
    let least = *shares.iter().min().expect("a share") as f64;
    (most / mean).max(mean / least.max(1.0))
}

/// What happened while all clients reconnected again and again.
#[derive(Debug)]
struct Watch {
    before: Places,
    after: Places,
    moved: usize,
    /// From the start, with the time to settle.
    time: Duration,
    /// From the first move to the last.
    moving: Duration,
}

impl Watch {
    /// Watches until `done`, or for `longest`.
    fn until(
        site: &Site<'_>,
        before: &Places,
        begin: Instant,
        longest: Duration,
        done: impl Fn(&Places) -> bool,
    ) -> Self {
        let mut after = before.clone();
        let mut moves = Vec::new();
        while !done(&after) && begin.elapsed() < longest {
            for id in before.keys() {
                let place = site.place(id);
                if after.insert(id.clone(), place) != Some(place) {
                    moves.push(begin.elapsed());
                }
            }
        }
        let moving = moves.last().zip(moves.first());
        Self {
            before: before.clone(),
            after,
            moved: moves.len(),
            time: moves.last().copied().unwrap_or_default(),
            moving: moving.map_or(Duration::ZERO, |(last, first)| *last - *first),
        }
    }

    fn say(&self, who: &str, what: &str, brokers: usize) {
        let [before, after] = [&self.before, &self.after].map(|p| shares(p, brokers));
        let rate = self.moved as f64 / self.moving.as_secs_f64().max(0.001);
        let rate = if self.moved > 0 { rate } else { 0.0 };
        say(&format!(
            "{who}, {what}: {} of {IDS} moved in {:.1} s ({rate:.1}/s); ids {before:?} -> \
             {after:?}, skew {:.2} -> {:.2}",
            self.moved,
            self.time.as_secs_f64(),
            skew(&before),
            skew(&after),
        ));
    }
}

/// The third broker is out and back; then a fourth one is added.
fn run(ns: &Netns, balancer: &Balancer<'_>, who: &str) -> [Watch; 2] {
    let mut site = Site::new(ns);
    let ours = matches!(balancer, Balancer::Ours(_));
    let longest = if ours { PATIENCE } else { IDLE };
    (1..=3).for_each(|n| balancer.wait(&format!("b{n}"), true));
    let first = site.connect();
    assert_eq!(shares(&first, 3), [IDS / 3; 3], "{who}");

    site.brokers.pop();
    balancer.wait("b3", false);
    let away = site.connect();
    assert_eq!(shares(&away, 3)[2], 0, "{who}");
    let begin = Instant::now();
    site.start_one();
    balancer.wait("b3", true);
    let back = Watch::until(&site, &away, begin, longest, |now| *now == first);
    back.say(who, "a node out and back", 3);

    let begin = Instant::now();
    site.start_one();
    balancer.add();
    let even = |now: &Places| skew(&shares(now, 4)) <= SKEW;
    let added = Watch::until(&site, &back.after, begin, longest, even);
    added.say(who, "a node added", 4);
    let mut news = (0..8).map(|n| site.place(&format!("new-{n}")));
    assert!(
        news.any(|place| place == 4),
        "{who}: the fourth takes clients"
    );
    [back, added]
}

#[test]
fn ids_go_home_and_over_at_the_rate_and_with_haproxy_nobody_does() {
    if !met(NEEDS) {
        return;
    }
    let backends = [1, 2, 3].map(backend);
    let ns = Netns::new("rebalance");
    let lb = Lb::start(&ns, DataPath::Copy, &lb::config(FRONT, POOL, &backends));
    let [back, added] = run(&ns, &Balancer::Ours(lb), "mqtt-lb");
    assert_eq!(
        back.moved,
        IDS / 3,
        "who was away comes home, and nobody else moves"
    );
    assert_eq!(shares(&back.after, 3), [IDS / 3; 3]);
    assert!(skew(&shares(&added.after, 4)) <= SKEW);
    assert!(added.moved <= IDS / 2, "max_moved");
    for watch in [&back, &added] {
        let most = (watch.time.as_secs_f64() * RATE as f64) as usize + BURST + 1;
        assert!(watch.moved <= most, "{watch:?}");
    }

    let ns = Netns::new("rebalance");
    let haproxy = Haproxy::start(&ns, FRONT, &backends);
    let [back, added] = run(&ns, &Balancer::Haproxy(haproxy), "HAProxy");
    assert_eq!((back.moved, added.moved), (0, 0), "HAProxy moves nobody");
}

/// A client that stays, and comes back when its connection ends.
struct Resident {
    id: String,
    client: Client,
    places: Vec<usize>,
}

impl Resident {
    fn new(site: &Site<'_>, id: String) -> Self {
        let (client, place) = site.client(&id);
        let places = vec![place];
        Self { id, client, places }
    }

    fn place(&self) -> usize {
        *self.places.last().expect("a place")
    }

    /// Comes back if it has been cut off.
    fn look(&mut self, site: &Site<'_>) {
        let stream = self.client.stream();
        stream.set_nonblocking(true).expect("set_nonblocking");
        let peek = stream.peek(&mut [0]);
        stream.set_nonblocking(false).expect("set_nonblocking");
        let open = peek.is_err_and(|e| e.kind() == std::io::ErrorKind::WouldBlock);
        if !open {
            let (client, place) = site.client(&self.id);
            self.client = client;
            self.places.push(place);
        }
    }
}

/// Looks after all clients until they are as they should be.
fn follow(
    site: &Site<'_>,
    residents: &mut [Resident],
    what: &str,
    mut done: impl FnMut(&mut [Resident]) -> bool,
) {
    wait::for_true(what, PATIENCE, || {
        residents
            .iter_mut()
            .for_each(|resident| resident.look(site));
        done(residents)
    });
}

#[test]
fn idle_connections_are_ended_so_that_their_ids_go_home() {
    let needs = [NEEDS, &[Need::Bpf]].concat();
    if !met(&needs) {
        return;
    }
    for path in DataPath::PURE {
        let ns = Netns::new("idle");
        let idle = POOL.replace("rate = 20", "rate = 5\nclose_idle = true\nidle = \"2s\"");
        let backends = [1, 2, 3].map(backend);
        let lb = Lb::start(&ns, path, &lb::config(FRONT, &idle, &backends));
        let lb = Balancer::Ours(lb);
        let mut site = Site::new(&ns);
        (1..=3).for_each(|n| lb.wait(&format!("b{n}"), true));
        let ids = (0..12).map(|n| format!("{path:?}-{n}"));
        let mut residents: Vec<_> = ids.map(|id| Resident::new(&site, id)).collect();
        site.brokers.pop();
        let moved = |all: &mut [Resident]| all.iter().all(|r| r.place() != 3);
        follow(&site, &mut residents, "all should have left", moved);
        lb.wait("b3", false);
        site.start_one();
        let begin = Instant::now();
        // One of them is never silent, and not cut off.
        let away = |r: &&mut Resident| r.places[0] == 3;
        let busy = residents
            .iter_mut()
            .find(away)
            .expect("one from there")
            .id
            .clone();
        let home = |all: &mut [Resident]| {
            let (busy, mut others): (Vec<_>, Vec<_>) = all.iter_mut().partition(|r| r.id == busy);
            for resident in busy {
                resident.client.ping().expect("the busy one");
            }
            others.iter_mut().all(|r| r.place() == r.places[0])
        };
        follow(&site, &mut residents, "who was silent should be home", home);
        let time = begin.elapsed();
        for resident in &residents {
            let stations = match resident.places[0] {
                3 if resident.id != busy => 3,
                3 => 2,
                _ => 1,
            };
            assert_eq!(resident.places.len(), stations, "{:?}", resident.places);
        }
        let silent = |all: &mut [Resident]| all.iter().all(|r| r.place() == r.places[0]);
        follow(
            &site,
            &mut residents,
            "who falls silent should be home",
            silent,
        );
        let Balancer::Ours(lb) = lb else {
            unreachable!()
        };
        let closed = lb
            .metrics()
            .sum("mqttlb_rebalance_moves_total", &[("kind", "closed")]);
        let moved = lb
            .metrics()
            .sum("mqttlb_rebalance_moves_total", &[("kind", "home")]);
        assert_eq!((closed, moved), (4.0, 4.0));
        wait::for_true("the log should say why", PATIENCE, || {
            let ended =
                |line: &&str| line.contains("end=rebalanced") && line.contains(path.label());
            lb.log().lines().filter(ended).count() == 4
        });
        let time = time.as_secs_f64();
        say(&format!(
            "{path:?}: 3 silent clients home in {time:.1} s, a busy one later"
        ));
    }
}
