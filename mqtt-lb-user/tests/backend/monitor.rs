//! The monitor: states follow the brokers, and checks follow reloads.

use std::io::Write;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use mqtt_lb_user::backend::{Backend, Pools, monitor};
use mqtt_lb_user::config::{CheckKind, Health, ProxyProtocol};
use mqtt_lb_user::metrics::Metrics;
use tracing::subscriber::DefaultGuard;

use crate::broker::{ACCEPTED, Broker, Seen, until};
use crate::settings::{FAST, config, pool};

/// Log lines of this thread.
#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl Lines {
    fn capture() -> (Self, DefaultGuard) {
        let lines = Self::default();
        let writer = lines.clone();
        let subscriber = tracing_subscriber::fmt()
            .with_writer(move || writer.clone())
            .with_ansi(false)
            .without_time()
            .with_target(false)
            .finish();
        (lines, tracing::subscriber::set_default(subscriber))
    }

    fn of(&self, what: &str) -> Vec<String> {
        let bytes = self.0.lock().unwrap();
        let text = String::from_utf8_lossy(&bytes);
        let lines = text.lines().filter(|line| line.contains(what));
        lines.map(|line| line.trim().to_owned()).collect()
    }
}

impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// Pool `p` with one backend per broker, named a, b, …, and a running monitor.
async fn start(health: Option<Health>, brokers: &[&Broker]) -> (Arc<Pools>, Vec<Arc<Backend>>) {
    let named: Vec<_> = ["a", "b", "c"]
        .into_iter()
        .zip(brokers.iter().map(|b| b.address))
        .collect();
    let config = config(&[("p", pool(health, &named))]);
    let pools = Arc::new(Pools::new(&config, &Arc::new(Metrics::new())));
    tokio::spawn(monitor::run(Arc::clone(&pools)));
    let backends = pools.get("p").unwrap().backends();
    (pools, backends.to_vec())
}

#[tokio::test]
async fn states_follow_the_brokers_and_are_told_once() {
    let (lines, _guard) = Lines::capture();
    let broker = Broker::start(Some(ACCEPTED)).await;
    let (_pools, backends) = start(Some(FAST), &[&broker]).await;
    until("two good checks", || broker.ended() >= 2).await;
    assert!(backends[0].is_up());

    let address = broker.address;
    for seen in broker.all() {
        assert!(seen.first.starts_with(b"\r\n\r\n\0\r\nQUIT\n"));
        assert_eq!((seen.segments, seen.fin), (1, true));
    }
    drop(broker);
    until("DOWN", || !backends[0].is_up()).await;
    tokio::time::sleep(5 * FAST.interval).await;
    assert_eq!(
        lines.of("DOWN"),
        [format!(
            "WARN backend p/a is DOWN: connect to {address}: connection refused (3 of 3 checks failed)"
        )]
    );

    let _again = Broker::start_at(address, Some(ACCEPTED)).await;
    until("UP", || backends[0].is_up()).await;
    tokio::time::sleep(5 * FAST.interval).await;
    assert_eq!(
        lines.of(" UP "),
        ["INFO backend p/a is UP (2 of 2 checks passed)"]
    );
}

#[tokio::test]
async fn the_first_check_decides_alone() {
    let (lines, _guard) = Lines::capture();
    let broker = Broker::start(Some(b"SSH-2.0-")).await;
    let (_pools, backends) = start(Some(FAST), &[&broker]).await;
    assert!(backends[0].is_up());
    until("DOWN", || !backends[0].is_up()).await;
    let told = lines.of("DOWN");
    assert!(told[0].ends_with("(1 of 1 checks failed)"), "{told:?}");
}

