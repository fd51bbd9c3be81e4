//! The life of a flow between CONNECT and its end: copied, handed over to a
//! faster path, given back, until one side is done.

use std::future::{Future as _, poll_fn};
use std::io;
use std::net::SocketAddr;
use std::os::fd::AsFd;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Poll, ready};
use std::time::{Duration, Instant};

use tokio::net::TcpStream;
use tokio::sync::watch;
use tracing::debug;

use super::abort;
use super::assigned::Nameless;
use super::dial::Reached;
use super::live::LiveFlow;
use super::record::Record;
use super::shared::Shared;
use super::sniff::Rest;
use super::visitor::Visitor;
use super::watch::Watched;
use crate::backend::{Lease, Pool};
use crate::config::{Config, PathKind};
use crate::datapath::copy::{Exit, Outcome, Pump, Settings};
use crate::datapath::tcp;
use crate::datapath::{Departure, Directions, Ends, Entry, Offers, OnPath, Return, Side};
use crate::ids::Number;
use crate::session::End;

/// A client and the backend that has its CONNECT.
pub(super) struct Routed {
    /// The backend and the connection to it.
    pub(super) reached: Reached,
    /// The client id.
    pub(super) client_id: Vec<u8>,
    /// Bytes of the client that have been written to it.
    pub(super) sniffed: u64,
    /// What of a long CONNECT has yet to come.
    pub(super) rest: Option<Rest>,
    /// What is left to it of the time for its CONNACK.
    pub(super) connack: Duration,
    /// The client as its id counts.
    pub(super) visitor: Visitor,
}

/// How relaying ended.
pub(super) enum Relayed {
    /// The flow is over.
    Over(End),
    /// It goes on without this process.
    Gone(Gone),
}

/// A flow that a path has taken for good.
pub(super) struct Gone {
    /// The path's side of it.
    pub(super) departure: Box<dyn Departure>,
    /// The sockets it leaves behind.
    pub(super) ends: Ends,
    /// Its place on the backend.
    pub(super) lease: Lease,
    /// Its client id.
    pub(super) id: Option<Number>,
}

/// Relays until the flow is over, or needs no sockets.
pub(super) async fn relay(
    client: TcpStream,
    peer: SocketAddr,
    routed: Routed,
    config: &Config,
    shared: &Shared,
    record: &mut Record,
) -> Relayed {
    let Reached {
        stream,
        offers,
        lease,
        written,
        ..
    } = routed.reached;
    let backend = lease.backend();
    let live = LiveFlow::new(
        peer,
        backend.address(),
        backend.tag,
        &routed.client_id,
        record.started(),
    );
    let entered = shared.live.enter(live);
    let pool = shared.pools.get(&backend.pool);
    let nameless = pool.clone().filter(|_| routed.client_id.is_empty());
    let nameless = nameless.map(|pool| Nameless {
        pool,
        backend: backend.clone(),
        live: entered.flow.clone(),
    });
    let mut flow = Flow {
        dirs: Directions::default(),
        offers,
        watched: Watched::new(
            routed.connack,
            routed.rest,
            routed.visitor,
            nameless,
            &shared.metrics,
        ),
        settings: Settings {
            buffer: config.limits.copy_buffer,
            drain: config.timeouts.drain,
        },
        stop: shared.stop.clone(),
        live: entered.flow.clone(),
        pool,
    };
    flow.dirs.up.read = routed.sniffed;
    flow.dirs.up.written = written;
    let pump = Pump::new(client, stream, flow.settings);
    let run = flow.run(pump, shared, record).await;
    flow.account();
    record.connack(flow.watched.connack());
    if let Some(named) = flow.watched.named() {
        record.named(named);
    }
    record.bytes(flow.dirs.up.total(), flow.dirs.down.total());
    match run {
        Ok(Run::Over(end)) => Relayed::Over(end),
        Ok(Run::Dissolved(departure, ends)) => Relayed::Gone(Gone {
            departure,
            ends,
            lease,
            id: flow.watched.depart(),
        }),
        Err(error) => {
            debug!("registering the sockets of a flow: {error}");
            Relayed::Over(End::ClientAborted)
        }
    }
}

/// How a flow's run ended.
enum Run {
    Over(End),
    /// A path has taken it for good; these are its sockets.
    Dissolved(Box<dyn Departure>, Ends),
}

struct Flow {
    dirs: Directions,
    offers: Offers,
    watched: Watched,
    settings: Settings,
    stop: watch::Receiver<bool>,
    live: Arc<LiveFlow>,
    pool: Option<Arc<Pool>>,
}

