//! Who is turned away, and how it shows.

use std::time::{Duration, Instant};

use mqtt_lb_user::config::EmptyClientId;
use tokio::io::AsyncWriteExt as _;

use crate::bytes::{CONNACK, connect};
use crate::ends::{Broker, client, closed, read, until};
use crate::lb::Lb;

#[tokio::test]
async fn what_is_not_a_connect_is_refused_at_once() {
    let broker = Broker::start();
    let cases: [(&[u8], &str); 6] = [
        (&[0x16, 3, 1, 2, 0, 1, 0, 1, 0xfc, 3, 3], "tls"),
        (b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", "http"),
        (b"SSH-2.0-OpenSSH_9.6\r\n", "ssh"),
        (&[0xff, 0, 0xff, 0], "not_mqtt"),
        (&[0x30, 5, 0, 1, b'a', b'b', b'c'], "other_packet"),
        (&[0x10, 0xff, 0xff, 0xff, 0xff, 1], "long_length"),
    ];
    for (bytes, reason) in cases {
        let lb = Lb::start(&[broker.address]).await;
        let mut client = client(lb.address).await;
        let begin = Instant::now();
        client.write_all(bytes).await.unwrap();
        closed(&mut client).await;
        assert!(begin.elapsed() < Duration::from_secs(5), "{reason}");
        assert_eq!(lb.refused(reason), 1, "{reason}");
        let line = lb.session().await;
        assert_eq!(
            (&line["end"], &line["reason"]),
            (&"refused".into(), &reason.into())
        );
        assert_eq!(line["termination"], "PR");
        assert_eq!(line["backend"], serde_json::Value::Null);
    }
    assert!(broker.is_alone().await);
}

#[tokio::test]
async fn a_client_that_leaves_before_its_connect_is_not_refused() {
    let broker = Broker::start();
    let lb = Lb::start(&[broker.address]).await;
    let mut client = client(lb.address).await;
    client.write_all(&connect("x")[..7]).await.unwrap();
    drop(client);
    let line = lb.session().await;
    assert_eq!(
        (&line["end"], &line["termination"]),
        (&"client_closed".into(), &"CR".into())
    );
    let text = lb.shared.metrics.encode(&Default::default()).unwrap();
    assert!(!text.contains("mqttlb_refused_total{"), "{text}");
}

#[tokio::test]
async fn no_more_than_max_connections_at_a_time() {
    let broker = Broker::start();
    let lb = Lb::with(&[broker.address], |config| {
        config.limits.max_connections = 2
    })
    .await;
    let first = lb.open(&broker, "1").await;
    let _second = lb.open(&broker, "2").await;
    closed(&mut client(lb.address).await).await;
    assert_eq!(lb.refused("max_connections"), 1);

    drop(first);
    until("a free place", || {
        lb.shared.open.load(std::sync::atomic::Ordering::Relaxed) == 1
    })
    .await;
    let _third = lb.open(&broker, "3").await;
    assert_eq!(lb.refused("max_connections"), 1);
    let listener = [("listener", lb.listener.name.as_str())];
    assert_eq!(lb.metric("connections_total", &listener), 4);
    assert_eq!(lb.metric("open_connections", &listener), 2);
}

#[tokio::test]
async fn no_more_than_max_pending_without_a_connect() {
    let broker = Broker::start();
    let lb = Lb::with(&[broker.address], |config| config.limits.max_pending = 1).await;
    let mut slow = client(lb.address).await;
    until("the slow client", || lb.pending() == 1).await;
    closed(&mut client(lb.address).await).await;
    assert_eq!(lb.refused("max_pending"), 1);
    assert_eq!(lb.refused("max_connections"), 0);

    slow.write_all(&connect("slow")).await.unwrap();
    let mut server = broker.accept().await;
    until("its place", || lb.pending() == 0).await;
    let _other = lb.open(&broker, "other").await;
    assert_eq!(lb.refused("max_pending"), 1);
    server.write_all(CONNACK).await.unwrap();
    assert_eq!(read(&mut slow, 4).await, CONNACK);
}

/// The backends that two clients with empty ids get, and the keys in the table.
async fn two_without_an_id(policy: EmptyClientId) -> (Vec<String>, Vec<Vec<u8>>) {
    let brokers = [Broker::start(), Broker::start()];
    let lb = Lb::with(&brokers.each_ref().map(|b| b.address), |config| {
        config
            .pools
            .values_mut()
            .for_each(|pool| pool.empty_client_id = policy);
    })
    .await;
    for _ in 0..2 {
        let mut client = client(lb.address).await;
        client.write_all(&connect("")).await.unwrap();
        let mut server = tokio::select! {
            server = brokers[0].accept() => server,
            server = brokers[1].accept() => server,
        };
        read(&mut server, 1).await;
        drop((client, server));
    }
    let lines = lb.sessions(2).await;
    let backends = lines
        .iter()
        .map(|line| line["backend"].as_str().unwrap().to_owned());
    let keys = lb.pool().with_table(|table| {
        let (rows, _) = table.page(Instant::now(), Default::default(), 10);
        rows.into_iter().map(|row| row.key).collect()
    });
    (backends.collect(), keys.unwrap())
}

#[tokio::test]
async fn an_empty_id_is_balanced_anew() {
    let (mut backends, keys) = two_without_an_id(EmptyClientId::Balance).await;
    backends.sort();
    assert_eq!(backends, ["a", "b"]);
    assert!(keys.is_empty());
}

#[tokio::test]
async fn an_empty_id_sticks_by_its_source() {
    let (backends, keys) = two_without_an_id(EmptyClientId::Source).await;
    assert_eq!(backends[0], backends[1]);
    assert_eq!(keys, [b"\x00127.0.0.1"]);
}

#[tokio::test]
async fn an_empty_id_is_rejected() {
    let broker = Broker::start();
    let lb = Lb::with(&[broker.address], |config| {
        let pools = config.pools.values_mut();
        pools.for_each(|pool| pool.empty_client_id = EmptyClientId::Reject);
    })
    .await;
    let mut refused = client(lb.address).await;
    refused.write_all(&connect("")).await.unwrap();
    closed(&mut refused).await;
    assert_eq!(lb.refused("empty_client_id"), 1);
    let line = lb.session().await;
    assert_eq!(
        (&line["end"], &line["reason"]),
        (&"refused".into(), &"empty_client_id".into())
    );
    assert!(broker.is_alone().await);
}
