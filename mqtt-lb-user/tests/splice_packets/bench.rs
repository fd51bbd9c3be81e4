//! The test bench: programs, maps with two kinds of flows, one packet at a time.

use std::io;
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use mqtt_lb_ebpf::splice_slot::SpliceSlot;
use mqtt_lb_ebpf::splice_stat::Stat;

use crate::flow::Flow;
use crate::load::{FLOWS, Loaded};
use crate::oracle::Now;
use crate::prog_run::{self, Skb};

/// Port whose SYNs lose their ECN bits: that of the flows' front.
pub const LISTENER: u16 = 1883;

/// Which program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hook {
    /// `mqtt_lb_tcx`.
    Tcx,
    /// `mqtt_lb_xdp`.
    Xdp,
}

/// What became of a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verdict {
    /// To the stack.
    Pass,
    /// Away.
    Drop,
    /// Out of the interface it came in.
    Back,
    /// Out of another interface; all that a classifier's return code tells.
    Forward,
}

/// One bench for the process: a load takes a second.
pub struct Bench {
    /// Programs and maps.
    pub loaded: Loaded,
    /// Flows over both families, alternating.
    pub flows: Vec<Flow>,
    output: Vec<u8>,
}

/// The bench, alone; `None` (and a line that says SKIPPED) where BPF is not to be had.
pub fn bench() -> Option<MutexGuard<'static, Bench>> {
    static BENCH: OnceLock<Option<Mutex<Bench>>> = OnceLock::new();
    if is_missing() {
        return None;
    }
    let bench = BENCH.get_or_init(|| match Bench::new() {
        Ok(bench) => Some(Mutex::new(bench)),
        Err(error) => {
            say(&format!("{error:#}"));
            None
        }
    });
    let bench = bench.as_ref().expect("the programs to load");
    // A test that panicked leaves nothing behind that the next one does not set itself.
    Some(bench.lock().unwrap_or_else(PoisonError::into_inner))
}

/// Whether BPF is not to be had; then a line says SKIPPED.
fn is_missing() -> bool {
    let Some(reason) = Loaded::missing() else {
        return false;
    };
    let test = std::thread::current().name().unwrap_or("test").to_owned();
    assert!(
        std::env::var_os("MQTT_LB_NO_SKIP").is_none(),
        "{test}: {reason}, and MQTT_LB_NO_SKIP is set"
    );
    say(&format!("SKIPPED: {test}: {reason}"));
    true
}

/// Prints a line that the test runner does not swallow when the test passes.
pub fn say(line: &str) {
    use std::io::Write as _;
    let _ = std::io::stderr().write_all(format!("{line}\n").as_bytes());
}

impl Bench {
    /// A bench of one's own, to change what the others rely on.
    pub fn alone() -> Option<Self> {
        (!is_missing()).then(|| Self::new().expect("the programs to load"))
    }

    fn new() -> anyhow::Result<Self> {
        let mut loaded = Loaded::load()?;
        let flows: Vec<_> = (0..FLOWS)
            .map(|index| Flow::new(index, if index % 2 == 0 { 4 } else { 6 }))
            .collect();
        for flow in &flows {
            match flow.family {
                4 => flow
                    .keys4()
                    .into_iter()
                    .for_each(|(key, place)| loaded.insert4(key, place)),
                _ => flow
                    .keys6()
                    .into_iter()
                    .for_each(|(key, place)| loaded.insert6(key, place)),
            }
        }
        loaded.listen(LISTENER);
        Ok(Self {
            loaded,
            flows,
            output: Vec::new(),
        })
    }

    /// A flow of a family.
    pub fn flow(&self, family: u8) -> Flow {
        self.flows[usize::from(family == 6)].clone()
    }

    /// A slot as it is.
    pub fn slot(&self, index: u32) -> SpliceSlot {
        self.loaded.slot(index)
    }

    /// Overwrites a slot.
    pub fn set_slot(&self, index: u32, slot: SpliceSlot) {
        self.loaded.set_slot(index, slot);
    }

    /// The index.
    pub fn keys(&self) -> Vec<String> {
        self.loaded.keys()
    }

    /// All counters.
    pub fn stats(&self) -> [u64; Stat::ALL.len()] {
        self.loaded.stats()
    }

    /// Runs a packet that arrives on `lo`; the packet afterwards.
    pub fn run(&mut self, hook: Hook, frame: &[u8], skb: Skb) -> (Verdict, &[u8]) {
        self.try_run(hook, frame, skb)
            .unwrap_or_else(|error| panic!("{hook:?}: {error}: {frame:02x?}"))
    }

    /// The same, where the kernel may refuse to make a packet of so few bytes.
    pub fn try_run(&mut self, hook: Hook, frame: &[u8], skb: Skb) -> io::Result<(Verdict, &[u8])> {
        let program = match hook {
            Hook::Tcx => self.loaded.classifier("mqtt_lb_tcx"),
            Hook::Xdp => self.loaded.xdp(),
        };
        let context = (hook == Hook::Tcx).then_some(skb);
        let code = prog_run::run(program, frame, context, 0, &mut self.output)?;
        let verdict = match (hook, code) {
            (Hook::Tcx, -1) | (Hook::Xdp, 2) => Verdict::Pass,
            (Hook::Tcx, 2) | (Hook::Xdp, 1) => Verdict::Drop,
            (Hook::Tcx, 7) | (Hook::Xdp, 4) => Verdict::Forward,
            (Hook::Xdp, 3) => Verdict::Back,
            _ => panic!("{hook:?} returned {code}"),
        };
        Ok((verdict, &self.output))
    }

    /// Runs a packet through a classifier as from a device that has summed it.
    /// The error is `EBADMSG` if the sum is not that of the packet any more.
    pub fn run_summed(&mut self, frame: &[u8]) -> io::Result<i32> {
        let program = self.loaded.classifier("mqtt_lb_tcx");
        let flags = prog_run::CHECKSUM_COMPLETE;
        prog_run::run(
            program,
            frame,
            Some(Skb::default()),
            flags,
            &mut self.output,
        )
    }

    /// Runs a packet through the SYN editor.
    pub fn run_editor(&mut self, frame: &[u8], mark: u32) -> (i32, &[u8]) {
        self.try_run_editor(frame, mark)
            .unwrap_or_else(|error| panic!("the SYN editor: {error}"))
    }

    /// The same, where the kernel may refuse to make a packet of so few bytes.
    pub fn try_run_editor(&mut self, frame: &[u8], mark: u32) -> io::Result<(i32, &[u8])> {
        let program = self.loaded.classifier("mqtt_lb_syn");
        let skb = Skb {
            mark,
            ..Skb::default()
        };
        let code = prog_run::run(program, frame, Some(skb), 0, &mut self.output)?;
        Ok((code, &self.output))
    }
}

/// CLOCK_MONOTONIC as the programs see it.
pub fn now() -> Now {
    let mut time = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: a valid place for the result.
    let result = unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &raw mut time) };
    assert_eq!(result, 0);
    let ms = time.tv_sec * 1000 + time.tv_nsec / 1_000_000;
    Now {
        s: time.tv_sec as u32,
        ms: ms as u32,
    }
}
