//! Looks after the flows without sockets: notices their ends, counts their bytes, ends
//! those that somebody wants ended.

use std::sync::Arc;
use std::time::{Duration, Instant};

use mqtt_lb_ebpf::splice_slot::{Note, SpliceSlot, seen, state};
use tokio::time::{MissedTickBehavior, interval};

use super::judge::{ending, judge, newest};
use super::resets::{Step, segments};
use super::residents::{Found, id, slot_of};
use super::{Splice, note, slots};
use crate::datapath::{Fate, Memo, Resident, Residents, Standing};

/// Time between two steps of flows that are being reset.
const STEP: Duration = Duration::from_millis(200);
/// Steps between two looks at all flows.
const LOOK: u32 = 5;
/// Slots looked at without a pause.
const PAGE: u32 = 4096;

impl Splice {
    /// Looks after the flows for ever. Needs a tokio runtime with time.
    pub async fn run(self: Arc<Self>) {
        let mut ticks = interval(STEP);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        for round in 0u32.. {
            ticks.tick().await;
            self.step_resets();
            if round.is_multiple_of(LOOK) {
                self.look().await;
                self.kernel.refresh_interfaces();
            }
        }
    }

    /// Takes in the flows that another process has left: `resident` makes what this
    /// process knows of one. Answers how many there were.
    pub fn adopt(&self, mut resident: impl FnMut(&Memo) -> Box<dyn Resident>) -> usize {
        self.registry().adopt(|slot| resident(&self.memo(slot)))
    }

    /// Ends every flow, and waits until both sides know.
    pub async fn drop_flows(&self) {
        let mut from = Some(0);
        while let Some(start) = from {
            let (flows, next) = Residents::page(self, start, PAGE);
            flows
                .iter()
                .for_each(|flow| self.end_now(flow.id, Fate::Shutdown));
            from = next;
        }
        while !self.resets.is_idle() {
            tokio::time::sleep(STEP).await;
        }
    }

    /// Begins to reset a flow.
    pub(super) fn end_now(&self, id: u64, fate: Fate) {
        if self.resets.begin(id, fate) {
            self.tell(id);
        }
    }

    /// The flow in `slot` is over: its client has come back from the same address and
    /// port.
    pub(super) fn replace(&self, slot: u32) {
        let now = slots::read(self.kernel.slots(), slot);
        let Some(flow) = self.registry().get(slot, &now) else {
            return;
        };
        let fate = ending(&now).map(|(fate, _)| fate);
        if fate.is_none() {
            let [_, backend] = segments(&flow.corners, &now);
            self.raw.send(&backend);
        }
        self.conclude(&flow, &now, fate.unwrap_or(Fate::Replaced));
    }

    fn step_resets(&self) {
        for (id, step) in self.resets.steps() {
            match step {
                Step::Tell => self.tell(id),
                Step::Over(fate) => {
                    let now = slots::read(self.kernel.slots(), slot_of(id));
                    let flow = self.registry().get(slot_of(id), &now);
                    if let Some(flow) = flow.filter(|flow| flow.id() == id) {
                        self.conclude(&flow, &now, fate);
                    }
                }
            }
        }
    }

    /// Resets both sides, as far as they have acknowledged the stream.
    fn tell(&self, id: u64) {
        let now = slots::read(self.kernel.slots(), slot_of(id));
        let flow = self.registry().get(slot_of(id), &now);
        if let Some(flow) = flow.filter(|flow| flow.id() == id) {
            for segment in segments(&flow.corners, &now) {
                self.raw.send(&segment);
            }
        }
    }

    async fn look(&self) {
        let mut living = [0; 2];
        let mut took = Duration::ZERO;
        let mut from = Some(0);
        while let Some(start) = from {
            let begin = Instant::now();
            let (page, next) = self.registry().page(start, PAGE);
            for slot in page {
                for (sum, bytes) in living.iter_mut().zip(self.look_at(slot)) {
                    *sum += bytes;
                }
            }
            from = next;
            took += begin.elapsed();
            tokio::task::yield_now().await;
        }
        self.metrics.sweep.set(took.as_secs_f64());
        let [up, down] = self.registry().account(living);
        self.metrics.bytes.up.inc_by(up);
        self.metrics.bytes.down.inc_by(down);
    }

