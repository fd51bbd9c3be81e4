//! How the watcher wakes one flow.

use std::sync::Mutex;
use std::task::{Context, Poll, Waker};

use crate::datapath::Return;

/// At most one reason to come back, and who waits for it.
#[derive(Debug, Default)]
pub struct Signal(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    reason: Option<Return>,
    waker: Option<Waker>,
}

impl Signal {
    /// Gives the flow a reason to come back; the first one stays.
    pub fn raise(&self, reason: Return) {
        let waker = {
            let mut state = self.0.lock().expect("signal");
            state.reason.get_or_insert(reason);
            state.waker.take()
        };
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// Forgets a reason of an earlier stay in the kernel.
    pub fn clear(&self) {
        *self.0.lock().expect("signal") = State::default();
    }

    /// Ready with the reason, once there is one.
    pub fn poll(&self, cx: &mut Context<'_>) -> Poll<Return> {
        let mut state = self.0.lock().expect("signal");
        match state.reason {
            Some(reason) => Poll::Ready(reason),
            None => {
                state.waker = Some(cx.waker().clone());
                Poll::Pending
            }
        }
    }
}
