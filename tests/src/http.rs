//! The least HTTP client that reads `/metrics`, `/healthz` and `/readyz`.

use std::io::{self, Read, Write};
use std::net::SocketAddr;
use std::time::Duration;

use crate::netns::Netns;

/// Status code and body of `GET path`.
pub fn get(ns: &Netns, server: SocketAddr, path: &str) -> io::Result<(u16, String)> {
    let mut stream = ns.connect(server)?;
    stream.set_read_timeout(Some(Duration::from_secs(10)))?;
    let request = format!("GET {path} HTTP/1.1\r\nHost: {server}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes())?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
    let status = head.split(' ').nth(1).and_then(|code| code.parse().ok());
    let status = status.ok_or_else(|| io::Error::other(format!("not HTTP: {head:?}")))?;
    Ok((status, body.to_owned()))
}
