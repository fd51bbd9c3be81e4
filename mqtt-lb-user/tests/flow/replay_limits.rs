//! When a client stays with the broker that has its CONNECT, and what waiting costs.

use std::time::Duration;

use tokio::io::AsyncWriteExt as _;

use crate::bytes::{CONNACK, assert_same, connect, long_connect};
use crate::ends::{Broker, acknowledged, client, closed, nobody, read, read_out, until};
use crate::lb::Lb;
use crate::replay::{asked, connack};

#[tokio::test]
async fn other_answers_are_passed_on() {
    // Not authorised (3.x), bad client id (5.0), AUTH (5.0), and no MQTT at all.
    let answers: [&[u8]; 4] = [
        b"\x20\x02\0\x05",
        b"\x20\x03\0\x85\0",
        b"\xf0\x02\x18\0",
        b"HTTP/1.1 400 Bad Request\r\n\r\n",
    ];
    for answer in answers {
        let brokers = [Broker::start(), Broker::start()];
        let lb = Lb::start(&[brokers[0].address, brokers[1].address]).await;
        let mut client = client(lb.address).await;
        client.write_all(&connect("c")).await.unwrap();
        let mut server = asked(&lb, &client, &brokers[0], &connect("c")).await;
        server.write_all(answer).await.unwrap();
        drop(server);
        let (got, end) = read_out(&mut client).await;
        end.unwrap();
        assert_eq!(got, answer);
        assert!(brokers[1].is_alone().await);
    }
}

#[tokio::test]
async fn without_codes_every_answer_is_passed_on() {
    for answer in [&connack(0x88)[..], b""] {
        let brokers = [Broker::start(), Broker::start()];
        let lb = Lb::with(&[brokers[0].address, brokers[1].address], |config| {
            config
                .pools
                .values_mut()
                .for_each(|pool| pool.failover_codes.clear());
        })
        .await;
        let mut client = client(lb.address).await;
        client.write_all(&connect("c")).await.unwrap();
        let mut server = asked(&lb, &client, &brokers[0], &connect("c")).await;
        server.write_all(answer).await.unwrap();
        drop(server);
        assert_eq!(read_out(&mut client).await.0, answer);
        assert!(brokers[1].is_alone().await);
    }
}

#[tokio::test]
async fn a_connect_that_was_not_kept_whole_stays() {
    let brokers = [Broker::start(), Broker::start()];
    let lb = Lb::start(&[brokers[0].address, brokers[1].address]).await;
    let mut client = client(lb.address).await;
    let packet = long_connect("long");
    let wanted = [&lb.header(&client), &packet[..]].concat();
    let (server, sent) = tokio::join!(
        async {
            let mut server = brokers[0].accept().await;
            assert_same(&read(&mut server, wanted.len()).await, &wanted);
            server
        },
        client.write_all(&packet),
    );
    sent.unwrap();
    let mut server = server;
    server.write_all(&connack(0x88)).await.unwrap();
    assert_eq!(read(&mut client, 5).await, connack(0x88));
    assert!(brokers[1].is_alone().await);
    let labels = [("pool", "pool"), ("result", "too_long")];
    assert_eq!(lb.metric("failover_total", &labels), 1);
}

#[tokio::test]
async fn a_client_that_closes_its_direction_stays() {
    let brokers = [Broker::start(), Broker::start()];
    let lb = Lb::start(&[brokers[0].address, brokers[1].address]).await;
    let mut client = client(lb.address).await;
    client.write_all(&connect("c")).await.unwrap();
    let mut server = asked(&lb, &client, &brokers[0], &connect("c")).await;
    client.write_all(b"last words").await.unwrap();
    acknowledged(&client).await;
    client.shutdown().await.unwrap();
    let (got, end) = read_out(&mut server).await;
    end.unwrap();
    assert_eq!(got, b"last words", "at once, with the end behind them");
    server.write_all(&connack(0x88)).await.unwrap();
    drop(server);
    assert_eq!(read_out(&mut client).await.0, connack(0x88));
    assert!(brokers[1].is_alone().await);
}

#[tokio::test]
async fn a_slow_broker_has_the_rest_of_the_time_when_no_other_is_reached() {
    let broker = Broker::start();
    let lb = Lb::with(&[broker.address, nobody()], |config| {
        config.timeouts.connack = Duration::from_secs(4);
    })
    .await;
    let mut client = client(lb.address).await;
    client.write_all(&connect("c")).await.unwrap();
    let mut server = asked(&lb, &client, &broker, &connect("c")).await;
    until("its share to pass", || lb.errors("b", "refused") == 1).await;
    assert_eq!(lb.errors("a", "connack_timeout"), 1);
    server.write_all(CONNACK).await.unwrap();
    assert_eq!(read(&mut client, 4).await, CONNACK);
    assert_eq!(lb.owner("c"), "a");
}

#[tokio::test]
async fn a_connect_goes_to_three_brokers_at_most() {
    let brokers = [(); 4].map(|()| Broker::start());
    let lb = Lb::start(&brokers.each_ref().map(|broker| broker.address)).await;
    let mut client = client(lb.address).await;
    client.write_all(&connect("pill")).await.unwrap();
    for broker in &brokers[..3] {
        drop(asked(&lb, &client, broker, &connect("pill")).await);
    }
    closed(&mut client).await;
    assert!(brokers[3].is_alone().await);
    drop(client);
    let line = lb.session().await;
    assert_eq!(
        (&line["backend"], &line["termination"]),
        (&"c".into(), &"SH".into())
    );
}

#[tokio::test]
async fn a_client_that_waits_for_its_answer_is_not_pending_and_can_be_stopped() {
    let brokers = [Broker::start(), Broker::start()];
    let lb = Lb::start(&[brokers[0].address, brokers[1].address]).await;
    let mut client = client(lb.address).await;
    client.write_all(&connect("c")).await.unwrap();
    let mut server = asked(&lb, &client, &brokers[0], &connect("c")).await;
    until("the place among the pending", || lb.pending() == 0).await;
    lb.stop.send_replace(true);
    closed(&mut client).await;
    assert_same(&read_out(&mut server).await.0, b"");
    let line = lb.session().await;
    assert_eq!(
        (&line["end"], &line["termination"]),
        (&"shutdown".into(), &"KH".into())
    );
}
