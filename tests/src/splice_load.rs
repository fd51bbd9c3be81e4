//! Byte-exact streams through the splice path, on wires that damage everything.

use std::sync::Arc;
use std::time::Duration;

use crate::impair::Impairment;
use crate::lab::Lab;
use crate::lb::{DataPath, Lb};
use crate::stream::broker::StreamBroker;
use crate::stream::plan::{Direction, Flow};
use crate::{splice, stream};

/// Longest time without progress.
const STALL: Duration = Duration::from_secs(30);
/// Behind CONNACK: long enough to hand a flow over though packets are lost.
const QUIET: Duration = Duration::from_secs(1);

/// Every kind of damage.
pub fn bad() -> Impairment {
    Impairment {
        loss: 0.01,
        reorder: 0.02,
        reorder_by: Duration::from_millis(3),
        duplicate: 0.005,
        flip: 0.001,
        delay: Duration::from_millis(1),
        ..Impairment::default()
    }
}

fn quiet_first(mut flow: Flow) -> Flow {
    flow.up.write.delay = QUIET;
    flow.down.write.delay = QUIET;
    flow
}

/// `count` flows that send `bytes` each way in all, behind a quiet moment.
pub fn bulk(count: u32, bytes: u64) -> Vec<Flow> {
    let each = bytes / u64::from(count);
    (0..count)
        .map(|id| {
            let seed = u64::from(id) * 2;
            let (up, down) = (Direction::fast(seed, each), Direction::fast(seed + 1, each));
            quiet_first(Flow::new(id, up, down))
        })
        .collect()
}

/// Runs flows against one broker through a balancer of their own. Panics unless they
/// are handed over and all of them intact.
pub fn streams(what: &str, lab: &Lab, path: DataPath, six: bool, flows: Vec<Flow>) {
    let flows: Arc<[Flow]> = flows.into();
    let brokers = [StreamBroker::start(
        &lab.backend,
        splice::broker(six),
        &flows,
        STALL,
    )];
    let lb = Lb::start(&lab.lb, path, &splice::config(six));
    let report = stream::run(&lab.client, splice::front(six), &flows, &brokers, STALL);
    let scrape = lb.metrics();
    let (moved, refused) = (splice::handovers(&scrape), splice::refusals(&scrape));
    report.assert_intact(&format!(
        "{what} ({path:?}, {})",
        if six { "v6" } else { "v4" }
    ));
    splice::say_handovers(&scrape);
    // A SYN that is lost comes again after a second: then the client is no more quiet.
    let least = if lab.relays.is_empty() { 1.0 } else { 0.5 };
    let all = flows.len() as f64;
    assert!(
        moved >= least * all,
        "{moved} of {all} handed over; refused: {refused:?}"
    );
}
