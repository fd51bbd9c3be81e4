//! `cargo xtask demo`: a balancer in front of three mosquitto brokers, with
//! clients that come and go, until Ctrl-C.

mod broker;
mod clients;
mod lb;
mod seen;

use std::fs::Permissions;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use self::broker::Broker;
use self::clients::Clients;
use self::lb::Lb;
use crate::step::{human, step};
use crate::{build, setup, sys};

/// How often the demo looks at what it waits for.
const TICK: Duration = Duration::from_millis(100);

/// Builds and starts everything, shows where it is and the stick table, waits
/// for `time` or for Ctrl-C, and stops everything it started.
///
/// # Errors
/// If something is missing, does not start, or ends by itself.
pub fn demo(time: Option<Duration>) -> Result<()> {
    setup::setup(true, false)?;
    let binary = build::build(false)?;
    sys::note_interrupts();
    let dir = tempfile::Builder::new()
        .prefix("mqtt-lb-demo-")
        // The brokers are another user and read their configuration here.
        .permissions(Permissions::from_mode(0o711))
        .tempdir()?;
    let mut brokers = step("three mosquitto brokers", || {
        (1..=3)
            .map(|number| Broker::start(number, dir.path()))
            .collect::<Result<Vec<_>>>()
    })?;
    let mut lb = step("mqtt-lb", || Lb::start(&binary, &brokers, dir.path()))?;
    let clients = Clients::start(lb.listen, dir.path());
    step("clients connect and come back", || {
        until(Duration::from_secs(20), || {
            let seen = seen::by_client(&brokers)?;
            Ok(seen.len() == clients::COUNT && seen.values().all(|visits| visits.len() > 1))
        })
    })?;

    show(&lb, &brokers, dir.path())?;
    let start = Instant::now();
    match time {
        Some(time) => println!("Stopping in {}.", human(time)),
        None => println!("Ctrl-C stops all of it."),
    }
    while !sys::interrupted() && time.is_none_or(|time| start.elapsed() < time) {
        thread::sleep(TICK);
        for broker in &mut brokers {
            broker.must_run()?;
        }
        lb.must_run()?;
    }

    println!("\nWhere the brokers' own logs saw each client:");
    print!("{}", seen::report(&seen::by_client(&brokers)?));
    drop(clients);
    drop(lb);
    drop(brokers);
    dir.close().context("cannot remove the demo's directory")?;
    println!("Stopped.");
    Ok(())
}

fn show(lb: &Lb, brokers: &[Broker], dir: &Path) -> Result<()> {
    let Lb { listen, http, .. } = lb;
    println!("\nmqtt-lb is running in front of three real brokers:");
    println!(
        "  clients       {listen}   try: mosquitto_sub -p {} -i me -t 'demo/#' -v",
        listen.port()
    );
    for broker in brokers {
        println!("  broker {}     {}", broker.name, broker.address);
    }
    println!("  metrics       http://{http}/metrics   health: /healthz, /readyz");
    println!(
        "  stick table   {}",
        lb.command_line(&["table", "show", lb::POOL])
    );
    println!("  connections   {}", lb.command_line(&["flows", "list"]));
    println!(
        "  drain         {}",
        lb.command_line(&["backend", "drain", "brokers/b1"])
    );
    println!("  logs          {}", dir.display());
    println!("\nBackends:\n{}", lb.ask(&["backend", "list"])?);
    println!(
        "Stick table, client id to backend:\n{}",
        lb.ask(&["table", "show", lb::POOL])?
    );
    println!(
        "Connections, those on the path \"splice\" without a socket in the balancer:\n{}",
        lb.ask(&["flows", "list"])?
    );
    Ok(())
}

/// Waits until `is_so`.
fn until(limit: Duration, mut is_so: impl FnMut() -> Result<bool>) -> Result<()> {
    let start = Instant::now();
    while !is_so()? {
        if sys::interrupted() {
            bail!("interrupted");
        }
        if start.elapsed() > limit {
            bail!("not so after {}", human(limit));
        }
        thread::sleep(TICK);
    }
    Ok(())
}

/// A loopback address on which nothing listens: on port `wish` if it is free.
fn free_address(wish: u16) -> Result<SocketAddr> {
    let bind = |port| TcpListener::bind((Ipv4Addr::LOCALHOST, port));
    let listener = bind(wish).or_else(|_| bind(0)).context("no free port")?;
    Ok(listener.local_addr()?)
}
