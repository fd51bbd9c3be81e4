//! FIN passes on behind what was sent before it, one direction at a time.

use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;

use crate::bytes::{assert_same, pattern};
use crate::ends::{Broker, closed, read_out};
use crate::lb::Lb;

const QUEUED: usize = 3 << 20;
const ANSWER: usize = 700_000;

/// `first` sends and closes its direction while nobody reads; `second` reads all of it
/// and only then answers and closes.
async fn half_close(mut first: TcpStream, mut second: TcpStream) {
    let (queued, answer) = (pattern(1, QUEUED), pattern(2, ANSWER));
    let sent = queued.clone();
    let sending = tokio::spawn(async move {
        first.write_all(&sent).await.unwrap();
        first.shutdown().await.unwrap();
        first
    });
    tokio::time::sleep(std::time::Duration::from_millis(300)).await;
    let (got, end) = read_out(&mut second).await;
    end.unwrap();
    assert_same(&got, &queued);

    let mut first = sending.await.unwrap();
    let sent = answer.clone();
    let answering = tokio::spawn(async move {
        second.write_all(&sent).await.unwrap();
        second.shutdown().await.unwrap();
    });
    let (got, end) = read_out(&mut first).await;
    end.unwrap();
    assert_same(&got, &answer);
    answering.await.unwrap();
}

#[tokio::test]
async fn a_client_that_has_closed_its_direction_gets_the_answer() {
    let broker = Broker::start();
    let lb = Lb::start(&[broker.address]).await;
    let (client, server) = lb.open(&broker, "c").await;
    half_close(client, server).await;
    let line = lb.session().await;
    assert_eq!(line["end"], "client_closed");
    assert_eq!(line["termination"], "--");
    assert_eq!(line["bytes_down"], ANSWER + 4);
}

#[tokio::test]
async fn a_broker_that_has_closed_its_direction_gets_the_answer() {
    let broker = Broker::start();
    let lb = Lb::start(&[broker.address]).await;
    let (client, server) = lb.open(&broker, "c").await;
    half_close(server, client).await;
    let line = lb.session().await;
    assert_eq!(line["end"], "backend_closed");
    assert_eq!(line["termination"], "--");
    assert_eq!(line["bytes_down"], QUEUED + 4);
}

#[tokio::test]
async fn both_may_close_at_once_with_data_under_way() {
    let broker = Broker::start();
    let lb = Lb::start(&[broker.address]).await;
    let (client, server) = lb.open(&broker, "c").await;
    let run = |stream: TcpStream, sent: u64, wanted: u64| async move {
        let (mut reader, mut writer) = stream.into_split();
        let sending = tokio::spawn(async move {
            writer.write_all(&pattern(sent, QUEUED)).await.unwrap();
            writer.shutdown().await.unwrap();
        });
        let mut got = Vec::new();
        let reading = tokio::io::AsyncReadExt::read_to_end(&mut reader, &mut got);
        crate::ends::soon("the end", reading).await.unwrap();
        assert_same(&got, &pattern(wanted, QUEUED));
        sending.await.unwrap();
    };
    tokio::join!(run(client, 1, 2), run(server, 2, 1));
    assert_eq!(lb.session().await["termination"], "--");
}

#[tokio::test]
async fn a_broker_that_refuses_and_closes_is_heard() {
    let broker = Broker::start();
    let lb = Lb::start(&[broker.address]).await;
    let mut client = crate::ends::client(lb.address).await;
    client.write_all(&crate::bytes::connect("c")).await.unwrap();
    let mut server = broker.accept().await;
    let wanted = lb.header(&client).len() + crate::bytes::connect("c").len();
    crate::ends::read(&mut server, wanted).await;
    server.write_all(&[0x20, 2, 0, 5]).await.unwrap();
    drop(server);
    let (got, end) = read_out(&mut client).await;
    end.unwrap();
    assert_eq!(got, [0x20, 2, 0, 5]);
    drop(client);
    let line = lb.session().await;
    assert_eq!(
        (&line["connack"], &line["end"]),
        (&5.into(), &"backend_closed".into())
    );
}

#[tokio::test]
async fn a_broker_that_hangs_up_without_an_answer_closes_the_client() {
    let broker = Broker::start();
    let lb = Lb::start(&[broker.address]).await;
    let mut client = crate::ends::client(lb.address).await;
    client.write_all(&crate::bytes::connect("c")).await.unwrap();
    let mut server = broker.accept().await;
    let wanted = lb.header(&client).len() + crate::bytes::connect("c").len();
    crate::ends::read(&mut server, wanted).await;
    drop(server);
    closed(&mut client).await;
    drop(client);
    let line = lb.session().await;
    assert_eq!(
        (&line["end"], &line["termination"]),
        (&"backend_closed".into(), &"SH".into())
    );
}
