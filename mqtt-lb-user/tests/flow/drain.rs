//! What cannot be delivered to a closing flow does not keep it for ever.

use std::io::ErrorKind;
use std::time::Duration;

use mqtt_lb_user::datapath::tcp;
use tokio::io::AsyncReadExt as _;
use tokio::net::TcpStream;

use crate::bytes::{assert_same, pattern};
use crate::ends::{Broker, read, read_out, reset, soon, stuff, until};
use crate::lb::Lb;

const DRAIN: Duration = Duration::from_millis(400);

async fn flow() -> (Lb, Broker, TcpStream, TcpStream) {
    let broker = Broker::start();
    let lb = Lb::with(&[broker.address], |config| config.timeouts.drain = DRAIN).await;
    let (client, server) = lb.open(&broker, "drain").await;
    (lb, broker, client, server)
}

/// Sends until the balancer holds bytes that the reader does not take, and then lets
/// the reader take just as much as brings everything sent to the balancer: a FIN would
/// arrive. What was sent, and how much of it was read.
async fn clog(sender: TcpStream, reader: &mut TcpStream, lb: &Lb) -> (TcpStream, Vec<u8>, usize) {
    let mut sent = pattern(5, 64 << 20);
    let length = stuff(&sender, &sent).await;
    sent.truncate(length);
    let sender = sender.into_std().unwrap();
    let mut got = Vec::new();
    while tcp::unacknowledged(&sender).unwrap() > 0 {
        let mut some = vec![0; 64 * 1024];
        let n = soon("bytes", reader.read(&mut some)).await.unwrap();
        got.extend(&some[..n]);
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    assert_same(&got, &sent[..got.len()]);
    until("bytes held", || lb.shared.metrics.buffered.get() > 0).await;
    (TcpStream::from_std(sender).unwrap(), sent, got.len())
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
    let (lb, _broker, client, mut server) = flow().await;
    let (client, sent, read) = clog(client, &mut server, &lb).await;
    drop(client);
    let line = lb.session().await;
    assert_eq!(
        (&line["end"], &line["termination"]),
        (&"drain_timeout".into(), &"PL".into())
    );
    is_cut(&mut server, &sent[read..]).await;
}

#[tokio::test]
async fn a_closed_broker_does_not_wait_for_a_client_that_does_not_read() {
    let (lb, _broker, mut client, server) = flow().await;
    let (server, sent, read) = clog(server, &mut client, &lb).await;
    drop(server);
    assert_eq!(lb.session().await["end"], "drain_timeout");
    is_cut(&mut client, &sent[read..]).await;
}

#[tokio::test]
async fn a_reset_does_not_wait_for_a_broker_that_does_not_read() {
    let (lb, _broker, client, mut server) = flow().await;
    let (client, sent, read) = clog(client, &mut server, &lb).await;
    reset(client).await;
    lb.session().await;
    is_cut(&mut server, &sent[read..]).await;
}

#[tokio::test]
async fn a_reader_that_only_takes_its_time_loses_nothing() {
    let (lb, _broker, client, mut server) = flow().await;
    let (client, sent, n) = clog(client, &mut server, &lb).await;
    tokio::time::sleep(DRAIN * 4).await;
    assert!(!lb.is_empty());
    assert_same(&read(&mut server, sent.len() - n).await, &sent[n..]);
    drop((client, server));
    lb.session().await;
}

#[tokio::test]
async fn a_closed_flow_goes_on_as_long_as_its_reader_does() {
    let (lb, _broker, client, mut server) = flow().await;
    let (client, sent, n) = clog(client, &mut server, &lb).await;
    drop(client);
    let mut got = Vec::new();
    let step = (sent.len() - n) / 8;
    for _ in 0..6 {
        tokio::time::sleep(DRAIN / 3).await;
        got.extend(read(&mut server, step).await);
    }
    let (rest, end) = read_out(&mut server).await;
    end.unwrap();
    got.extend(rest);
    assert_same(&got, &sent[n..]);
    drop(server);
    assert_eq!(lb.session().await["end"], "client_closed");
}
