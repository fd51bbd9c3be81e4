//! Keeps the pools' tables and Redis in step, on the control thread.

use std::convert::Infallible;
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use redis::RedisResult;
use tokio::sync::{Notify, watch};
use tokio::time::sleep;
use tracing::{info, warn};

use super::inbox::{self, Inbox, News};
use super::member::Member;
use super::redis::Connection;
use super::replica::STEP;
use super::version::{Anchor, Clock};
use crate::backend::{Pool, Pools};
use crate::config::Share;
use crate::metrics::Metrics;

/// Waits between two tries to reach Redis: the first, and the longest.
const FIRST_WAIT: Duration = Duration::from_millis(100);
const LONGEST_WAIT: Duration = Duration::from_secs(2);
/// Time between two questions whether an idle connection still answers.
const PING: Duration = Duration::from_secs(1);

/// The `[share]` section as of the last reload.
pub type Settings = watch::Receiver<Option<Share>>;

/// Shares the tables of all pools that want it until the future is dropped. `filled` becomes
/// true once what Redis knew has been read, or there is nothing to share.
pub async fn run(
    pools: Arc<Pools>,
    mut settings: Settings,
    metrics: Arc<Metrics>,
    filled: watch::Sender<bool>,
) {
    let node = RandomState::new().hash_one(std::process::id()) as u16;
    let mut changes = pools.changes();
    loop {
        let plan = Plan::look(&pools, &mut settings);
        let work = async {
            let Some(share) = plan.share.as_ref().filter(|_| !plan.pools.is_empty()) else {
                filled.send_replace(true);
                return std::future::pending().await;
            };
            let members = plan.pools.iter().map(|pool| {
                Member::new(pool.clone(), &share.prefix, metrics.share_pool(&pool.name))
            });
            let mut sharing = Sharing {
                share,
                node,
                members: members.collect(),
                wake: Arc::new(Notify::new()),
                filled: &filled,
                changes: pools.changes(),
                metrics: &metrics,
            };
            sharing.keep_connected().await
        };
        tokio::select! {
            never = work => match never {},
            () = plan.outdated(&pools, &mut changes, &mut settings) => {}
        }
        metrics.share_connected.set(0);
        plan.end();
    }
}

/// What is to be shared, and through which server.
struct Plan {
    share: Option<Share>,
    pools: Vec<Arc<Pool>>,
}

impl Plan {
    fn look(pools: &Pools, settings: &mut Settings) -> Self {
        let share = settings.borrow_and_update().clone();
        let mut pools = pools.all();
        pools.retain(|pool| pool.settings().shared);
        Self { share, pools }
    }

    /// Waits until a reload has changed it.
    async fn outdated(
        &self,
        pools: &Pools,
        changes: &mut watch::Receiver<()>,
        settings: &mut Settings,
    ) {
        loop {
            // Neither sender goes away while this runs.
            tokio::select! {
                _ = changes.changed() => {}
                _ = settings.changed() => {}
            }
            let new = Self::look(pools, settings);
            let same = self.pools.len() == new.pools.len()
                && self
                    .pools
                    .iter()
                    .zip(&new.pools)
                    .all(|(a, b)| Arc::ptr_eq(a, b));
            if !same || self.share != new.share {
                return;
            }
        }
    }

    /// The tables stop taking notes; what is shared goes on with the next plan.
    fn end(&self) {
        for pool in &self.pools {
            if self.share.is_none() || !pool.settings().shared {
                pool.with_table(|table| table.stop_sharing());
            }
        }
    }
}

/// The pools that are shared, while the plan holds.
struct Sharing<'a> {
    share: &'a Share,
    node: u16,
    members: Vec<Member>,
    wake: Arc<Notify>,
    filled: &'a watch::Sender<bool>,
    changes: watch::Receiver<()>,
    metrics: &'a Metrics,
}

impl Sharing<'_> {
    async fn keep_connected(&mut self) -> Infallible {
        let mut wait = FIRST_WAIT;
        let mut told = false;
        loop {
            self.take_notes();
            let (letterbox, mut inbox) = inbox::new(self.share.queue);
            let channels = self.members.iter().map(|member| member.keys.channel());
            let error = match Connection::open(self.share, channels, letterbox).await {
                Ok(mut connection) => {
                    info!("share: connected to {}", self.share.redis);
                    self.metrics.share_connected.set(1);
                    (wait, told) = (FIRST_WAIT, false);
                    match self.serve(&mut connection, &mut inbox).await {
                        Err(error) => error,
                        Ok(never) => match never {},
                    }
                }
                Err(error) => error,
            };
            self.metrics.share_connected.set(0);
            if !std::mem::replace(&mut told, true) {
                warn!(
                    "share: {}: {error}; clients are routed by the local tables, trying again",
                    self.share.redis
                );
            }
            for member in &mut self.members {
                member.lost();
            }
            sleep(wait).await;
            wait = (wait * 2).min(LONGEST_WAIT);
        }
    }

    /// Makes every table take notes, also one that a reload has replaced, by the wall clock of
    /// now.
    fn take_notes(&self) {
        for member in &self.members {
            let wake = Arc::clone(&self.wake);
            let clock = Clock::new(anchor(), self.node);
            member.start_sharing(clock, self.share.queue, move || wake.notify_one());
        }
    }

    /// Talks until the connection fails.
    async fn serve(
        &mut self,
        connection: &mut Connection,
        inbox: &mut Inbox,
    ) -> RedisResult<Infallible> {
        loop {
            let mut idle = true;
            for _ in 0..STEP {
                let Some(news) = inbox.take() else { break };
                self.hear(news)?;
                idle = false;
            }
            if inbox.take_lost() {
                self.members.iter_mut().for_each(Member::missed);
            }
            for member in &mut self.members {
                if let Some(request) = member.next() {
                    let answer = connection.ask(&member.keys, &request).await?;
                    member.answered(&request, answer);
                    idle = false;
                }
                member.report();
            }
            if self.members.iter().all(Member::is_filled) {
                self.filled
                    .send_if_modified(|filled| !std::mem::replace(filled, true));
            }
            if idle {
                tokio::select! {
                    news = inbox.ready() => self.hear(news)?,
                    () = self.wake.notified() => {}
                    // A new backend may be one that others have named before; a new table is
                    // empty.
                    _ = self.changes.changed() => {
                        self.take_notes();
                        self.members.iter_mut().for_each(Member::missed);
                    }
                    () = sleep(PING) => connection.ping().await?,
                }
            }
        }
    }

    fn hear(&mut self, news: News) -> RedisResult<()> {
        match news {
            News::Message(channel, text) => {
                let named = |member: &&mut Member| member.keys.channel().as_bytes() == channel;
                if let Some(member) = self.members.iter_mut().find(named) {
                    member.heard(&text);
                }
                Ok(())
            }
            News::Closed => Err(std::io::Error::from(std::io::ErrorKind::ConnectionReset).into()),
        }
    }
}

fn anchor() -> Anchor {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    Anchor {
        at: Instant::now(),
        unix_millis: since.map_or(0, |since| since.as_millis() as u64),
    }
}
