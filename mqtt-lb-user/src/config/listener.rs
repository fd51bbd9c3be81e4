//! `[listener.NAME]`: where clients connect.

use std::net::SocketAddr;

use super::clash::Addresses;
use super::section::{Place, Section};
use super::value::{address, integer, string};

/// Length of the accept queue of a listener that does not say otherwise.
pub(super) const DEFAULT_BACKLOG: u32 = 4096;

/// A listener: an address and the pool its clients go to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listener {
    /// Address and port clients connect to.
    pub bind: SocketAddr,
    /// Name of the pool.
    pub pool: String,
    /// Length of the kernel's accept queue.
    pub backlog: u32,
}

impl Listener {
    /// Reads the listener `name`; `pools` are the names of the pools in the file.
    pub(super) fn read(
        mut section: Section<'_>,
        name: &str,
        pools: &[&str],
        addresses: &mut Addresses<Place>,
    ) -> Option<Self> {
        let bind = section.require("bind", "\"0.0.0.0:1883\"", address);
        let pool = section.require("pool", "\"NAME\"", string);
        let backlog = section.or("backlog", DEFAULT_BACKLOG, integer(1..=65_535));
        if let Some(bind) = &bind {
            let place = section.place("bind", bind.span());
            addresses.bound(*bind.get_ref(), format!("listener {name}"), place);
        }
        if let Some(pool) = pool
            .as_ref()
            .filter(|p| !pools.contains(&p.get_ref().as_str()))
        {
            let known = match pools {
                [] => "the file has no pool".to_owned(),
                pools => format!("pools here: {}", pools.join(", ")),
            };
            let message = format!("there is no pool {:?} ({known})", pool.get_ref());
            section.dangling("pool", pool.span(), &message);
        }
        section.finish();
        Some(Self {
            bind: bind?.into_inner(),
            pool: pool?.into_inner(),
            backlog,
        })
    }
}
