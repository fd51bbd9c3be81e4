//! Lets many threads work and rest together.

use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Condvar, Mutex};

/// When clients work. Those that rest sleep: they must not cost anything.
#[derive(Debug, Default)]
pub struct Gate {
    open: AtomicBool,
    over: AtomicBool,
    lock: Mutex<()>,
    changed: Condvar,
}

impl Gate {
    /// Lets them work.
    pub fn open(&self) {
        self.set(&self.open, true);
    }

    /// Lets them rest.
    pub fn close(&self) {
        self.set(&self.open, false);
    }

    /// Lets them go.
    pub fn end(&self) {
        self.set(&self.over, true);
    }

    /// Whether they may work on.
    pub fn is_open(&self) -> bool {
        self.open.load(Relaxed)
    }

    fn set(&self, switch: &AtomicBool, on: bool) {
        let _locked = self.lock.lock().expect("the gate");
        switch.store(on, Relaxed);
        self.changed.notify_all();
    }

    /// Waits until it opens; false when it never will.
    pub fn pass(&self) -> bool {
        let locked = self.lock.lock().expect("the gate");
        let closed = |_: &mut ()| !self.open.load(Relaxed) && !self.over.load(Relaxed);
        let _locked = self.changed.wait_while(locked, closed).expect("the gate");
        !self.over.load(Relaxed)
    }
}
