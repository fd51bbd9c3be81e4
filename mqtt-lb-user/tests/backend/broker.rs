//! A broker of a few lines that notes what every connection does.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::AbortHandle;

use crate::segments::data_segments_in;

/// CONNACK of MQTT 3.1.1, accepted.
pub const ACCEPTED: &[u8] = &[0x20, 2, 0, 0];

/// What one connection did.
pub struct Seen {
    /// Where it came from.
    pub peer: SocketAddr,
    /// What the first read returned.
    pub first: Vec<u8>,
    /// TCP segments with data until then.
    pub segments: u32,
    /// What came after the answer.
    pub rest: Vec<u8>,
    /// Whether it ended with a FIN, not with a reset.
    pub fin: bool,
}

/// Listens until dropped.
pub struct Broker {
    pub address: SocketAddr,
    seen: Arc<Mutex<Vec<Seen>>>,
    answer: Arc<Mutex<Option<Vec<u8>>>>,
    task: AbortHandle,
}

impl Broker {
    /// A broker that answers the first bytes it reads; with `None` it never does.
    pub async fn start(answer: Option<&[u8]>) -> Self {
        Self::start_at("127.0.0.1:0".parse().unwrap(), answer).await
    }

    pub async fn start_at(address: SocketAddr, answer: Option<&[u8]>) -> Self {
        let listener = TcpListener::bind(address).await.expect("bind");
        let address = listener.local_addr().expect("an address");
        let seen = Arc::default();
        let answer = Arc::new(Mutex::new(answer.map(<[u8]>::to_vec)));
        let task = tokio::spawn(serve(listener, Arc::clone(&seen), Arc::clone(&answer)));
        Self {
            address,
            seen,
            answer,
            task: task.abort_handle(),
        }
    }

    /// Changes the answer of later connections.
    pub fn answer(&self, answer: Option<&[u8]>) {
        *self.answer.lock().unwrap() = answer.map(<[u8]>::to_vec);
    }

    /// Connections that have ended so far.
    pub fn ended(&self) -> usize {
        self.seen.lock().unwrap().len()
    }

    /// Waits for the end of the only connection there is.
    pub async fn only(self) -> Seen {
        until("the connection to end", || self.ended() > 0).await;
        let mut seen = std::mem::take(&mut *self.seen.lock().unwrap());
        assert_eq!(seen.len(), 1, "more than one connection");
        seen.remove(0)
    }

    /// What all connections that have ended did.
    pub fn all(&self) -> Vec<Seen> {
        std::mem::take(&mut *self.seen.lock().unwrap())
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve(
    listener: TcpListener,
    seen: Arc<Mutex<Vec<Seen>>>,
    answer: Arc<Mutex<Option<Vec<u8>>>>,
) {
    loop {
        let (stream, peer) = listener.accept().await.expect("accept");
        let (seen, answer) = (Arc::clone(&seen), answer.lock().unwrap().clone());
        tokio::spawn(async move {
            let connection = talk(stream, peer, answer).await;
            seen.lock().unwrap().push(connection);
        });
    }
}

async fn talk(mut stream: TcpStream, peer: SocketAddr, answer: Option<Vec<u8>>) -> Seen {
    let mut first = vec![0; 1024];
    let read = stream.read(&mut first).await;
    first.truncate(*read.as_ref().unwrap_or(&0));
    let segments = data_segments_in(&stream);
    if let (false, Some(answer)) = (first.is_empty(), &answer) {
        stream.write_all(answer).await.expect("answer");
    }
    let mut rest = Vec::new();
    let end = stream.read_to_end(&mut rest).await;
    Seen {
        peer,
        first,
        segments,
        rest,
        fin: read.is_ok() && end.is_ok(),
    }
}

/// Waits until `done`, five seconds at most.
pub async fn until(what: &str, mut done: impl FnMut() -> bool) {
    for _ in 0..1000 {
        if done() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    panic!("waited in vain for {what}");
}
