//! A CONNECT that one broker does not take goes on to the next, and the client sees
//! only the one that does.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;

use crate::bytes::{CONNACK, assert_same, connect, pattern};
use crate::ends::{Broker, acknowledged, client, nobody, read, read_out, reset};
use crate::lb::Lb;

/// CONNACK of MQTT 5 with this code.
pub fn connack(code: u8) -> [u8; 5] {
    [0x20, 3, 0, code, 0]
}

/// The connection on which a broker has got exactly the client's header and `bytes`.
pub async fn asked(lb: &Lb, client: &TcpStream, broker: &Broker, bytes: &[u8]) -> TcpStream {
    let mut server = broker.accept().await;
    let wanted = [&lb.header(client), bytes].concat();
    assert_same(&read(&mut server, wanted.len()).await, &wanted);
    server
}

/// What reaches a client, and what it sends, once a broker has taken it.
async fn talk(client: &mut TcpStream, server: &mut TcpStream) {
    server
        .write_all(&[CONNACK, b"down"].concat())
        .await
        .unwrap();
    assert_eq!(read(client, 8).await, [CONNACK, b"down"].concat());
    client.write_all(b"up").await.unwrap();
    assert_eq!(read(server, 2).await, b"up");
}

fn replayed(lb: &Lb) -> u64 {
    lb.metric(
        "failover_total",
        &[("pool", "pool"), ("result", "replayed")],
    )
}

fn addresses<const N: usize>(brokers: &[Broker; N]) -> [SocketAddr; N] {
    brokers.each_ref().map(|broker| broker.address)
}

#[tokio::test]
async fn a_client_moves_to_the_broker_that_takes_it() {
    for code in [0x03, 0x88, 0x89, 0x97, 0x9c, 0x9d] {
        let brokers = [Broker::start(), Broker::start()];
        let lb = Lb::start(&addresses(&brokers)).await;
        drop(lb.open(&brokers[0], "mover").await);
        assert_eq!(lb.session().await["sticky"], "new");

        let mut client = client(lb.address).await;
        let packet = connect("mover");
        client.write_all(&packet).await.unwrap();
        let mut refusing = asked(&lb, &client, &brokers[0], &packet).await;
        refusing.write_all(&connack(code)).await.unwrap();
        let mut taking = asked(&lb, &client, &brokers[1], &packet).await;
        assert_eq!(read_out(&mut refusing).await.0, b"", "{code:#x}");
        assert_eq!(lb.owner("mover"), "a", "nobody has taken it so far");
        talk(&mut client, &mut taking).await;
        assert_eq!(lb.owner("mover"), "b");
        drop((client, taking));

        let line = &lb.sessions(2).await[1];
        assert_eq!(line["backend"], "b", "{code:#x}");
        assert_eq!(
            (&line["sticky"], &line["connack"]),
            (&"moved".into(), &0.into())
        );
        assert_eq!(line["bytes_up"], packet.len() + 2);
        assert_eq!(line["bytes_down"], 8, "one CONNACK");
        assert_eq!((lb.errors("a", "connack"), replayed(&lb)), (1, 1));
        let sessions = |name| lb.metric("sessions_total", &[("pool", "pool"), ("backend", name)]);
        assert_eq!((sessions("a"), sessions("b")), (1, 1));
    }
}

#[tokio::test]
async fn pipelined_packets_reach_the_taker_once_and_in_order() {
    let brokers = [Broker::start(), Broker::start()];
    let lb = Lb::start(&addresses(&brokers)).await;
    let (with, later) = (pattern(1, 3_000), pattern(2, 200_000));
    let mut client = client(lb.address).await;
    let first = [connect("p"), with].concat();
    client.write_all(&first).await.unwrap();
    let mut refusing = asked(&lb, &client, &brokers[0], &first).await;
    let (mut reader, mut writer) = client.into_split();
    let sent = later.clone();
    let sending = tokio::spawn(async move {
        writer.write_all(&sent).await.unwrap();
        writer
    });
    tokio::time::sleep(Duration::from_millis(100)).await;
    refusing.write_all(&connack(0x88)).await.unwrap();
    assert_eq!(read_out(&mut refusing).await.0, b"", "held back from it");

    let mut taking = asked(&lb, reader.as_ref(), &brokers[1], &first).await;
    let answer = [CONNACK, &pattern(3, 100_000)].concat();
    let (mut source, mut sink) = taking.split();
    let mut got = vec![0; answer.len()];
    let mut up = vec![0; later.len()];
    let (down, written, read) = tokio::join!(
        tokio::io::AsyncReadExt::read_exact(&mut reader, &mut got),
        sink.write_all(&answer),
        tokio::io::AsyncReadExt::read_exact(&mut source, &mut up),
    );
    down.unwrap();
    written.unwrap();
    read.unwrap();
    assert_same(&got, &answer);
    assert_same(&up, &later);
    drop((reader, sending.await.unwrap(), taking));
    let line = lb.session().await;
    assert_eq!(line["bytes_up"], first.len() + later.len());
    assert_eq!(line["bytes_down"], answer.len());
}

#[tokio::test]
async fn a_broker_that_ends_without_a_connack_is_left() {
    // A close, a reset, a refusal and an acceptance that are cut.
    let ends: [(&[u8], bool); 4] = [
        (b"", false),
        (b"", true),
        (b"\x20\x03\0\x88", false),
        (b"\x20\x02\0", true),
    ];
    for (bytes, abort) in ends {
        let brokers = [Broker::start(), Broker::start()];
        let lb = Lb::start(&addresses(&brokers)).await;
        let mut client = client(lb.address).await;
        client.write_all(&connect("c")).await.unwrap();
        let mut ending = asked(&lb, &client, &brokers[0], &connect("c")).await;
        ending.write_all(bytes).await.unwrap();
        if abort {
            reset(ending).await;
        } else {
            drop(ending);
        }
        let mut taking = asked(&lb, &client, &brokers[1], &connect("c")).await;
        talk(&mut client, &mut taking).await;
        assert_eq!(lb.errors("a", "closed"), 1, "{bytes:?}");
        assert_eq!(lb.owner("c"), "b");
    }
}

