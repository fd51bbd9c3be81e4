//! Kill -9 at random moments under churn: only connections that were not spliced yet are
//! lost, and no byte is wrong.

use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::{Duration, Instant};

use mqtt_lb_tests::capture::{Seen, is_own};
use mqtt_lb_tests::impair::Impairment;
use mqtt_lb_tests::lab::Lab;
use mqtt_lb_tests::lb::{DataPath, Lb};
use mqtt_lb_tests::require::{met, say};
use mqtt_lb_tests::rng::Rng;
use mqtt_lb_tests::size::deadline;
use mqtt_lb_tests::splice::{self, NEEDS};
use mqtt_lb_tests::stream::broker::StreamBroker;
use mqtt_lb_tests::stream::end::End;
use mqtt_lb_tests::stream::plan::{Direction, Flow, Pace};
use mqtt_lb_tests::watchdog;

const STALL: Duration = Duration::from_secs(20);

/// What became of a client's flow.
struct Fate {
    address: SocketAddr,
    /// When it was connected, and when it was over: ports are used again.
    life: [Instant; 2],
    error: Option<String>,
}

impl Fate {
    /// Whether the balancer has forwarded anything to it without a socket.
    fn was_spliced(&self, seen: &[Seen]) -> bool {
        let [begin, end] = self.life;
        seen.iter()
            .filter(|(at, segment)| segment.to == self.address && (begin..=end).contains(at))
            .any(|(_, segment)| !is_own(segment))
    }
}

/// One flow after the other, refused connections tried again.
fn client(flows: &[Flow], next: &AtomicUsize, over: &AtomicUsize, fates: &Mutex<Vec<Fate>>) {
    while over.load(Relaxed) == 0 {
        let Some(flow) = flows.get(next.fetch_add(1, Relaxed)) else {
            return;
        };
        let stream = loop {
            let target = splice::front(false);
            match TcpStream::connect_timeout(&target, Duration::from_secs(2)) {
                Ok(stream) => break stream,
                Err(_) if over.load(Relaxed) == 0 => {}
                Err(_) => return,
            }
            std::thread::sleep(Duration::from_millis(20));
        };
        let address = stream.local_addr().expect("address");
        let begin = Instant::now();
        let end = End {
            stream: &stream,
            head: vec![flow.connect.clone()],
            send: &flow.up,
            expect_head: flow.connack(),
            received: Vec::new(),
            expect: &flow.down,
            stall: STALL,
        };
        let error = end.exchange().err();
        let fate = Fate {
            address,
            life: [begin, Instant::now()],
            error,
        };
        fates.lock().expect("fates").push(fate);
    }
}

fn brief(id: u32, rng: &mut Rng) -> Flow {
    let mut direction = || {
        let len = rng.within(&(1_000..60_000)) as u64;
        let mut direction = Direction::fast(rng.word(), len);
        direction.write = Pace {
            chunk: 100..4_000,
            every: 1,
            pause: Duration::from_millis(60),
            delay: rng.up_to(Duration::from_millis(400)),
        };
        direction
    };
    Flow::new(id, direction(), direction())
}

/// Whether an end's report speaks of bytes that should not be there.
fn is_damage(error: &str) -> bool {
    error.contains("wrong byte") || error.contains("not the expected packet")
}

#[test]
fn random_deaths_cost_only_flows_that_were_not_spliced() {
    if !met(NEEDS) {
        return;
    }
    watchdog::limit(deadline(Duration::from_secs(300)));
    let delay = Impairment {
        delay: Duration::from_millis(1),
        ..Impairment::default()
    };
    let lab = Lab::impaired(delay, 41);
    let mut rng = Rng::new(43);
    let flows: Arc<[_]> = (0..20_000).map(|id| brief(id, &mut rng)).collect();
    let broker = StreamBroker::start(&lab.backend, splice::broker(false), &flows, STALL);
    let mut lb = Lb::start(&lab.lb, DataPath::Splice, &splice::config(false));
    let [front, _back] = <[_; 2]>::try_from(lab.capture()).expect("two captures");
    let (next, over, fates) = (AtomicUsize::new(0), AtomicUsize::new(0), Mutex::new(vec![]));
    let deaths = 8;
    lab.client.run(|| {
        std::thread::scope(|scope| {
            for _ in 0..40 {
                scope.spawn(|| client(&flows, &next, &over, &fates));
            }
            for _ in 0..deaths {
                std::thread::sleep(Duration::from_millis(500) + rng.up_to(Duration::from_secs(1)));
                lb.process.kill();
                std::thread::sleep(rng.up_to(Duration::from_millis(300)));
                lb.start_again();
            }
            std::thread::sleep(Duration::from_millis(500));
            over.store(1, Relaxed);
        });
    });
    let fates = fates.into_inner().expect("fates");
    let seen = front.finish();
    let spliced = fates.iter().filter(|fate| fate.was_spliced(&seen)).count();
    let lost: Vec<_> = fates.iter().filter(|fate| fate.error.is_some()).collect();
    let text = |fate: &Fate| fate.error.clone().unwrap_or_default();
    let wrong: Vec<_> = lost
        .iter()
        .map(|f| text(f))
        .filter(|e| is_damage(e))
        .collect();
    let broken: Vec<_> = lost
        .iter()
        .filter(|fate| fate.was_spliced(&seen))
        .map(|fate| format!("{}: {}", fate.address, text(fate)))
        .collect();
    let ends = (0..flows.len() as u32).flat_map(|id| broker.ended(id));
    let wrong_up: Vec<_> = ends
        .filter_map(Result::err)
        .filter(|e| is_damage(e))
        .collect();
    say(&format!(
        "{deaths} deaths: {} flows, {} of them spliced, {} lost, {} of these spliced",
        fates.len(),
        spliced,
        lost.len(),
        broken.len()
    ));
    assert!(
        wrong.is_empty() && wrong_up.is_empty(),
        "{wrong:?} {wrong_up:?}"
    );
    if let Some(fate) = lost.iter().find(|fate| fate.was_spliced(&seen)) {
        let of = |(_, s): &&Seen| s.to == fate.address;
        let all: Vec<_> = seen.iter().filter(of).collect();
        let last = &all[all.len().saturating_sub(12)..];
        panic!(
            "spliced flows were lost: {broken:#?}\n{last:#?}\n{}",
            lb.log()
        );
    }
    assert!(
        spliced > 50 && !lost.is_empty(),
        "the test could not have failed"
    );
}
