//! The balancer of a test: one listener, one pool, in the test's own runtime.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use arc_swap::ArcSwap;
use mqtt_lb_user::backend::{Pool, Pools, proxy};
use mqtt_lb_user::config::{Backend, Config, LogFormat, PathKind, ProxyProtocol, Stick};
use mqtt_lb_user::datapath::Paths;
use mqtt_lb_user::flow::{Listener, Shared, accept};
use mqtt_lb_user::ids::Ids;
use mqtt_lb_user::metrics::Metrics;
use serde_json::Value;
use tokio::io::AsyncWriteExt as _;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

use crate::bytes::{CONNACK, assert_same, connect};
use crate::ends::{Broker, client, read, until};
use crate::log;

const POOL: &str = "pool";

pub struct Lb {
    pub address: SocketAddr,
    pub shared: Arc<Shared>,
    pub listener: Arc<Listener>,
    /// Stops accepting.
    pub close: watch::Sender<bool>,
    /// Ends all connections.
    pub stop: watch::Sender<bool>,
}

impl Lb {
    /// A balancer with the default settings and a stick table in front of these
    /// backends, whose names are a, b, c and so on.
    pub async fn start(backends: &[SocketAddr]) -> Self {
        Self::with(backends, |_| {}).await
    }

    /// A balancer whose settings the test has changed.
    pub async fn with(backends: &[SocketAddr], change: impl FnOnce(&mut Config)) -> Self {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        log::collect();
        let name = format!("listener{}", COUNT.fetch_add(1, Ordering::Relaxed));
        let socket = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = socket.local_addr().unwrap();
        let mut config = settings(backends);
        config.listeners.insert(
            name.clone(),
            mqtt_lb_user::config::Listener {
                bind: address,
                pool: POOL.to_owned(),
                routes: Vec::new(),
                backlog: 1,
            },
        );
        change(&mut config);
        let metrics = Arc::new(Metrics::new());
        let (stop, stopping) = watch::channel(false);
        let (close, closing) = watch::channel(false);
        let listener = Arc::new(Listener::new(&name, &metrics));
        let shared = Arc::new(Shared {
            pools: Arc::new(Pools::new(&config, &metrics)),
            paths: Paths::new(Vec::new(), &metrics),
            config: ArcSwap::from_pointee(config),
            open: AtomicUsize::new(0),
            detached: AtomicUsize::new(0),
            live: Arc::default(),
            ids: Ids::new(&Default::default(), Instant::now()),
            listeners: Vec::new(),
            stop: stopping,
            metrics,
        });
        tokio::spawn(accept(socket, listener.clone(), shared.clone(), closing));
        Self {
            address,
            shared,
            listener,
            close,
            stop,
        }
    }

    /// The pool.
    pub fn pool(&self) -> Arc<Pool> {
        self.shared.pools.get(POOL).unwrap()
    }

    /// The header that a broker gets in front of this client's bytes.
    pub fn header(&self, client: &TcpStream) -> Vec<u8> {
        let source = client.local_addr().unwrap();
        proxy::header(ProxyProtocol::V2, source, self.address)
    }

    /// A client whose CONNECT has been answered, and the broker's end.
    pub async fn open(&self, broker: &Broker, id: &str) -> (TcpStream, TcpStream) {
        let mut client = client(self.address).await;
        client.write_all(&connect(id)).await.unwrap();
        let mut server = broker.accept().await;
        let wanted = [self.header(&client), connect(id)].concat();
        assert_same(&read(&mut server, wanted.len()).await, &wanted);
        server.write_all(CONNACK).await.unwrap();
        assert_eq!(read(&mut client, CONNACK.len()).await, CONNACK);
        (client, server)
    }

    /// The log line of the only session there was, once it has ended.
    pub async fn session(&self) -> Value {
        let mut lines = self.sessions(1).await;
        lines.remove(0)
    }

    /// The log lines of so many sessions, once they have ended.
    pub async fn sessions(&self, count: usize) -> Vec<Value> {
        let lines = || log::sessions(&self.listener.name);
        until("the session's log line", || lines().len() >= count).await;
        until("the places", || self.is_empty()).await;
        assert_eq!(lines().len(), count, "sessions");
        lines()
    }

    /// Whether nothing is left of any connection.
    pub fn is_empty(&self) -> bool {
        let backends = self.pool().backends();
        self.shared.open.load(Ordering::Relaxed) == 0
            && self.pending() == 0
            && self.shared.metrics.buffered.get() == 0
            && backends.iter().all(|backend| backend.connections() == 0)
    }

    /// Clients that have not finished their CONNECT.
    pub fn pending(&self) -> usize {
        self.listener.pending.load(Ordering::Relaxed)
    }

    /// A metric's series, named as in the text format without `mqttlb_`; 0 if it is
    /// not there.
    pub fn metric(&self, name: &str, labels: &[(&str, &str)]) -> u64 {
        let text = self.shared.metrics.encode(&Default::default()).unwrap();
        let labels: Vec<_> = labels.iter().map(|(k, v)| format!("{k}=\"{v}\"")).collect();
        let series = format!("mqttlb_{name}{{{}}} ", labels.join(","));
        let value = text.lines().find_map(|line| line.strip_prefix(&series));
        value.map_or(0, |value| value.parse().unwrap())
    }

    /// The name of the backend that the table has for a client id.
    pub fn owner(&self, id: &str) -> String {
        let pool = self.pool();
        let found = pool.with_table(|table| table.peek(Instant::now(), id.as_bytes()));
        let found = found.unwrap().expect("an entry");
        let backends = pool.backends();
        let owner = backends.iter().find(|b| b.id == found).unwrap();
        owner.name.clone()
    }

    /// Tries of a backend that failed for this reason.
    pub fn errors(&self, backend: &str, reason: &str) -> u64 {
        let labels = [("pool", POOL), ("backend", backend), ("reason", reason)];
        self.metric("backend_errors_total", &labels)
    }

    /// Clients refused for this reason.
    pub fn refused(&self, reason: &str) -> u64 {
        let listener = self.listener.name.as_str();
        self.metric(
            "refused_total",
            &[("listener", listener), ("reason", reason)],
        )
    }
}

fn settings(backends: &[SocketAddr]) -> Config {
    let mut config = Config {
        datapath: vec![PathKind::Copy],
        ..Config::default()
    };
    config.log.format = LogFormat::Json;
    let backend = |(&address, name): (&SocketAddr, char)| Backend::new(&name.to_string(), address);
    let pool = mqtt_lb_user::config::Pool {
        health: None,
        stick: Some(Stick::default()),
        proxy_protocol: ProxyProtocol::V2,
        backends: backends.iter().zip('a'..).map(backend).collect(),
        ..Default::default()
    };
    config.pools.insert(POOL.to_owned(), pool);
    config
}
