//! Publish and subscribe by real clients (rumqttc) through a real broker.

use std::cell::RefCell;
use std::io;
use std::rc::Rc;
use std::time::{Duration, Instant};

use rumqttc::{AsyncClient, Event, EventLoop, MqttOptions, Packet, QoS};
use serde_json::Value;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::task::LocalSet;
use tokio::time::{sleep, timeout};

use super::histogram::Histogram;
use super::job::Job;
use super::window::{Part, Window};
use super::wrong;

/// Messages under way from a publisher to its subscriber: the next one goes out when
/// one has come, so that no queue of the broker grows.
const UNDER_WAY: usize = 20;
/// Requests that wait for a client's connection.
const WAITING: usize = 2 * UNDER_WAY;
/// Time for all to connect and subscribe.
const PATIENCE: Duration = Duration::from_secs(20);
const KEEPALIVE: Duration = Duration::from_secs(3600);

/// Runs [`super::Work::PubSub`]. A message counts when its subscriber has it; its
/// latency begins when it is handed to the publishing client.
pub fn run(job: &Job, qos: u8, start: impl FnOnce() -> io::Result<()>) -> io::Result<Value> {
    let qos = match qos {
        0 => QoS::AtMostOnce,
        _ => QoS::AtLeastOnce,
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    LocalSet::new().block_on(&runtime, measure(job, qos, start))
}

async fn measure(job: &Job, qos: QoS, start: impl FnOnce() -> io::Result<()>) -> io::Result<Value> {
    let (sender, mut told) = unbounded_channel();
    let shared = Rc::new(Shared {
        epoch: Instant::now(),
        counts: RefCell::default(),
        told: sender,
    });
    let pairs = job.connections / 2;
    let mut publishers = Vec::new();
    for pair in 0..pairs {
        let (publisher, events) = client(job, 'p', pair);
        tokio::task::spawn_local(drive(events, Rc::clone(&shared), None));
        let (subscriber, events) = client(job, 's', pair);
        let source = Source {
            publisher,
            topic: format!("bench/{pair}"),
            qos,
            size: job.size,
        };
        let subscribed = subscriber.subscribe(&source.topic, qos).await;
        subscribed.map_err(|e| wrong(e.to_string()))?;
        tokio::task::spawn_local(drive(events, Rc::clone(&shared), Some(source.clone())));
        publishers.push((source, subscriber));
    }
    let ready = timeout(PATIENCE, all_ready(&mut told, 2 * pairs));
    ready
        .await
        .map_err(|_| wrong("not all clients are connected in time"))??;
    start()?;

    shared.counts.borrow_mut().window = Some(Window::new(job));
    for (source, _) in &publishers {
        for _ in 0..UNDER_WAY {
            source.send(shared.epoch)?;
        }
    }
    loop {
        if let Some(report) = shared.counts.borrow_mut().report() {
            return Ok(report);
        }
        tokio::select! {
            said = told.recv() => match said {
                Some(Err(e)) => return Err(wrong(e)),
                Some(Ok(())) => {}
                None => return Err(wrong("all clients have ended")),
            },
            () = sleep(Duration::from_millis(5)) => {}
        }
    }
}

/// Waits until so many clients have said that they are ready.
async fn all_ready(
    told: &mut UnboundedReceiver<Result<(), String>>,
    clients: usize,
) -> io::Result<()> {
    for _ in 0..clients {
        match told.recv().await {
            Some(said) => said.map_err(wrong)?,
            None => return Err(wrong("all clients have ended")),
        }
    }
    Ok(())
}

/// What all connections share.
struct Shared {
    epoch: Instant,
    counts: RefCell<Counts>,
    /// A client is ready, or why it has ended.
    told: UnboundedSender<Result<(), String>>,
}

#[derive(Default)]
struct Counts {
    window: Option<Window>,
    latencies: Histogram,
}

impl Counts {
    fn add(&mut self, latency: Duration) {
        let Some(window) = &mut self.window else {
            return;
        };
        if window.part(Instant::now()) == Part::Measured {
            self.latencies.add(latency);
        }
    }

    /// The report, when the window is over.
    fn report(&mut self) -> Option<Value> {
        let window = self.window.as_mut()?;
        let over = window.part(Instant::now()) == Part::Over;
        over.then(|| window.report(&self.latencies))
    }
}

/// What makes the messages of one subscriber.
#[derive(Clone)]
struct Source {
    publisher: AsyncClient,
    topic: String,
    qos: QoS,
    size: usize,
}

impl Source {
    /// Publishes a message with the time in it.
    fn send(&self, epoch: Instant) -> io::Result<()> {
        let mut payload = (epoch.elapsed().as_nanos() as u64).to_le_bytes().to_vec();
        payload.resize(self.size.max(8), b'x');
        let sent = self
            .publisher
            .try_publish(&self.topic, self.qos, false, payload);
        sent.map_err(|e| wrong(e.to_string()))
    }
}

fn client(job: &Job, role: char, number: usize) -> (AsyncClient, EventLoop) {
    let id = format!("{role}-{}-{number}", std::process::id());
    let mut options = MqttOptions::new(id, job.address.ip().to_string(), job.address.port());
    options.set_keep_alive(KEEPALIVE);
    options.set_inflight(WAITING as u16);
    let (client, mut events) = AsyncClient::new(options, WAITING);
    events.network_options.set_tcp_nodelay(true);
    (client, events)
}

/// Keeps a client going; a subscriber has what answers each message with the next.
async fn drive(mut events: EventLoop, shared: Rc<Shared>, source: Option<Source>) {
    loop {
        let done = match events.poll().await {
            Err(e) => Err(e.to_string()),
            Ok(Event::Incoming(packet)) => shared.take(&packet, source.as_ref()),
            Ok(Event::Outgoing(_)) => Ok(()),
        };
        if let Err(e) = done {
            let _over = shared.told.send(Err(e));
            return;
        }
    }
}

impl Shared {
    fn take(&self, packet: &Packet, source: Option<&Source>) -> Result<(), String> {
        match (packet, source) {
            (Packet::ConnAck(_), None) | (Packet::SubAck(_), Some(_)) => {
                let _over = self.told.send(Ok(()));
                Ok(())
            }
            (Packet::Publish(message), Some(source)) => {
                let time = message.payload.first_chunk().ok_or("not our message")?;
                let sent = Duration::from_nanos(u64::from_le_bytes(*time));
                let latency = self.epoch.elapsed().saturating_sub(sent);
                self.counts.borrow_mut().add(latency);
                source.send(self.epoch).map_err(|e| e.to_string())
            }
            _ => Ok(()),
        }
    }
}