    /// Ends the flow when it is over; its bytes otherwise.
    fn look_at(&self, slot: u32) -> [u64; 2] {
        let now = slots::read(self.kernel.slots(), slot);
        let bytes = [now.lanes[0].bytes, now.lanes[1].bytes];
        let keepalive = self.note(slot, &now).map_or(0, |note| note.keepalive);
        match judge(&now, keepalive, self.idle_timeout, slots::now_s()) {
            None => bytes,
            Some(Fate::Idle) => {
                // Whoever believes in it still will learn better.
                self.end_now(id(slot, now.generation), Fate::Idle);
                bytes
            }
            Some(fate) => {
                let flow = self.registry().get(slot, &now);
                if let Some(flow) = flow {
                    self.conclude(&flow, &now, fate);
                    return [0; 2];
                }
                bytes
            }
        }
    }

    /// Forgets a flow: what comes now is the stack's to refuse.
    fn conclude(&self, flow: &Found, last: &SpliceSlot, fate: Fate) {
        let bytes = [last.lanes[0].bytes, last.lanes[1].bytes];
        let Some(resident) = self.registry().remove(flow.id(), bytes) else {
            return;
        };
        self.withdraw(&flow.corners);
        slots::set_state(self.kernel.slots(), flow.slot, state::FREE);
        let standing = self.standing(flow, last);
        self.pool().release(flow.slot, Instant::now());
        let (source, backend) = (flow.corners.source(), flow.corners.backend());
        self.sources.give_back(source, backend);
        resident.ended(fate, &standing);
    }

    fn standing(&self, flow: &Found, now: &SpliceSlot) -> Standing {
        let idle = slots::now_s().saturating_sub(newest(now));
        Standing {
            id: flow.id(),
            client: flow.corners.client(),
            backend: flow.corners.backend(),
            memo: self.memo(flow.slot),
            up: now.lanes[0].bytes,
            down: now.lanes[1].bytes,
            idle: Duration::from_secs(idle.into()),
            closing: closing(now),
        }
    }

    fn memo(&self, slot: u32) -> Memo {
        let now = slots::read(self.kernel.slots(), slot);
        let note = self.note(slot, &now);
        note.as_ref().map_or_else(Memo::default, note::unpack)
    }

    /// What was noted of the flow; `None` when nobody came to it.
    fn note(&self, slot: u32, now: &SpliceSlot) -> Option<Note> {
        let note = slots::note(self.kernel.notes(), slot);
        (note.generation == now.generation).then_some(note)
    }
}

fn closing(now: &SpliceSlot) -> bool {
    (now.seen[0] | now.seen[1]) & (seen::FIN | seen::RST) != 0
}

impl Residents for Splice {
    fn page(&self, from: u32, most: u32) -> (Vec<Standing>, Option<u32>) {
        let (page, next) = self.registry().page(from, most);
        let standing = |slot: u32| {
            let now = slots::read(self.kernel.slots(), slot);
            let flow = self.registry().get(slot, &now)?;
            Some(self.standing(&flow, &now))
        };
        (page.into_iter().filter_map(standing).collect(), next)
    }

    fn of_backend(&self, tag: u32) -> Vec<u64> {
        let (slots, _) = self.registry().page(0, u32::MAX);
        let mut flows = Vec::new();
        for slot in slots {
            let now = slots::read(self.kernel.slots(), slot);
            if self
                .note(slot, &now)
                .is_some_and(|note| note.backend == tag)
            {
                flows.push(id(slot, now.generation));
            }
        }
        flows
    }

    fn end(&self, id: u64, fate: Fate) {
        self.end_now(id, fate);
    }

    fn closing(&self, id: u64) -> bool {
        let now = slots::read(self.kernel.slots(), slot_of(id));
        self::id(slot_of(id), now.generation) != id || now.state != state::FORWARD || closing(&now)
    }

    fn count(&self) -> usize {
        self.registry().count()
    }
}
