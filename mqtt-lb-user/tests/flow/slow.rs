//! A reader slower than its sender stops the sender, and userspace holds little.

use tokio::net::TcpStream;

use crate::bytes::{assert_same, pattern};
use crate::ends::{Broker, read, stuff, until};
use crate::lb::Lb;

const BUFFER: usize = 16 * 1024;
const PLENTY: usize = 64 << 20;

fn held(lb: &Lb) -> usize {
    usize::try_from(lb.shared.metrics.buffered.get()).unwrap()
}

async fn stall(stream: &TcpStream, seed: u64) -> Vec<u8> {
    let mut bytes = pattern(seed, PLENTY);
    let sent = stuff(stream, &bytes).await;
    bytes.truncate(sent);
    bytes
}

async fn flow() -> (Lb, Broker, TcpStream, TcpStream) {
    let broker = Broker::start();
    let lb = Lb::with(&[broker.address], |config| {
        config.limits.copy_buffer = BUFFER
    })
    .await;
    let (client, server) = lb.open(&broker, "slow").await;
    (lb, broker, client, server)
}

#[tokio::test]
async fn a_slow_broker_stops_its_client() {
    let (lb, _broker, client, mut server) = flow().await;
    let sent = stall(&client, 1).await;
    assert!((1..=BUFFER).contains(&held(&lb)), "{}", held(&lb));
    assert_same(&read(&mut server, sent.len()).await, &sent);
    until("empty buffers", || held(&lb) == 0).await;
}

#[tokio::test]
async fn a_slow_client_stops_its_broker() {
    let (lb, _broker, mut client, server) = flow().await;
    let sent = stall(&server, 2).await;
    assert!((1..=BUFFER).contains(&held(&lb)), "{}", held(&lb));
    assert_same(&read(&mut client, sent.len()).await, &sent);
    until("empty buffers", || held(&lb) == 0).await;
}

#[tokio::test]
async fn two_slow_readers_stop_each_other_and_one_that_reads_is_not_stopped() {
    let (lb, _broker, mut client, mut server) = flow().await;
    let up = stall(&client, 3).await;
    let one = held(&lb);
    assert!((1..=BUFFER).contains(&one), "{one}");
    let down = stall(&server, 4).await;
    let both = held(&lb);
    assert!((one + 1..=2 * BUFFER).contains(&both), "{both}");
    assert_same(&read(&mut client, down.len()).await, &down);
    until("the empty buffer", || held(&lb) == one).await;
    assert_same(&read(&mut server, up.len()).await, &up);
    until("empty buffers", || held(&lb) == 0).await;

    drop((client, server));
    let line = lb.session().await;
    assert_eq!(line["bytes_down"], down.len() + 4);
    assert_eq!(
        line["bytes_up"],
        up.len() + crate::bytes::connect("slow").len()
    );
}
