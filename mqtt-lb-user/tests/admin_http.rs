//! `/metrics`, `/healthz` and `/readyz`, byte by byte.

mod admin_common;

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use mqtt_lb_user::admin::http::Server;
use mqtt_lb_user::admin::{Context, Phase};
use mqtt_lb_user::config::PathKind;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::timeout;

async fn get(address: SocketAddr, path: &str) -> (String, String) {
    let mut stream = TcpStream::connect(address).await.expect("connects");
    let request = format!("GET {path} HTTP/1.1\r\nHost: lb\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.expect("writes");
    let mut answer = String::new();
    let read = timeout(Duration::from_secs(20), stream.read_to_string(&mut answer)).await;
    read.expect("ends").expect("reads");
    let (head, body) = answer.split_once("\r\n\r\n").expect("head and body");
    (head.to_owned(), body.to_owned())
}

/// A served context; the sender ends it.
fn start() -> (SocketAddr, Arc<Context>, watch::Sender<bool>) {
    let server = Server::bind("127.0.0.1:0".parse().expect("address")).expect("binds");
    let address = server.address().expect("address");
    let context = admin_common::context();
    let (shutdown, stopped) = watch::channel(false);
    tokio::spawn(server.serve(Arc::clone(&context), stopped));
    (address, context, shutdown)
}

#[tokio::test]
async fn ready_only_while_serving_with_backends() {
    let (address, context, _shutdown) = start();
    let ready = async |status: &str, body: &str| {
        let (head, text) = get(address, "/readyz").await;
        assert!(head.starts_with(&format!("HTTP/1.1 {status}")), "{head}");
        assert_eq!(text, body);
        let (head, text) = get(address, "/healthz").await;
        assert!(head.starts_with("HTTP/1.1 200"), "{head}");
        assert_eq!(text, "ok\n");
    };
    ready("503", "starting\n").await;
    context.status.enter(Phase::Serving);
    ready("200", "ready\n").await;
    context.status.enter(Phase::Draining);
    ready("503", "draining\n").await;
}

#[tokio::test]
async fn metrics_hold_what_was_counted_and_what_is_sampled() {
    let (address, context, _shutdown) = start();
    let pool = context.pools.get("emqx").expect("pool");
    let backend = pool.backend("emqx1").expect("backend");
    pool.settle(Instant::now(), Some(b"c0"), &backend);
    context.metrics.listener("mqtt").accepted.inc();
    let (head, text) = get(address, "/metrics").await;
    assert!(head.starts_with("HTTP/1.1 200"), "{head}");
    let kind = "content-type: application/openmetrics-text; version=1.0.0; charset=utf-8";
    assert!(head.lines().any(|line| line == kind), "{head}");
    for line in [
        "mqttlb_connections_total{listener=\"mqtt\"} 1",
        "mqttlb_sessions_total{pool=\"emqx\",backend=\"emqx1\"} 1",
        "mqttlb_sticky_total{pool=\"emqx\",result=\"new\"} 1",
        "mqttlb_stick_table_entries{pool=\"emqx\"} 1",
        "mqttlb_stick_table_size{pool=\"emqx\"} 10240",
        "mqttlb_stick_table_evictions_total{pool=\"emqx\"} 0",
    ] {
        assert!(text.lines().any(|l| l == line), "no {line} in\n{text}");
    }
    let value = |name: &str| -> u64 {
        let line = text.lines().find_map(|l| l.strip_prefix(name));
        line.expect(name).trim().parse().expect("number")
    };
    assert!(value("process_resident_memory_bytes ") > 1 << 20);
    assert!((3..100_000).contains(&value("process_open_fds ")));
    assert!(text.ends_with("# EOF\n"));
    assert!(!text.contains("c0"), "a client id is a label");
}

#[tokio::test]
async fn other_paths_and_methods_are_refused() {
    let (address, _context, _shutdown) = start();
    assert!(get(address, "/").await.0.starts_with("HTTP/1.1 404"));
    let mut stream = TcpStream::connect(address).await.expect("connects");
    let request = b"DELETE /metrics HTTP/1.1\r\nHost: lb\r\nConnection: close\r\n\r\n";
    stream.write_all(request).await.expect("writes");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.expect("reads");
    assert!(answer.starts_with("HTTP/1.1 405"), "{answer}");
}

#[tokio::test]
async fn an_address_in_use_is_named() {
    let (address, _context, _shutdown) = start();
    let error = Server::bind(address).err().expect("in use").to_string();
    assert!(
        error.starts_with(&format!("[http] listen {address}: ")),
        "{error}"
    );
}

#[tokio::test]
async fn every_metric_is_documented() {
    let (address, context, _shutdown) = start();
    // A metric without series is not shown.
    context.metrics.listener("mqtt").refused("tls");
    context.metrics.listener("mqtt").routed("emqx");
    context.metrics.pool("emqx").snapshot();
    context.metrics.share_pool("emqx");
    context.metrics.backend("emqx", "emqx1").error("timeout");
    context.metrics.pool("emqx").ids.refused(5);
    let path = context.metrics.path(PathKind::Copy);
    path.moved("busy");
    path.refused("closing");
    let (_, text) = get(address, "/metrics").await;
    let exported = text
        .lines()
        .filter_map(|line| line.strip_prefix("# TYPE ")?.split_once(' '))
        .map(|(name, kind)| match kind {
            "counter" => format!("{name}_total"),
            _ => name.to_owned(),
        });
    let documented = include_str!("../../docs/observability.md")
        .lines()
        .filter_map(|line| line.strip_prefix("| `")?.split('`').next())
        .filter(|name| name.starts_with("mqttlb_") || name.starts_with("process_"))
        .map(str::to_owned);
    let exported: BTreeSet<_> = exported.collect();
    assert_eq!(exported, documented.collect::<BTreeSet<_>>());
}
