//! The life of a flow between CONNECT and its end: copied, handed over to a
//! faster path, given back, until one side is done.

use std::future::{Future as _, poll_fn};
use std::io;
use std::os::fd::AsFd;
use std::pin::pin;
use std::task::{Poll, ready};
use std::time::{Duration, Instant};

use tokio::net::TcpStream;
use tokio::sync::watch;
use tracing::debug;

use super::abort;
use super::dial::Reached;
use super::record::Record;
use super::shared::Shared;
use super::sniff::Rest;
use super::watch::Watched;
use crate::config::{Config, PathKind};
use crate::datapath::copy::{Exit, Outcome, Pump, Settings};
use crate::datapath::{Directions, OnPath, Policy, Refusal, Return, Side};
use crate::session::End;

/// A client and the backend that has its CONNECT.
pub(super) struct Routed {
    /// The backend and the connection to it.
    pub(super) reached: Reached,
    /// Bytes of the client that have been written to it.
    pub(super) sniffed: u64,
    /// What of a long CONNECT has yet to come.
    pub(super) rest: Option<Rest>,
    /// What is left to it of the time for its CONNACK.
    pub(super) connack: Duration,
}

/// Relays until the flow is over.
pub(super) async fn relay(
    client: TcpStream,
    routed: Routed,
    config: &Config,
    shared: &Shared,
    record: &mut Record,
) -> End {
    let Reached {
        stream,
        lease,
        written,
        ..
    } = routed.reached;
    let mut flow = Flow {
        dirs: Directions::default(),
        policy: Policy::new(shared.paths.policy(), Instant::now()),
        watched: Watched::new(routed.connack, routed.rest, &shared.metrics),
        settings: Settings {
            buffer: config.limits.copy_buffer,
            drain: config.timeouts.drain,
        },
        stop: shared.stop.clone(),
    };
    flow.dirs.up.read = routed.sniffed;
    flow.dirs.up.written = written;
    let pump = Pump::new(client, stream, flow.settings);
    let end = flow.run(pump, shared, record).await;
    drop(lease);
    flow.watched.account(&flow.dirs);
    record.connack(flow.watched.connack());
    record.bytes(flow.dirs.up.total(), flow.dirs.down.total());
    end.unwrap_or_else(|error| {
        debug!("registering the sockets of a flow: {error}");
        End::ClientAborted
    })
}

struct Flow {
    dirs: Directions,
    policy: Policy,
    watched: Watched,
    settings: Settings,
    stop: watch::Receiver<bool>,
}

impl Flow {
    async fn run(
        &mut self,
        mut pump: Pump,
        shared: &Shared,
        record: &mut Record,
    ) -> io::Result<End> {
        let mut place = OnPath::start(&shared.paths);
        let mut offload = shared.paths.flow();
        loop {
            match self.copy(&mut pump).await {
                Ok(Exit::Quiet) => {}
                Ok(Exit::Over(outcome)) => return Ok(self.over(pump, outcome).await),
                Err(end) => {
                    self.cut(pump.socket(Side::Client), pump.socket(Side::Backend));
                    return Ok(end);
                }
            }
            let (Some(path), Some(kind)) = (&mut offload, shared.paths.offload_kind()) else {
                continue;
            };
            let ends = pump.into_ends()?;
            match path.enter(&ends, &mut self.dirs) {
                Ok(()) => {
                    place.move_to(kind, "quiet");
                    record.path(kind);
                    self.watched.account(&self.dirs);
                    let back = tokio::select! {
                        reason = poll_fn(|cx| path.poll_return(cx)) => Some(reason),
                        _ = self.stop.wait_for(|stop| *stop) => None,
                    };
                    path.leave(&ends, &mut self.dirs);
                    let Some(reason) = back else {
                        self.cut(&ends.client, &ends.backend);
                        return Ok(End::Shutdown);
                    };
                    place.move_to(PathKind::Copy, reason.reason());
                    if reason != Return::Closing {
                        record.path(PathKind::Copy);
                    }
                    self.policy.returned(Instant::now());
                }
                Err(refusal) => {
                    shared.paths.refused(refusal.reason());
                    self.refused(refusal);
                }
            }
            self.watched.account(&self.dirs);
            pump = Pump::resume(ends, self.settings)?;
        }
    }

    fn refused(&mut self, refusal: Refusal) {
        match refusal {
            Refusal::NotQuiet => self.policy.not_quiet(Instant::now()),
            Refusal::TableFull => self.policy.refused(Instant::now()),
            Refusal::NotEstablished | Refusal::Kernel => self.policy.give_up(),
        }
    }

    /// Copies until the flow is quiet or over; `Err` when it has to end early.
    async fn copy(&mut self, pump: &mut Pump) -> Result<Exit, End> {
        let mut stop = self.stop.clone();
        let mut alarm = pin!(tokio::time::sleep(Duration::ZERO));
        let copying = poll_fn(|cx| {
            loop {
                let now = Instant::now();
                if let Some(end) = self.watched.overdue(now) {
                    return Poll::Ready(Err(end));
                }
                self.policy.tick(now);
                let poll = pump.poll(cx, &mut self.dirs, &mut self.policy, &mut self.watched);
                self.watched.account(&self.dirs);
                if let Poll::Ready(exit) = poll {
                    return Poll::Ready(Ok(exit));
                }
                let wake = [
                    self.policy.next_tick(),
                    self.watched.next_deadline(),
                    pump.next_look(&self.dirs).map(|pause| now + pause),
                ];
                let Some(at) = wake.into_iter().flatten().min() else {
                    return Poll::Pending;
                };
                if alarm.deadline() != at.into() {
                    alarm.as_mut().reset(at.into());
                }
                ready!(alarm.as_mut().poll(cx));
            }
        });
        tokio::select! {
            exit = copying => exit,
            _ = stop.wait_for(|stop| *stop) => Err(End::Shutdown),
        }
    }

    async fn over(&mut self, pump: Pump, outcome: Outcome) -> End {
        match outcome {
            Outcome::Closed(Side::Client) => End::ClientClosed,
            Outcome::Closed(Side::Backend) => End::BackendClosed,
            Outcome::Aborted(side) => {
                abort::pass_on(pump, &mut self.dirs, side, self.settings.drain).await;
                match side {
                    Side::Client => End::ClientAborted,
                    Side::Backend => End::BackendAborted,
                }
            }
            Outcome::Stalled(_) => {
                self.cut(pump.socket(Side::Client), pump.socket(Side::Backend));
                End::DrainTimeout
            }
            Outcome::Overrun => {
                self.cut(pump.socket(Side::Client), pump.socket(Side::Backend));
                End::Overrun
            }
        }
    }

    /// Before the sockets are closed early: a side that is owed bytes gets a reset,
    /// lest it take the cut stream for a whole one.
    fn cut(&self, client: &impl AsFd, backend: &impl AsFd) {
        if self.dirs.up.owes() {
            abort::reset(backend);
        }
        if self.dirs.down.owes() {
            abort::reset(client);
        }
    }
}
