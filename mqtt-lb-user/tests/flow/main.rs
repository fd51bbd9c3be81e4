//! One connection's life through the balancer, over loopback and the copy path:
//! everything between accept and the session's log line, in this process.

mod accept;
mod bytes;
mod closing;
mod connect;
mod drain;
mod ends;
mod failover;
mod lb;
mod log;
mod refusal;
mod replay;
mod replay_limits;
mod reset;
#[path = "../backend/segments.rs"]
mod segments;
mod slow;
