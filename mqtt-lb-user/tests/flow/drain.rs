//! What cannot be delivered to a closing flow does not keep it for ever.

use std::io::ErrorKind;
use std::time::Duration;

use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;

use crate::bytes::{assert_same, pattern};
use crate::ends::{Broker, acknowledged, read, read_out, reset};
use crate::lb::Lb;

const DRAIN: Duration = Duration::from_millis(400);
const CHUNK: usize = 32 * 1024;

async fn flow() -> (Lb, Broker, TcpStream, TcpStream) {
    let broker = Broker::start();
    let lb = Lb::with(&[broker.address], |config| config.timeouts.drain = DRAIN).await;
    let (client, server) = lb.open(&broker, "drain").await;
    (lb, broker, client, server)
}

/// Sends until the balancer holds bytes that the reader does not take, and has
/// received everything: a FIN would arrive. What was sent.
async fn clog(sender: &mut TcpStream, lb: &Lb) -> Vec<u8> {
    let is_held = || lb.shared.metrics.buffered.get() > 0;
    let bytes = pattern(5, 64 << 20);
    for (n, chunk) in bytes.chunks(CHUNK).enumerate() {
        sender.write_all(chunk).await.unwrap();
        acknowledged(sender).await;
        tokio::time::sleep(Duration::from_millis(2)).await;
        if is_held() {
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
        if is_held() {
            return bytes[..(n + 1) * CHUNK].to_vec();
        }
    }
    panic!("the reader's slowness never came back");
}

/// Both ends see a reset: neither may take a cut stream for a whole one.
async fn is_cut(reader: &mut TcpStream, rest: &[u8]) {
    let (got, end) = read_out(reader).await;
    assert_eq!(end.unwrap_err().kind(), ErrorKind::ConnectionReset);
    assert!(got.len() < rest.len());
    assert_same(&got, &rest[..got.len()]);
}

#[tokio::test]
async fn a_closed_client_does_not_wait_for_a_broker_that_does_not_read() {
    let (lb, _broker, mut client, mut server) = flow().await;
    let sent = clog(&mut client, &lb).await;
    drop(client);
    let line = lb.session().await;
    assert_eq!(
        (&line["end"], &line["termination"]),
        (&"drain_timeout".into(), &"PL".into())
    );
    is_cut(&mut server, &sent).await;
}

#[tokio::test]
async fn a_closed_broker_does_not_wait_for_a_client_that_does_not_read() {
    let (lb, _broker, mut client, mut server) = flow().await;
    let sent = clog(&mut server, &lb).await;
    drop(server);
    assert_eq!(lb.session().await["end"], "drain_timeout");
    is_cut(&mut client, &sent).await;
}

#[tokio::test]
async fn a_reset_does_not_wait_for_a_broker_that_does_not_read() {
    let (lb, _broker, mut client, mut server) = flow().await;
    let sent = clog(&mut client, &lb).await;
    reset(client).await;
    lb.session().await;
    is_cut(&mut server, &sent).await;
}

#[tokio::test]
async fn a_reader_that_only_takes_its_time_loses_nothing() {
    let (lb, _broker, mut client, mut server) = flow().await;
    let sent = clog(&mut client, &lb).await;
    tokio::time::sleep(DRAIN * 4).await;
    assert!(!lb.is_empty());
    assert_same(&read(&mut server, sent.len()).await, &sent);
    drop((client, server));
    lb.session().await;
}

#[tokio::test]
async fn a_closed_flow_goes_on_as_long_as_its_reader_does() {
    let (lb, _broker, mut client, mut server) = flow().await;
    let sent = clog(&mut client, &lb).await;
    drop(client);
    let mut got = Vec::new();
    for _ in 0..24 {
        tokio::time::sleep(DRAIN / 8).await;
        got.extend(read(&mut server, CHUNK).await);
    }
    let (rest, end) = read_out(&mut server).await;
    end.unwrap();
    got.extend(rest);
    assert_same(&got, &sent);
    drop(server);
    assert_eq!(lb.session().await["end"], "client_closed");
}
