//! Configurations for tests, made of what they differ in.

use std::net::SocketAddr;
use std::time::Duration;

use mqtt_lb_user::config::{
    Backend, CheckKind, Config, Health, Limits, Log, LogFormat, Pool, ProxyProtocol, Sockmap,
    SockmapPolicy, Timeouts,
};

/// MQTT checks every 20 ms, rise 2, fall 3.
pub const FAST: Health = Health {
    kind: CheckKind::Mqtt,
    interval: Duration::from_millis(20),
    timeout: Duration::from_millis(500),
    rise: 2,
    fall: 3,
};

pub fn pool(health: Option<Health>, backends: &[(&str, SocketAddr)]) -> Pool {
    let backend = |&(name, address): &(&str, SocketAddr)| Backend::new(name, address);
    Pool {
        proxy_protocol: ProxyProtocol::V2,
        failover_codes: Vec::new(),
        health,
        backends: backends.iter().map(backend).collect(),
        ..Pool::default()
    }
}

pub fn config(pools: &[(&str, Pool)]) -> Config {
    let time = Duration::from_secs(1);
    Config {
        workers: 1,
        datapath: Vec::new(),
        log: Log {
            format: LogFormat::Text,
            level: "info".to_owned(),
            sessions: false,
        },
        admin: None,
        http: None,
        limits: Limits {
            max_connections: 1,
            max_pending: 1,
            connect_buffer: 1,
            connect_properties: 1,
            copy_buffer: 1,
        },
        timeouts: Timeouts {
            connect_packet: time,
            connect: time,
            connack: time,
            tcp_keepalive: time,
            drain: time,
            shutdown_grace: time,
        },
        ids: Default::default(),
        splice: Default::default(),
        share: None,
        sockmap: Sockmap {
            policy: SockmapPolicy::Auto,
            limit: 1,
            max_flows: 1,
            local_brokers: false,
        },
        listeners: Default::default(),
        pools: pools
            .iter()
            .map(|(name, pool)| ((*name).to_owned(), pool.clone()))
            .collect(),
    }
}
