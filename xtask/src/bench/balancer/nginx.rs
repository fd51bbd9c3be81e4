//! nginx's configuration, and the script that finds the client id: together they do
//! what NGINX Plus does with `mqtt_preread` and `hash … consistent`.

use std::fmt::Write as _;
use std::fs;
use std::io;
use std::path::Path;

use super::Sides;
use crate::programs::{NGINX_NJS, NGINX_STREAM};

const SCRIPT: &str = include_str!("client_id.js");
/// Descriptors of a worker, and those of them for listeners, logs and such.
const FILES: u64 = 20_000;
const SPARE: u64 = 200;

/// The configuration. It writes the script beside it, into `dir`.
///
/// # Errors
/// If the script cannot be written.
pub fn config(sides: &Sides, dir: &Path, files: u64) -> io::Result<String> {
    fs::write(dir.join("client_id.js"), SCRIPT)?;
    let files = files.min(FILES);
    let dir = dir.display();
    let mut text = format!(
        "load_module {NGINX_STREAM};\nload_module {NGINX_NJS};\n\
         user root;\nworker_processes auto;\ndaemon off;\npid {dir}/nginx.pid;\n\
         error_log stderr warn;\nevents {{ worker_connections {}; }}\n\
         stream {{\n  js_path {dir};\n  js_import mqtt from client_id.js;\n  \
         js_set $client_id mqtt.client_id;\n  upstream brokers {{\n    \
         hash $client_id consistent;\n",
        files - SPARE
    );
    for backend in sides.backends {
        let _ = writeln!(text, "    server {backend};");
    }
    text += "  }\n  server {\n";
    for front in sides.fronts {
        let _ = writeln!(text, "    listen {front} backlog=4096;");
    }
    text += "    preread_buffer_size 16k;\n    preread_timeout 10s;\n    \
             js_preread mqtt.preread;\n    proxy_pass brokers;\n    \
             proxy_timeout 10m;\n    tcp_nodelay on;\n";
    if sides.proxy {
        // The open one can only send the first version.
        text += "    proxy_protocol on;\n";
    }
    text += "  }\n}\n";
    Ok(text)
}
