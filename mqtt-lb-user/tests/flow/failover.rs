//! Which broker gets a client when not all of them answer.

use std::time::{Duration, Instant};

use serde_json::Value;
use tokio::io::AsyncWriteExt as _;

use crate::bytes::{assert_same, connect};
use crate::ends::{Broker, client, closed, nobody, read, read_out};
use crate::lb::Lb;

#[tokio::test]
async fn a_client_goes_to_the_next_backend_when_its_own_refuses() {
    let (first, second) = (Broker::start(), Broker::start());
    let lb = Lb::start(&[first.address, second.address]).await;
    for sticky in ["new", "hit"] {
        drop(lb.open(&first, "mover").await);
        let count = if sticky == "new" { 1 } else { 2 };
        assert_eq!(lb.sessions(count).await[count - 1]["sticky"], sticky);
        assert_eq!(lb.owner("mover"), "a");
    }
    drop(first);
    for (n, sticky) in [(3, "moved"), (4, "hit")] {
        drop(lb.open(&second, "mover").await);
        let line = &lb.sessions(n).await[n - 1];
        assert_eq!(
            (&line["backend"], &line["sticky"]),
            (&"b".into(), &sticky.into())
        );
        assert_eq!(lb.owner("mover"), "b");
    }
    assert_eq!(
        lb.errors("a", "refused"),
        1,
        "b is asked first the second time"
    );
    assert_eq!(lb.errors("b", "refused"), 0);
    let sessions = |backend| lb.metric("sessions_total", &[("pool", "pool"), ("backend", backend)]);
    assert_eq!((sessions("a"), sessions("b")), (2, 2));
    for (result, count) in [("new", 1), ("hit", 2), ("moved", 1), ("none", 0)] {
        let labels = [("pool", "pool"), ("result", result)];
        assert_eq!(lb.metric("sticky_total", &labels), count, "{result}");
    }
}

#[tokio::test]
async fn a_client_is_closed_when_all_backends_are_down() {
    let lb = Lb::start(&[nobody(), nobody()]).await;
    let mut client = client(lb.address).await;
    client.write_all(&connect("lost")).await.unwrap();
    closed(&mut client).await;
    let line = lb.session().await;
    assert_eq!(
        (&line["end"], &line["termination"]),
        (&"no_backend".into(), &"SC".into())
    );
    assert_eq!(
        (&line["backend"], &line["client_id"]),
        (&Value::Null, &"lost".into())
    );
    assert_eq!(
        (lb.errors("a", "refused"), lb.errors("b", "refused")),
        (1, 1)
    );
    let known = lb.pool().with_table(|table| table.len());
    assert_eq!(known, Some(0), "nobody took it, nobody owns it");
}

#[tokio::test]
async fn a_backend_that_does_not_answer_leaves_time_for_the_next() {
    // A listener whose queue is full leaves further SYNs unanswered.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    socket2::SockRef::from(&silent).listen(0).unwrap();
    let address = silent.local_addr().unwrap();
    let filling: Vec<_> = (0..4)
        .map(|_| tokio::spawn(tokio::net::TcpStream::connect(address)))
        .collect();
    tokio::time::sleep(Duration::from_millis(100)).await;

    let broker = Broker::start();
    let limit = Duration::from_millis(800);
    let lb = Lb::with(&[address, broker.address], |config| {
        config.timeouts.connect = limit
    })
    .await;
    let begin = Instant::now();
    let _pair = lb.open(&broker, "patient").await;
    assert!(begin.elapsed() >= limit / 2 - Duration::from_millis(20));
    assert_eq!(lb.errors("a", "timeout"), 1);
    assert_eq!(lb.owner("patient"), "b");
    filling.iter().for_each(tokio::task::JoinHandle::abort);
}

#[tokio::test]
async fn a_broker_without_connack_is_left_at_its_deadline() {
    let broker = Broker::start();
    let due = Duration::from_millis(300);
    let lb = Lb::with(&[broker.address], |config| config.timeouts.connack = due).await;
    let mut client = client(lb.address).await;
    let packet = connect("ignored");
    client.write_all(&packet).await.unwrap();
    let begin = Instant::now();
    let mut server = broker.accept().await;
    let wanted = [lb.header(&client), packet].concat();
    assert_same(&read(&mut server, wanted.len()).await, &wanted);
    server.write_all(&[0x20]).await.unwrap();
    let (got, _) = read_out(&mut client).await;
    assert_eq!(got, [0x20], "half a CONNACK is none");
    assert!(begin.elapsed() >= due - Duration::from_millis(50));
    closed(&mut server).await;
    let line = lb.session().await;
    assert_eq!(
        (&line["end"], &line["termination"]),
        (&"connack_timeout".into(), &"sH".into())
    );
}

#[tokio::test]
async fn after_the_connack_no_deadline_is_left() {
    let broker = Broker::start();
    let lb = Lb::with(&[broker.address], |config| {
        config.timeouts.connack = Duration::from_millis(200);
        config.timeouts.connect_packet = Duration::from_millis(200);
    })
    .await;
    let (mut client, mut server) = lb.open(&broker, "idle").await;
    tokio::time::sleep(Duration::from_millis(600)).await;
    client.write_all(b"up").await.unwrap();
    assert_eq!(read(&mut server, 2).await, b"up");
    server.write_all(b"down").await.unwrap();
    assert_eq!(read(&mut client, 4).await, b"down");
}