#[tokio::test]
async fn a_reload_starts_stops_and_changes_checks() {
    let (a, b) = (
        Broker::start(Some(ACCEPTED)).await,
        Broker::start(Some(ACCEPTED)).await,
    );
    let (pools, _) = start(Some(FAST), &[&a]).await;
    until("checks of a", || a.ended() >= 2).await;
    assert_eq!(b.ended(), 0);

    // b comes, a goes.
    let replaced = pool(Some(FAST), &[("b", b.address)]);
    pools.apply(&config(&[("p", replaced)]));
    until("checks of b", || b.ended() >= 2).await;
    let before = a.ended();
    until("more checks of b", || b.ended() >= 12).await;
    assert!(a.ended() <= before + 1, "a is checked after it was removed");

    // An interval that grows silences the checks, one that shrinks brings them at once.
    let hour = Duration::from_secs(3600);
    let slow = Health {
        interval: hour,
        ..FAST
    };
    let slow = pool(Some(slow), &[("b", b.address)]);
    pools.apply(&config(&[("p", slow)]));
    tokio::time::sleep(Duration::from_millis(1500)).await;
    let before = b.ended();
    tokio::time::sleep(10 * FAST.interval).await;
    assert_eq!(b.ended(), before);
    let fast = pool(Some(FAST), &[("b", b.address)]);
    pools.apply(&config(&[("p", fast)]));
    until("fast checks again", || b.ended() >= before + 5).await;
}

#[tokio::test]
async fn a_changed_address_or_header_is_checked_from_then_on() {
    let (old, new) = (
        Broker::start(Some(ACCEPTED)).await,
        Broker::start(Some(ACCEPTED)).await,
    );
    let (pools, _) = start(Some(FAST), &[&old]).await;
    until("checks of the old address", || old.ended() >= 2).await;

    let mut changed = pool(Some(FAST), &[("a", new.address)]);
    pools.apply(&config(&[("p", changed.clone())]));
    until("checks of the new address", || new.ended() >= 2).await;
    let header = |seen: &Seen| seen.first.starts_with(b"\r\n\r\n\0\r\nQUIT\n");
    assert!(new.all().iter().all(header));

    changed.proxy_protocol = ProxyProtocol::Off;
    pools.apply(&config(&[("p", changed)]));
    until("checks without a header", || {
        new.all().iter().any(|seen| seen.first[0] == 0x10)
    })
    .await;
}

#[tokio::test]
async fn without_checks_a_backend_counts_as_up() {
    let broker = Broker::start(Some(b"garbage")).await;
    let address = broker.address;
    let (pools, backends) = start(Some(FAST), &[&broker]).await;
    until("DOWN", || !backends[0].is_up()).await;
    pools.apply(&config(&[("p", pool(None, &[("a", address)]))]));
    until("UP", || backends[0].is_up()).await;
    let before = broker.ended();
    tokio::time::sleep(5 * FAST.interval).await;
    assert!(broker.ended() <= before + 1);
    assert!(backends[0].is_up());
}

#[tokio::test]
async fn one_silent_broker_does_not_delay_the_checks_of_another() {
    let (silent, well) = (
        Broker::start(None).await,
        Broker::start(Some(ACCEPTED)).await,
    );
    let patient = Health {
        timeout: Duration::from_secs(60),
        ..FAST
    };
    let (_pools, backends) = start(Some(patient), &[&silent, &well]).await;
    until("ten checks", || well.ended() >= 10).await;
    assert!(backends[1].is_up());
    assert_eq!(silent.ended(), 0);
}

#[tokio::test]
async fn a_broker_that_hangs_and_recovers_rises_again() {
    let broker = Broker::start(Some(ACCEPTED)).await;
    let quick = Health {
        timeout: Duration::from_millis(50),
        ..FAST
    };
    let (_pools, backends) = start(Some(quick), &[&broker]).await;
    until("a good check", || broker.ended() >= 1).await;
    broker.answer(None);
    until("DOWN", || !backends[0].is_up()).await;
    broker.answer(Some(ACCEPTED));
    until("UP", || backends[0].is_up()).await;
}

#[tokio::test]
async fn a_tcp_check_never_leaves_a_connection_without_its_header() {
    let broker = Broker::start(None).await;
    let tcp = Health {
        kind: CheckKind::Tcp,
        ..FAST
    };
    let (_pools, backends) = start(Some(tcp), &[&broker]).await;
    until("ten checks", || broker.ended() >= 10).await;
    for seen in broker.all() {
        assert_eq!((seen.first.len(), seen.segments, seen.fin), (28, 1, true));
    }
    assert!(backends[0].is_up());
}
