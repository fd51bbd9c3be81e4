//! One read buffer per thread, shared by all flows of the thread.

use std::cell::RefCell;

thread_local! {
    static SCRATCH: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// Lends the thread's scratch buffer, `size` bytes long.
///
/// # Panics
/// When called from within `run`.
pub fn with_scratch<R>(size: usize, run: impl FnOnce(&mut [u8]) -> R) -> R {
    SCRATCH.with(|scratch| {
        let mut scratch = scratch.borrow_mut();
        if scratch.len() < size {
            scratch.resize(size, 0);
        }
        run(&mut scratch[..size])
    })
}
