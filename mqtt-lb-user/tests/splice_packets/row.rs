//! A row of a table: a packet of a flow, and what has to become of both.

use mqtt_lb_ebpf::splice_slot::SpliceSlot;
use mqtt_lb_ebpf::splice_stat::Stat;

use crate::bench::{Bench, Hook, Verdict, bench, now};
use crate::compare;
use crate::flow::Flow;
use crate::layers::Layers;
use crate::oracle::{Arrival, Now, Tcp, expect};
use crate::packet::Segment;
use crate::prog_run::Skb;

/// One packet about to be sent, which a row changes to what it is about.
pub struct Shot {
    /// The flow.
    pub flow: Flow,
    /// Direction the packet arrives in.
    pub d: usize,
    /// The program.
    pub hook: Hook,
    /// The slot before.
    pub slot: SpliceSlot,
    /// The packet: a bare ACK until the row changes it.
    pub segment: Segment,
    /// Used in place of the segment's frame.
    pub frame: Option<Vec<u8>>,
    /// What comes with it.
    pub skb: Skb,
    /// The time.
    pub now: Now,
}

/// What became of it.
pub struct Hit {
    /// What was sent.
    pub shot: Shot,
    /// Where it went.
    pub verdict: Verdict,
    /// The packet as it was.
    pub input: Vec<u8>,
    /// The packet as it is.
    pub output: Vec<u8>,
    /// The slot as it is.
    pub after: SpliceSlot,
}

impl Hit {
    /// The TCP header that came.
    pub fn came(&self) -> Tcp {
        Tcp::of(&self.input, &Layers::of(&self.input).expect("IP")).expect("TCP")
    }

    /// The TCP header that left.
    pub fn left(&self) -> Tcp {
        Tcp::of(&self.output, &Layers::of(&self.output).expect("IP")).expect("TCP")
    }
}

/// Which shots a row is fired in.
#[derive(Debug, Clone, Copy, Default)]
pub struct Only {
    /// One program.
    pub hook: Option<Hook>,
    /// One address family.
    pub family: Option<u8>,
}

/// A row.
pub struct Row<'a> {
    /// What it is about.
    pub name: &'a str,
    /// Where it applies; everywhere by default.
    pub only: Only,
    /// Makes the packet and the slot.
    pub set: &'a dyn Fn(&mut Shot),
    /// What becomes of the packet. `Forward` stands for `Back` as well.
    pub verdict: Verdict,
    /// Counters that go up by one, in the order of their numbers.
    pub stats: &'a [Stat],
    /// What else has to hold.
    pub then: &'a dyn Fn(&Hit),
}

impl<'a> Row<'a> {
    /// A row of which every packet is forwarded.
    pub fn forwards(name: &'a str, set: &'a dyn Fn(&mut Shot)) -> Self {
        Self {
            name,
            only: Only::default(),
            set,
            verdict: Verdict::Forward,
            stats: &[Stat::Forwarded],
            then: &|_| {},
        }
    }

    /// A row of which every packet goes to the stack.
    pub fn passes(name: &'a str, stats: &'a [Stat], set: &'a dyn Fn(&mut Shot)) -> Self {
        Self {
            verdict: Verdict::Pass,
            stats,
            ..Self::forwards(name, set)
        }
    }

    /// A row of which every packet is dropped.
    pub fn drops(name: &'a str, stats: &'a [Stat], set: &'a dyn Fn(&mut Shot)) -> Self {
        Self {
            verdict: Verdict::Drop,
            stats,
            ..Self::forwards(name, set)
        }
    }

    /// The same, with something else to hold.
    pub fn then(self, then: &'a dyn Fn(&Hit)) -> Self {
        Self { then, ..self }
    }

    /// The same, counting something else.
    pub fn counts(self, stats: &'a [Stat]) -> Self {
        Self { stats, ..self }
    }

    /// The same, with one program only.
    pub fn hook(self, hook: Hook) -> Self {
        Self {
            only: Only {
                hook: Some(hook),
                ..self.only
            },
            ..self
        }
    }

    /// The same, with one address family only.
    pub fn family(self, family: u8) -> Self {
        Self {
            only: Only {
                family: Some(family),
                ..self.only
            },
            ..self
        }
    }

    fn fire(&self, bench: &mut Bench, hook: Hook, family: u8, d: usize) {
        let name = format!("{} ({hook:?}, IPv{family}, direction {d})", self.name);
        let guarded = std::panic::AssertUnwindSafe(|| {
            let mut shot = Shot::new(bench, hook, family, d);
            (self.set)(&mut shot);
            let before = bench.stats();
            let hit = shot.check(bench);
            let counted: Vec<_> = Stat::ALL
                .into_iter()
                .zip(bench.stats().into_iter().zip(before))
                .flat_map(|(stat, (now, before))| (before..now).map(move |_| stat))
                .collect();
            let rough = match hit.verdict {
                Verdict::Back => Verdict::Forward,
                verdict => verdict,
            };
            assert_eq!(rough, self.verdict, "of {:02x?}", hit.input);
            assert_eq!(counted, self.stats, "counted");
            (self.then)(&hit);
        });
        if let Err(panic) = std::panic::catch_unwind(guarded) {
            crate::bench::say(&format!("in the row: {name}"));
            std::panic::resume_unwind(panic);
        }
    }
}

impl Shot {
    /// A bare ACK of a flow that is forwarded.
    pub fn new(bench: &Bench, hook: Hook, family: u8, d: usize) -> Self {
        let flow = bench.flow(family);
        let slot = flow.slot();
        let segment = flow.segment(&slot, d);
        let (skb, now) = (Skb::default(), now());
        Self {
            flow,
            d,
            hook,
            slot,
            segment,
            frame: None,
            skb,
            now,
        }
    }

    /// Sends it, and panics if what becomes of it is not what has to.
    pub fn check(self, bench: &mut Bench) -> Hit {
        let input = self.frame.clone().unwrap_or_else(|| self.segment.frame());
        let index = self.flow.index;
        bench.set_slot(index, self.slot);
        let arrival = Arrival {
            hook: self.hook,
            frame: &input,
            skb: self.skb,
            now: self.now,
        };
        let expected = expect(arrival, &bench.flows, |at| bench.slot(at as u32));
        let (verdict, output) = bench.run(self.hook, &input, self.skb);
        let output = output.to_vec();
        let after = bench.slot(index);
        let slots = expected.place.map(|_| (&self.slot, &after));
        if let Err(wrong) = compare::check(arrival, &expected, verdict, &output, slots) {
            panic!("{wrong}");
        }
        if expected.place.is_none() {
            assert_eq!(after, self.slot, "the slot of another flow");
        }
        Hit {
            shot: self,
            verdict,
            input,
            output,
            after,
        }
    }
}

/// Fires all rows: through both programs, over both families, in both directions.
pub fn fire(rows: &[Row<'_>]) {
    let Some(mut bench) = bench() else {
        return;
    };
    for row in rows {
        for hook in [Hook::Tcx, Hook::Xdp] {
            for family in [4, 6] {
                let wanted = row.only.hook.is_none_or(|only| only == hook)
                    && row.only.family.is_none_or(|only| only == family);
                if wanted {
                    row.fire(&mut bench, hook, family, 0);
                    row.fire(&mut bench, hook, family, 1);
                }
            }
        }
    }
}
