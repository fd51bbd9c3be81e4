//! Starts sharing the stick tables, and gives it a moment before the first client.

use std::sync::Arc;

use tokio::sync::watch;
use tokio::time::timeout;
use tracing::warn;

use crate::flow::Shared;
use crate::share::{self, Settings};

/// Shares the tables from now on; waits until they are filled from Redis, but no longer than
/// `share.wait`: Redis must not keep a balancer from serving.
pub(super) async fn start(shared: &Shared, settings: Settings) {
    let wait = settings.borrow().as_ref().map(|share| share.wait);
    let (filled, mut filling) = watch::channel(false);
    tokio::spawn(share::run(
        Arc::clone(&shared.pools),
        settings,
        Arc::clone(&shared.metrics),
        filled,
    ));
    if let Some(wait) = wait {
        if timeout(wait, filling.wait_for(|filled| *filled))
            .await
            .is_err()
        {
            warn!("share: serving before everything has been read from Redis");
        }
    }
}
