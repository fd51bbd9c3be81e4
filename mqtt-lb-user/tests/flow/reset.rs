//! RST passes on as RST, behind what was sent before it.

use std::io::ErrorKind;
use std::time::{Duration, Instant};

use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;

use crate::bytes::{assert_same, pattern};
use crate::ends::{Broker, read_out, reset};
use crate::lb::Lb;

const SENT: usize = 300_000;

/// `gone` sends and resets; `left` is a reader that starts late.
async fn send_and_reset(mut gone: TcpStream, mut left: TcpStream) {
    let sent = pattern(7, SENT);
    gone.write_all(&sent).await.unwrap();
    reset(gone).await;
    tokio::time::sleep(Duration::from_millis(200)).await;
    let (got, end) = read_out(&mut left).await;
    assert_eq!(end.unwrap_err().kind(), ErrorKind::ConnectionReset);
    assert_same(&got, &sent);
}

#[tokio::test]
async fn a_client_s_reset_follows_its_data() {
    let broker = Broker::start();
    let lb = Lb::start(&[broker.address]).await;
    let (client, server) = lb.open(&broker, "c").await;
    send_and_reset(client, server).await;
    let line = lb.session().await;
    assert_eq!(
        (&line["end"], &line["termination"]),
        (&"client_aborted".into(), &"CD".into())
    );
    assert_eq!(line["bytes_up"], SENT + crate::bytes::connect("c").len());
}

#[tokio::test]
async fn a_broker_s_reset_follows_its_data() {
    let broker = Broker::start();
    let lb = Lb::start(&[broker.address]).await;
    let (client, server) = lb.open(&broker, "c").await;
    send_and_reset(server, client).await;
    let line = lb.session().await;
    assert_eq!(
        (&line["end"], &line["termination"]),
        (&"backend_aborted".into(), &"SD".into())
    );
    assert_eq!(line["bytes_down"], SENT + 4);
}

#[tokio::test]
async fn a_reset_of_an_idle_flow_passes_at_once() {
    let broker = Broker::start();
    let lb = Lb::start(&[broker.address]).await;
    for n in 0..6 {
        let (client, server) = lb.open(&broker, "c").await;
        let (gone, mut left) = if n % 2 == 0 {
            (client, server)
        } else {
            (server, client)
        };
        let begin = Instant::now();
        reset(gone).await;
        let (got, end) = read_out(&mut left).await;
        assert_eq!(
            (got.as_slice(), end.unwrap_err().kind()),
            (&b""[..], ErrorKind::ConnectionReset)
        );
        assert!(begin.elapsed() < Duration::from_secs(3));
    }
    let ends: Vec<_> = lb
        .sessions(6)
        .await
        .iter()
        .map(|line| line["end"].clone())
        .collect();
    assert_eq!(ends, ["client_aborted", "backend_aborted"].repeat(3));
}

#[tokio::test]
async fn a_reset_behind_a_half_close_still_is_one() {
    let broker = Broker::start();
    let lb = Lb::start(&[broker.address]).await;
    let (mut client, mut server) = lb.open(&broker, "c").await;
    client.shutdown().await.unwrap();
    assert_eq!(read_out(&mut server).await.0, b"");
    let sent = pattern(8, SENT);
    server.write_all(&sent).await.unwrap();
    reset(server).await;
    let (got, end) = read_out(&mut client).await;
    assert_eq!(end.unwrap_err().kind(), ErrorKind::ConnectionReset);
    assert_same(&got, &sent);
    assert_eq!(lb.session().await["end"], "backend_aborted");
}