impl Flow {
    async fn run(
        &mut self,
        mut pump: Pump,
        shared: &Shared,
        record: &mut Record,
    ) -> io::Result<Run> {
        let mut place = OnPath::start(&shared.paths);
        loop {
            match self.copy(&mut pump).await {
                Ok(Exit::Quiet) => {}
                Ok(Exit::Over(outcome)) => return Ok(Run::Over(self.over(pump, outcome).await)),
                Err(end) => {
                    self.cut(end, pump.socket(Side::Client), pump.socket(Side::Backend));
                    return Ok(Run::Over(end));
                }
            }
            let Some((kind, path)) = self.offers.current() else {
                continue;
            };
            let sockets = [Side::Client, Side::Backend].map(|side| pump.socket(side).as_fd());
            if !path.looks_quiet(sockets[0], sockets[1]) {
                self.offers.policy().not_quiet(Instant::now());
                continue;
            }
            let ends = pump.into_ends()?;
            match path.enter(&ends, &mut self.dirs) {
                Ok(Entry::Dissolved(departure)) => {
                    place.move_to(kind, "quiet");
                    place.stay();
                    return Ok(Run::Dissolved(departure, ends));
                }
                Ok(Entry::Parked) => {
                    place.move_to(kind, "quiet");
                    record.path(kind);
                    self.live.on_path(kind);
                    self.watched.account(&self.dirs);
                    let back = tokio::select! {
                        reason = poll_fn(|cx| path.poll_return(cx)) => Ok(reason),
                        _ = self.stop.wait_for(|stop| *stop) => Err(End::Shutdown),
                        end = condemned(&self.live, self.pool.as_deref(), &ends.client) => Err(end),
                    };
                    path.leave(&ends, &mut self.dirs);
                    let reason = match back {
                        Ok(reason) => reason,
                        Err(end) => {
                            self.cut(end, &ends.client, &ends.backend);
                            return Ok(Run::Over(end));
                        }
                    };
                    place.move_to(PathKind::Copy, reason.reason());
                    self.live.on_path(PathKind::Copy);
                    if reason != Return::Closing {
                        record.path(PathKind::Copy);
                    }
                    self.offers.policy().returned(Instant::now());
                }
                Err(refusal) => self.offers.refused(refusal),
            }
            self.account();
            pump = Pump::resume(ends, self.settings)?;
        }
    }

    fn account(&mut self) {
        self.watched.account(&self.dirs);
        self.live
            .account([self.dirs.up.total(), self.dirs.down.total()]);
    }

    /// Copies until the flow is quiet or over; `Err` when it has to end early.
    async fn copy(&mut self, pump: &mut Pump) -> Result<Exit, End> {
        let mut stop = self.stop.clone();
        let live = self.live.clone();
        let mut alarm = pin!(tokio::time::sleep(Duration::ZERO));
        let copying = poll_fn(|cx| {
            loop {
                let now = Instant::now();
                if let Some(end) = self.watched.overdue(now) {
                    return Poll::Ready(Err(end));
                }
                let policy = self.offers.policy();
                policy.tick(now);
                let poll = pump.poll(cx, &mut self.dirs, policy, &mut self.watched);
                self.account();
                if let Poll::Ready(exit) = poll {
                    return Poll::Ready(Ok(exit));
                }
                let wake = [
                    self.offers.policy().next_tick(),
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
            end = live.condemned() => Err(end),
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
                let end = End::DrainTimeout;
                self.cut(end, pump.socket(Side::Client), pump.socket(Side::Backend));
                end
            }
            Outcome::Overrun => {
                let end = End::Overrun;
                self.cut(end, pump.socket(Side::Client), pump.socket(Side::Backend));
                end
            }
        }
    }

    /// Before the sockets are closed early: a side that is owed bytes gets a reset,
    /// lest it take the cut stream for a whole one. So do both when somebody has ended
    /// the flow.
    fn cut(&self, end: End, client: &impl AsFd, backend: &impl AsFd) {
        let condemned = matches!(end, End::Killed | End::BackendDown | End::Rebalanced);
        if condemned || self.dirs.up.owes() {
            abort::reset(backend);
        }
        if condemned || self.dirs.down.owes() {
            abort::reset(client);
        }
    }
}

/// Waits until somebody ends a flow whose bytes only the kernel sees: whether it is idle,
/// its client's socket knows.
async fn condemned(live: &LiveFlow, pool: Option<&Pool>, client: &impl AsFd) -> End {
    loop {
        let end = live.condemned().await;
        if !live.is_spared(end, tcp::silence(client).ok()) {
            return end;
        }
        if let Some(pool) = pool {
            pool.spares(live.name());
        }
    }
}
