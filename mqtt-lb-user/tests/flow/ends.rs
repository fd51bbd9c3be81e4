//! What clients and brokers do: connect, accept, read to an end, reset.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use mqtt_lb_user::datapath::tcp;
use socket2::SockRef;
use tokio::io::AsyncReadExt as _;
use tokio::net::{TcpListener, TcpSocket, TcpStream};

/// A receive buffer that is full soon.
const SMALL: u32 = 16 * 1024;

/// Longer than anything here takes that does not wait for a deadline.
const PATIENCE: Duration = Duration::from_secs(20);

/// The result of what has to happen soon.
pub async fn soon<F: Future>(what: &str, future: F) -> F::Output {
    tokio::time::timeout(PATIENCE, future)
        .await
        .unwrap_or_else(|_| panic!("waited in vain for {what}"))
}

/// Waits until `done`.
pub async fn until(what: &str, mut done: impl FnMut() -> bool) {
    let look = async {
        while !done() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    soon(what, look).await;
}

/// A broker's listener; its connections are for the test to talk on.
pub struct Broker {
    pub address: SocketAddr,
    listener: TcpListener,
}

impl Broker {
    /// Listens. Its connections have small receive buffers.
    pub fn start() -> Self {
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_recv_buffer_size(SMALL).unwrap();
        socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let listener = socket.listen(16).unwrap();
        let address = listener.local_addr().unwrap();
        Self { address, listener }
    }

    /// The next connection.
    pub async fn accept(&self) -> TcpStream {
        let accepted = soon("a connection to the broker", self.listener.accept());
        accepted.await.unwrap().0
    }

    /// Whether nobody has connected, within 100 ms.
    pub async fn is_alone(&self) -> bool {
        let wait = Duration::from_millis(100);
        tokio::time::timeout(wait, self.listener.accept())
            .await
            .is_err()
    }
}

/// An address at which nobody listens.
pub fn nobody() -> SocketAddr {
    Broker::start().address
}

/// A client with a small receive buffer.
pub async fn client(address: SocketAddr) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(SMALL).unwrap();
    let stream = soon("a connection", socket.connect(address)).await.unwrap();
    stream.set_nodelay(true).unwrap();
    stream
}

/// So many bytes.
pub async fn read(stream: &mut TcpStream, len: usize) -> Vec<u8> {
    let mut bytes = vec![0; len];
    soon("bytes", stream.read_exact(&mut bytes)).await.unwrap();
    bytes
}

/// Everything up to the end, and how it ended.
pub async fn read_out(stream: &mut TcpStream) -> (Vec<u8>, io::Result<()>) {
    let mut bytes = Vec::new();
    let end = soon("the end of a stream", stream.read_to_end(&mut bytes)).await;
    (bytes, end.map(|_| ()))
}

/// Waits until the balancer has closed the connection, in whatever way, unanswered.
pub async fn closed(stream: &mut TcpStream) {
    assert_eq!(read_out(stream).await.0, b"", "bytes before the close");
}

/// Waits until the balancer's host has everything that was sent.
pub async fn acknowledged(stream: &TcpStream) {
    let queued = || tcp::unacknowledged(stream).unwrap();
    until("the acknowledgement", || queued() == 0).await;
}

/// Resets the connection behind everything that was sent.
pub async fn reset(stream: TcpStream) {
    acknowledged(&stream).await;
    let linger = SockRef::from(&stream).set_linger(Some(Duration::ZERO));
    linger.unwrap();
}

/// Sends as much of `bytes` as can be sent to a reader that does not read.
pub async fn stuff(stream: &TcpStream, bytes: &[u8]) -> usize {
    let mut sent = 0;
    let pause = Duration::from_millis(500);
    while let Ok(ready) = tokio::time::timeout(pause, stream.writable()).await {
        ready.unwrap();
        match stream.try_write(&bytes[sent..]) {
            Ok(n) => sent += n,
            Err(error) => assert_eq!(error.kind(), io::ErrorKind::WouldBlock),
        }
        assert!(sent < bytes.len(), "the reader's slowness never came back");
    }
    sent
}
