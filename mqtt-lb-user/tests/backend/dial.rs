//! Connecting: socket options and errors.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use mqtt_lb_user::backend::dial::{self, Tuning};
use socket2::{Domain, SockRef, Socket, Type};
use tokio::net::TcpListener;

fn within(time: Duration) -> Instant {
    Instant::now() + time
}

#[tokio::test]
async fn a_connection_has_nodelay_and_keepalive() {
    for bind in ["127.0.0.1:0", "[::1]:0"] {
        let listener = TcpListener::bind(bind).await.unwrap();
        let address = listener.local_addr().unwrap();
        let deadline = within(Duration::from_secs(5));
        let stream = dial::connect(
            address,
            deadline,
            Duration::from_secs(120),
            &Tuning::default(),
        )
        .await
        .unwrap();
        let socket = SockRef::from(&stream);
        assert!(socket.tcp_nodelay().unwrap());
        assert!(socket.keepalive().unwrap());
        assert_eq!(socket.tcp_keepalive_time().unwrap().as_secs(), 120);
        assert_eq!(socket.tcp_keepalive_interval().unwrap().as_secs(), 30);
        assert_eq!(socket.tcp_keepalive_retries().unwrap(), 4);
    }
}

#[tokio::test]
async fn keepalive_of_zero_is_off() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let deadline = within(Duration::from_secs(5));
    let stream = dial::connect(address, deadline, Duration::ZERO, &Tuning::default())
        .await
        .unwrap();
    assert!(!SockRef::from(&stream).keepalive().unwrap());
}

#[tokio::test]
async fn a_closed_port_refuses() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let deadline = within(Duration::from_secs(5));
    let error = dial::connect(address, deadline, Duration::ZERO, &Tuning::default())
        .await
        .unwrap_err();
    assert_eq!(error.reason(), "refused");
}

/// A listener whose accept queue is full: Linux leaves further SYNs unanswered.
fn full() -> (SocketAddr, Vec<Socket>) {
    let socket = || Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    let listener = socket();
    let any: SocketAddr = "127.0.0.1:0".parse().unwrap();
    listener.bind(&any.into()).unwrap();
    listener.listen(0).unwrap();
    let address = listener.local_addr().unwrap();
    let mut held = vec![listener];
    for _ in 0..4 {
        let client = socket();
        client.set_nonblocking(true).unwrap();
        // In progress or established: both fill the queue.
        let _ = client.connect(&address);
        held.push(client);
    }
    (address.as_socket().unwrap(), held)
}

#[tokio::test]
async fn a_host_that_does_not_answer_times_out_at_the_deadline() {
    let (address, _held) = full();
    let deadline = within(Duration::from_millis(300));
    let error = dial::connect(address, deadline, Duration::ZERO, &Tuning::default())
        .await
        .unwrap_err();
    assert!(Instant::now() >= deadline);
    assert_eq!(error.reason(), "timeout");
    let told = error.to_string();
    let start = format!("connect to {address} timed out after ");
    assert!(told.starts_with(&start), "{told}");
}

#[tokio::test]
async fn a_deadline_that_has_passed_is_a_timeout() {
    let (address, _held) = full();
    let past = Instant::now();
    tokio::time::sleep(Duration::from_millis(5)).await;
    let error = dial::connect(address, past, Duration::ZERO, &Tuning::default())
        .await
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        format!("connect to {address} timed out after 0s")
    );
}
