//! `/metrics`, `/healthz` and `/readyz`.

use std::io;
use std::net::{SocketAddr, TcpListener as StdListener};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use tokio::net::TcpListener;
use tokio::sync::watch;

use super::limited::Limited;
use super::{Context, stopped};

/// Connections at a time; more wait in the socket's backlog.
const CONNECTIONS: usize = 64;

/// Time a connection may live, whatever it does.
const LIFETIME: Duration = Duration::from_secs(60);

/// Time that answers under way get at the end.
const GRACE: Duration = Duration::from_secs(1);

/// Media type of the OpenMetrics text format (OpenMetrics 1.0, "Protocol negotiation").
const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// An open HTTP socket.
pub struct Server(StdListener);

impl Server {
    /// Opens the socket.
    ///
    /// # Errors
    /// Names the address and why it cannot be had.
    pub fn bind(address: SocketAddr) -> io::Result<Self> {
        let open = || {
            let listener = StdListener::bind(address)?;
            listener.set_nonblocking(true)?;
            Ok(Self(listener))
        };
        open().map_err(|error: io::Error| {
            io::Error::new(error.kind(), format!("[http] listen {address}: {error}"))
        })
    }

    /// The address in use; tells the port when the one asked for was 0.
    ///
    /// # Errors
    /// Those of `getsockname(2)`.
    pub fn address(&self) -> io::Result<SocketAddr> {
        self.0.local_addr()
    }

    /// Answers until `shutdown` is true or its sender is gone. As `/readyz` tells
    /// that the process is draining, that should be after the drain.
    ///
    /// # Errors
    /// The runtime cannot watch the socket.
    pub async fn serve(
        self,
        context: Arc<Context>,
        shutdown: watch::Receiver<bool>,
    ) -> io::Result<()> {
        let listener = Limited::new(TcpListener::from_std(self.0)?, CONNECTIONS, LIFETIME);
        let serve = axum::serve(listener, router(context))
            .with_graceful_shutdown(stopped(shutdown.clone()));
        tokio::select! {
            result = serve => result,
            () = async { stopped(shutdown).await; tokio::time::sleep(GRACE).await } => Ok(()),
        }
    }
}

fn router(context: Arc<Context>) -> Router {
    Router::new()
        .route("/metrics", get(metrics))
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/readyz", get(ready))
        .with_state(context)
}

async fn metrics(State(context): State<Arc<Context>>) -> Response {
    match context.scrape() {
        Ok(text) => ([(CONTENT_TYPE, OPEN_METRICS)], text).into_response(),
        Err(error) => {
            tracing::warn!("metrics cannot be written: {error}");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}

async fn ready(State(context): State<Arc<Context>>) -> (StatusCode, String) {
    match context.not_ready() {
        None => (StatusCode::OK, "ready\n".to_owned()),
        Some(reason) => (StatusCode::SERVICE_UNAVAILABLE, format!("{reason}\n")),
    }
}
