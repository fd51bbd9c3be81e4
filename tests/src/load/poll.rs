//! epoll, level-triggered.

use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::ptr;
use std::time::Duration;

const EVENTS: usize = 512;

/// What a descriptor is watched for.
#[derive(Debug, Clone, Copy)]
pub enum Interest {
    /// Something to read, or the end.
    Read,
    /// Room to write, or a connection made.
    Write,
}

/// A set of watched descriptors. A descriptor leaves it when it is closed.
#[derive(Debug)]
pub struct Poll {
    fd: OwnedFd,
    events: Vec<libc::epoll_event>,
}

impl Poll {
    /// An empty set.
    pub fn new() -> io::Result<Self> {
        // SAFETY: no pointers.
        let fd = answer(unsafe { libc::epoll_create1(libc::EPOLL_CLOEXEC) })?;
        Ok(Self {
            // SAFETY: the kernel has just made this descriptor for us.
            fd: unsafe { OwnedFd::from_raw_fd(fd) },
            events: vec![libc::epoll_event { events: 0, u64: 0 }; EVENTS],
        })
    }

    /// Watches a descriptor; `token` names it in [`Poll::wait`].
    pub fn add(&self, fd: &impl AsRawFd, token: usize, interest: Interest) -> io::Result<()> {
        self.control(libc::EPOLL_CTL_ADD, fd, token, interest)
    }

    /// Watches a descriptor of the set for something else.
    pub fn change(&self, fd: &impl AsRawFd, token: usize, interest: Interest) -> io::Result<()> {
        self.control(libc::EPOLL_CTL_MOD, fd, token, interest)
    }

    fn control(
        &self,
        operation: i32,
        fd: &impl AsRawFd,
        token: usize,
        interest: Interest,
    ) -> io::Result<()> {
        let events = match interest {
            Interest::Read => libc::EPOLLIN,
            Interest::Write => libc::EPOLLOUT,
        };
        let mut event = libc::epoll_event {
            events: events as u32,
            u64: token as u64,
        };
        // SAFETY: the event lives through the call.
        let done =
            unsafe { libc::epoll_ctl(self.fd.as_raw_fd(), operation, fd.as_raw_fd(), &mut event) };
        answer(done).map(drop)
    }

    /// Waits until some are ready, at most so long; their tokens are in `ready`.
    pub fn wait(&mut self, at_most: Option<Duration>, ready: &mut Vec<usize>) -> io::Result<()> {
        let time = at_most.map(|time| libc::timespec {
            tv_sec: time.as_secs() as libc::time_t,
            tv_nsec: time.subsec_nanos().into(),
        });
        let time = time.as_ref().map_or(ptr::null(), ptr::from_ref);
        // epoll_wait would round up to a millisecond, which is too coarse for a pace.
        // SAFETY: the events and the time live through the call, no signal mask is given.
        let count = unsafe {
            libc::syscall(
                libc::SYS_epoll_pwait2,
                self.fd.as_raw_fd(),
                self.events.as_mut_ptr(),
                EVENTS as i32,
                time,
                ptr::null::<libc::sigset_t>(),
                0usize,
            )
        };
        let count = answer(count as i32)?;
        ready.clear();
        let events = self.events[..count as usize].iter();
        ready.extend(events.map(|event| event.u64 as usize));
        Ok(())
    }
}

fn answer(result: i32) -> io::Result<i32> {
    if result < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(result)
}