#[tokio::test]
async fn a_connack_in_pieces_is_judged_when_it_is_whole() {
    for (answer, taker) in [(connack(0x88), 1), (connack(0), 0)] {
        let brokers = [Broker::start(), Broker::start()];
        let lb = Lb::start(&addresses(&brokers)).await;
        let mut client = client(lb.address).await;
        client.write_all(&connect("c")).await.unwrap();
        let mut first = asked(&lb, &client, &brokers[0], &connect("c")).await;
        first.set_nodelay(true).unwrap();
        for byte in answer {
            assert!(brokers[1].is_alone().await);
            first.write_all(&[byte]).await.unwrap();
        }
        if taker == 0 {
            assert_eq!(read(&mut client, 5).await, answer);
            assert!(brokers[1].is_alone().await);
            assert_eq!(replayed(&lb), 0);
        } else {
            let mut taking = asked(&lb, &client, &brokers[1], &connect("c")).await;
            talk(&mut client, &mut taking).await;
        }
    }
}

#[tokio::test]
async fn a_broker_that_hangs_leaves_time_for_the_next() {
    let brokers = [Broker::start(), Broker::start()];
    let limit = Duration::from_millis(800);
    let lb = Lb::with(&addresses(&brokers), |config| {
        config.timeouts.connack = limit;
    })
    .await;
    let mut client = client(lb.address).await;
    let begin = Instant::now();
    client.write_all(&connect("c")).await.unwrap();
    let mut hanging = asked(&lb, &client, &brokers[0], &connect("c")).await;
    hanging.write_all(&[0x20]).await.unwrap();
    acknowledged(&hanging).await;
    let mut taking = asked(&lb, &client, &brokers[1], &connect("c")).await;
    assert!(begin.elapsed() >= limit / 2 - Duration::from_millis(20));
    assert_eq!(read_out(&mut hanging).await.0, b"");
    talk(&mut client, &mut taking).await;
    assert_eq!(lb.errors("a", "connack_timeout"), 1);

    drop((client, taking));
    assert_eq!(lb.session().await["backend"], "b");

    // The last one has what is left.
    let mut other = crate::ends::client(lb.address).await;
    let begin = Instant::now();
    other.write_all(&connect("other")).await.unwrap();
    let _second = asked(&lb, &other, &brokers[1], &connect("other")).await;
    let _first = asked(&lb, &other, &brokers[0], &connect("other")).await;
    crate::ends::closed(&mut other).await;
    let took = begin.elapsed();
    assert!(took >= limit - Duration::from_millis(50), "{took:?}");
    assert!(took < limit * 2, "{took:?}");
    drop(other);
    let line = &lb.sessions(2).await[1];
    assert_eq!(
        (&line["end"], &line["backend"]),
        (&"connack_timeout".into(), &"a".into())
    );
    assert_eq!(
        (
            lb.errors("a", "connack_timeout"),
            lb.errors("b", "connack_timeout")
        ),
        (2, 1)
    );
}

#[tokio::test]
async fn when_all_refuse_the_client_gets_the_last_answer() {
    let brokers = [Broker::start(), Broker::start()];
    let lb = Lb::start(&addresses(&brokers)).await;
    let mut client = client(lb.address).await;
    client.write_all(&connect("c")).await.unwrap();
    for (broker, code) in brokers.iter().zip([0x88, 0x9d]) {
        let mut server = asked(&lb, &client, broker, &connect("c")).await;
        server.write_all(&connack(code)).await.unwrap();
    }
    let (got, end) = read_out(&mut client).await;
    end.unwrap();
    assert_eq!(got, connack(0x9d));
    drop(client);
    let line = lb.session().await;
    assert_eq!(
        (lb.errors("a", "connack"), lb.errors("b", "connack")),
        (1, 1)
    );
    let known = lb.pool().with_table(|table| table.len());
    assert_eq!(known, Some(0), "nobody took it, nobody owns it");
    assert_eq!(line["sticky"], serde_json::Value::Null);
    assert_eq!(
        (&line["backend"], &line["connack"]),
        (&"b".into(), &0x9d.into())
    );
    assert_eq!(line["end"], "backend_closed");
}

#[tokio::test]
async fn when_no_other_is_reached_the_client_gets_the_answer_there_was() {
    let broker = Broker::start();
    let lb = Lb::start(&[broker.address, nobody()]).await;
    let mut client = client(lb.address).await;
    client.write_all(&connect("c")).await.unwrap();
    let mut server = asked(&lb, &client, &broker, &connect("c")).await;
    server.write_all(&connack(0x89)).await.unwrap();
    assert_eq!(read(&mut client, 5).await, connack(0x89));
    let known = lb.pool().with_table(|table| table.len());
    assert_eq!(known, Some(0), "it has said that it does not");
    assert_eq!(
        (lb.errors("a", "connack"), lb.errors("b", "refused")),
        (1, 1)
    );
    assert_eq!(replayed(&lb), 0);
    drop((client, server));
    let line = lb.session().await;
    assert_eq!(
        (&line["backend"], &line["connack"]),
        (&"a".into(), &0x89.into())
    );
}
