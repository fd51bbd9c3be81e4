//! What a health check sends, and what it makes of the answers.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use mqtt_lb_user::backend::check::{Alive, Check};
use mqtt_lb_user::config::{CheckKind, ProxyProtocol};
use mqtt_lb_user::connect::{Limits, Reader, Status};
use ppp::{v1, v2};
use tokio::io::AsyncReadExt;

use crate::broker::{ACCEPTED, Broker, Seen};

const DISCONNECT: &[u8] = &[0xe0, 0];

fn check(address: SocketAddr, kind: CheckKind, proxy: ProxyProtocol) -> Check {
    Check {
        address,
        kind,
        proxy,
        timeout: Duration::from_secs(5),
        client_id: "mqtt-lb-check-0000002a".to_owned(),
    }
}

fn mqtt(address: SocketAddr) -> Check {
    check(address, CheckKind::Mqtt, ProxyProtocol::Off)
}

/// Asserts that the first segment starts with a whole v2 header that names the check's
/// own address, and returns what follows it.
fn behind_header(seen: &Seen, broker: SocketAddr) -> &[u8] {
    assert_eq!(seen.segments, 1, "header and CONNECT in one segment");
    let header = v2::Header::try_from(&seen.first[..]).expect("a whole header");
    assert_eq!(header.command, v2::Command::Proxy);
    let v2::Addresses::IPv4(addresses) = header.addresses else {
        panic!("not IPv4: {:?}", header.addresses);
    };
    let src = (addresses.source_address, addresses.source_port);
    let dst = (addresses.destination_address, addresses.destination_port);
    assert_eq!(
        (SocketAddr::from(src), SocketAddr::from(dst)),
        (seen.peer, broker)
    );
    &seen.first[header.len()..]
}

/// Asserts that the bytes are exactly one CONNECT, as this project's reader reads it.
fn assert_connect(bytes: &[u8]) {
    let limits = Limits {
        buffer: 1024,
        properties: 1024,
    };
    let mut reader = Reader::new(limits);
    let len = bytes.len();
    assert_eq!(reader.advance(bytes), Ok(Status::Complete { len }));
    let connect = reader.view(bytes).expect("a client id");
    assert_eq!(connect.client_id(), b"mqtt-lb-check-0000002a");
    assert_eq!((connect.level(), connect.clean()), (4, true));
}

#[tokio::test]
async fn tcp_check_of_a_proxy_backend_sends_the_header_at_once() {
    let broker = Broker::start(None).await;
    let address = broker.address;
    let check = check(address, CheckKind::Tcp, ProxyProtocol::V2);
    assert_eq!(check.run().await.unwrap(), Alive { connack: None });
    let seen = broker.only().await;
    assert_eq!(behind_header(&seen, address), b"");
    assert_eq!((&seen.rest[..], seen.fin), (&b""[..], true));
}

#[tokio::test]
async fn tcp_check_without_proxy_sends_nothing() {
    let broker = Broker::start(None).await;
    let check = check(broker.address, CheckKind::Tcp, ProxyProtocol::Off);
    check.run().await.unwrap();
    let seen = broker.only().await;
    assert_eq!((&seen.first[..], seen.fin), (&b""[..], true));
}

#[tokio::test]
async fn mqtt_check_connects_and_leaves_in_order() {
    let broker = Broker::start(Some(ACCEPTED)).await;
    let address = broker.address;
    let check = check(address, CheckKind::Mqtt, ProxyProtocol::V2);
    assert_eq!(check.run().await.unwrap(), Alive { connack: Some(0) });
    let seen = broker.only().await;
    assert_connect(behind_header(&seen, address));
    assert_eq!((&seen.rest[..], seen.fin), (DISCONNECT, true));
}

#[tokio::test]
async fn mqtt_check_with_a_text_header() {
    let broker = Broker::start(Some(ACCEPTED)).await;
    let check = check(broker.address, CheckKind::Mqtt, ProxyProtocol::V1);
    check.run().await.unwrap();
    let seen = broker.only().await;
    assert_eq!(seen.segments, 1);
    let header = v1::Header::try_from(&seen.first[..]).expect("a whole header");
    assert_connect(&seen.first[header.header.len()..]);
}

#[tokio::test]
async fn a_refusing_connack_is_alive_and_gets_no_disconnect() {
    let broker = Broker::start(Some(&[0x20, 2, 0, 5])).await;
    let alive = mqtt(broker.address).run().await.unwrap();
    assert_eq!(alive.connack, Some(5));
    let seen = broker.only().await;
    assert_eq!((&seen.rest[..], seen.fin), (&b""[..], true));
}

#[tokio::test]
async fn a_broker_that_never_answers_fails_at_the_timeout() {
    let broker = Broker::start(None).await;
    let mut check = mqtt(broker.address);
    check.timeout = Duration::from_millis(100);
    let started = Instant::now();
    let error = check.run().await.unwrap_err();
    assert!(started.elapsed() >= check.timeout);
    assert!(!error.is_local());
    assert_eq!(
        error.to_string(),
        format!("{} sent no CONNACK within 100ms", check.address)
    );
}

#[tokio::test]
async fn half_a_connack_is_none() {
    let broker = Broker::start(Some(&ACCEPTED[..3])).await;
    let mut check = mqtt(broker.address);
    check.timeout = Duration::from_millis(100);
    let error = check.run().await.unwrap_err().to_string();
    assert!(error.ends_with("sent no CONNACK within 100ms"), "{error}");
}

#[tokio::test]
async fn garbage_is_not_a_connack() {
    for (answer, shown) in [
        (&b"HTTP/1.1 400 Bad Request\r\n"[..], "48 54 54 50"),
        (&[0x20, 3, 0, 0, 0], "20 03 00 00"),
        (&[0x30, 2, 0, 0], "30 02 00 00"),
    ] {
        let broker = Broker::start(Some(answer)).await;
        let error = mqtt(broker.address).run().await.unwrap_err();
        assert_eq!(
            error.to_string(),
            format!(
                "{} answered with something that is no CONNACK ({shown})",
                broker.address
            )
        );
    }
}

#[tokio::test]
async fn a_broker_that_closes_or_resets_is_told_with_the_likely_cause() {
    // Closing with the CONNECT unread makes the kernel send a reset instead of a FIN.
    for read in [true, false] {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let close = async {
            let (mut stream, _) = listener.accept().await.unwrap();
            stream.readable().await.unwrap();
            if read {
                assert_ne!(stream.read(&mut [0; 64]).await.unwrap(), 0);
            }
        };
        let check = mqtt(address);
        let (result, ()) = tokio::join!(check.run(), close);
        assert_eq!(
            result.unwrap_err().to_string(),
            format!(
                "{address} closed the connection without a CONNACK; \
                 does proxy_protocol fit what it expects?"
            )
        );
    }
}

#[tokio::test]
async fn a_refused_connection_is_told_with_the_address() {
    let broker = Broker::start(None).await;
    let address = broker.address;
    drop(broker);
    tokio::task::yield_now().await;
    let error = mqtt(address).run().await.unwrap_err();
    assert_eq!(
        error.to_string(),
        format!("connect to {address}: connection refused")
    );
}
