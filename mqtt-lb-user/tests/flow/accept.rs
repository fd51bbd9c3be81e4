//! The end of listening, and the end of everything.

use std::io::ErrorKind;
use std::time::Duration;

use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;

use crate::bytes::connect;
use crate::ends::{Broker, client, closed, read, soon, until};
use crate::lb::Lb;

#[tokio::test]
async fn shutdown_ends_connections_wherever_they_are() {
    let broker = Broker::start();
    let lb = Lb::start(&[broker.address]).await;
    let (mut idle, mut server) = lb.open(&broker, "idle").await;
    let mut waiting = client(lb.address).await;
    waiting.write_all(&connect("waiting")).await.unwrap();
    let mut unanswered = broker.accept().await;
    let header = lb.header(&waiting).len();
    read(&mut unanswered, header + connect("waiting").len()).await;
    let mut silent = client(lb.address).await;
    silent.write_all(&connect("silent")[..4]).await.unwrap();
    until("all three", || lb.pending() == 1).await;

    lb.stop.send_replace(true);
    for end in [
        &mut idle,
        &mut server,
        &mut waiting,
        &mut unanswered,
        &mut silent,
    ] {
        closed(end).await;
    }
    let lines = lb.sessions(3).await;
    assert!(
        lines.iter().all(|line| line["end"] == "shutdown"),
        "{lines:?}"
    );
    let mut states: Vec<_> = lines.iter().map(|l| l["termination"].to_string()).collect();
    states.sort();
    assert_eq!(states, ["\"KD\"", "\"KH\"", "\"KR\""]);
}

#[tokio::test]
async fn clients_in_the_queue_are_served_when_listening_ends() {
    let broker = Broker::start();
    let lb = Lb::start(&[broker.address]).await;
    let (mut open, mut server) = lb.open(&broker, "open").await;
    // The balancer does not run between these lines: there is one thread.
    let queued = std::net::TcpStream::connect(lb.address).unwrap();
    lb.close.send_replace(true);
    queued.set_nonblocking(true).unwrap();
    let mut queued = TcpStream::from_std(queued).unwrap();
    queued.write_all(&connect("queued")).await.unwrap();
    let mut other = broker.accept().await;
    let wanted = lb.header(&queued).len() + connect("queued").len();
    read(&mut other, wanted).await;

    let late = soon("a refusal", TcpStream::connect(lb.address)).await;
    assert_eq!(late.unwrap_err().kind(), ErrorKind::ConnectionRefused);
    tokio::time::sleep(Duration::from_millis(50)).await;
    open.write_all(b"goes on").await.unwrap();
    assert_eq!(read(&mut server, 7).await, b"goes on");
}
