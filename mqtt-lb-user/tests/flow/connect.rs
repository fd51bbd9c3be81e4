//! The CONNECT on its way to the broker.

use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::bytes::{CONNACK, assert_same, connect, long_connect, pattern};
use crate::ends::{Broker, client, closed, read, read_out, until};
use crate::lb::Lb;
use crate::segments::data_segments_in;

/// Sends byte by byte, each in a segment of its own.
async fn trickle(stream: &mut TcpStream, bytes: &[u8]) {
    for byte in bytes {
        stream.write_all(&[*byte]).await.unwrap();
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

#[tokio::test]
async fn a_connect_cut_byte_by_byte_arrives_in_one_read_with_its_header() {
    let broker = Broker::start();
    let lb = Lb::start(&[broker.address]).await;
    let mut client = client(lb.address).await;
    let packet = connect("cut");
    let (last, cut) = packet.split_last().unwrap();
    trickle(&mut client, cut).await;
    assert!(
        broker.is_alone().await,
        "dialled before the CONNECT was whole"
    );
    assert_eq!(lb.pending(), 1);
    client.write_all(&[*last]).await.unwrap();
    let mut server = broker.accept().await;
    let mut first = vec![0; 4096];
    let n = server.read(&mut first).await.unwrap();
    let wanted = [lb.header(&client), packet].concat();
    assert_same(&first[..n], &wanted);
    assert_eq!(data_segments_in(&server), 1);
    until("the place among the pending", || lb.pending() == 0).await;

    drop((client, server));
    let line = lb.session().await;
    assert_eq!(line["client_id"], "cut");
    assert_eq!(line["termination"], "CH");
}

#[tokio::test]
async fn pipelined_packets_follow_in_order_untouched() {
    let broker = Broker::start();
    let lb = Lb::start(&[broker.address]).await;
    // What comes with the CONNECT, what comes while the backend is dialled, and then
    // what comes while the CONNACK is awaited: none of it need be MQTT.
    let (with, soon, late) = (pattern(1, 5_000), pattern(2, 300_000), pattern(3, 70_000));
    let mut client = client(lb.address).await;
    let first = [connect("p"), with].concat();
    client.write_all(&first).await.unwrap();
    let (mut reader, mut writer) = client.into_split();
    let sent = [soon.clone(), late.clone()];
    let sending = tokio::spawn(async move {
        writer.write_all(&sent[0]).await.unwrap();
        tokio::time::sleep(Duration::from_millis(50)).await;
        writer.write_all(&sent[1]).await.unwrap();
        writer
    });
    let mut server = broker.accept().await;
    let header = lb.header(reader.as_ref());
    let wanted = [header.clone(), first, soon, late].concat();
    assert_same(&read(&mut server, wanted.len()).await, &wanted);

    let answer = [CONNACK, &pattern(4, 100_000)].concat();
    let (got, ()) = tokio::join!(
        async {
            let mut got = vec![0; answer.len()];
            let reading = reader.read_exact(&mut got);
            crate::ends::soon("the answer", reading).await.unwrap();
            got
        },
        async { server.write_all(&answer).await.unwrap() },
    );
    assert_same(&got, &answer);
    drop((reader, sending.await.unwrap(), server));
    let line = lb.session().await;
    assert_eq!(line["bytes_up"], wanted.len() - header.len());
    assert_eq!(line["bytes_down"], answer.len());
    assert_eq!(
        (&line["connack"], &line["path"]),
        (&0.into(), &"copy".into())
    );
    let bytes = |direction| lb.metric("bytes_total", &[("direction", direction)]);
    assert_eq!(bytes("up"), line["bytes_up"]);
    assert_eq!(bytes("down"), line["bytes_down"]);
}

#[tokio::test]
async fn a_connect_longer_than_the_buffer_is_streamed() {
    let broker = Broker::start();
    let lb = Lb::start(&[broker.address]).await;
    let mut client = client(lb.address).await;
    let packet = long_connect("long");
    let (cut, last) = packet.split_at(packet.len() - 1);
    let kept = lb.shared.config.load().limits.connect_buffer;
    assert!(kept < cut.len());
    client.write_all(&cut[..kept - 1]).await.unwrap();
    assert!(
        broker.is_alone().await,
        "dialled before the buffer was full"
    );

    let wanted = [&lb.header(&client), cut].concat();
    let (server, sent) = tokio::join!(
        async {
            let mut server = broker.accept().await;
            assert_same(&read(&mut server, wanted.len()).await, &wanted);
            server
        },
        client.write_all(&cut[kept - 1..]),
    );
    sent.unwrap();
    let mut server = server;
    assert_eq!(lb.pending(), 1, "a byte is still to come");
    client.write_all(last).await.unwrap();
    assert_eq!(read(&mut server, 1).await, last);
    until("the place among the pending", || lb.pending() == 0).await;
    server.write_all(CONNACK).await.unwrap();
    assert_eq!(read(&mut client, 4).await, CONNACK);
}

#[tokio::test]
async fn the_rest_of_a_long_connect_is_due_at_the_same_deadline() {
    let broker = Broker::start();
    let due = Duration::from_millis(400);
    let lb = Lb::with(&[broker.address], |config| {
        config.timeouts.connect_packet = due;
    })
    .await;
    let mut client = client(lb.address).await;
    let begin = Instant::now();
    let packet = long_connect("long");
    client.write_all(&packet[..100_000]).await.unwrap();
    let mut server = broker.accept().await;
    let (got, _) = read_out(&mut server).await;
    let took = begin.elapsed();
    assert!(took >= due - Duration::from_millis(50), "{took:?}");
    assert!(took < due * 5, "{took:?}");
    let wanted = [&lb.header(&client), &packet[..100_000]].concat();
    assert_same(&got, &wanted);
    closed(&mut client).await;
    let line = lb.session().await;
    assert_eq!(line["end"], "connect_timeout");
    assert_eq!(
        line["termination"], "cR",
        "the client was late, not the broker"
    );
    assert_eq!(lb.refused("connect_timeout"), 1);
}

#[tokio::test]
async fn the_broker_has_its_time_from_the_end_of_a_long_connect() {
    let broker = Broker::start();
    let due = Duration::from_millis(400);
    let lb = Lb::with(&[broker.address], |config| config.timeouts.connack = due).await;
    let mut client = client(lb.address).await;
    let packet = long_connect("long");
    let wanted = [lb.header(&client), packet.clone()].concat();
    let (first, rest) = packet.split_at(100_000);
    client.write_all(first).await.unwrap();
    let mut server = broker.accept().await;
    let reading = tokio::spawn(async move { (read(&mut server, wanted.len()).await, server) });
    tokio::time::sleep(due * 2).await;
    client.write_all(rest).await.unwrap();
    let begin = Instant::now();
    let (_, mut server) = reading.await.unwrap();
    closed(&mut server).await;
    let took = begin.elapsed();
    assert!(took >= due - Duration::from_millis(50), "{took:?}");
    let line = lb.session().await;
    assert_eq!(line["end"], "connack_timeout");
    assert_eq!(line["termination"], "sH");
    assert_eq!(lb.refused("connect_timeout"), 0);
}

#[tokio::test]
async fn a_long_connect_that_was_whole_in_time_has_no_deadline() {
    let broker = Broker::start();
    let lb = Lb::with(&[broker.address], |config| {
        config.timeouts.connect_packet = Duration::from_millis(300);
    })
    .await;
    let mut client = client(lb.address).await;
    let packet = long_connect("long");
    let wanted = [lb.header(&client), packet.clone()].concat();
    let (mut server, sent) = tokio::join!(broker.accept(), client.write_all(&packet));
    sent.unwrap();
    assert_same(&read(&mut server, wanted.len()).await, &wanted);
    server.write_all(CONNACK).await.unwrap();
    assert_eq!(read(&mut client, 4).await, CONNACK);
    tokio::time::sleep(Duration::from_millis(600)).await;
    client.write_all(b"still here").await.unwrap();
    assert_eq!(read(&mut server, 10).await, b"still here");
}

#[tokio::test]
async fn a_connect_that_stalls_is_refused_at_its_deadline() {
    let broker = Broker::start();
    let due = Duration::from_millis(300);
    let lb = Lb::with(&[broker.address], |config| {
        config.timeouts.connect_packet = due;
    })
    .await;
    let mut client = client(lb.address).await;
    let begin = Instant::now();
    client.write_all(&connect("x")[..5]).await.unwrap();
    closed(&mut client).await;
    let took = begin.elapsed();
    assert!(took >= due - Duration::from_millis(50), "{took:?}");
    assert_eq!(lb.refused("connect_timeout"), 1);
    let line = lb.session().await;
    assert_eq!(line["end"], "connect_timeout");
    assert_eq!(line["termination"], "cR");
    assert!(broker.is_alone().await);
}
