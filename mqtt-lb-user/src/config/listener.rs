//! `[listener.NAME]`: where clients connect.

use std::net::SocketAddr;

use super::clash::Addresses;
use super::route::{Route, read_pool};
use super::section::{Place, Section};
use super::value::{address, integer};

/// Length of the accept queue of a listener that does not say otherwise.
pub(super) const DEFAULT_BACKLOG: u32 = 4096;

/// A listener: an address and the pools its clients go to.
#[derive(Debug, Clone, PartialEq)]
pub struct Listener {
    /// Address and port clients connect to.
    pub bind: SocketAddr,
    /// Name of the pool of those whom no route takes.
    pub pool: String,
    /// Where some of its clients go instead; the first that matches counts.
    pub routes: Vec<Route>,
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
        let pool = read_pool(&mut section, pools);
        let routes = Route::read_list(section.list("route"), pools);
        let backlog = section.or("backlog", DEFAULT_BACKLOG, integer(1..=65_535));
        if let Some(bind) = &bind {
            let place = section.place("bind", bind.span());
            addresses.bound(*bind.get_ref(), format!("listener {name}"), place);
        }
        section.finish();
        Some(Self {
            bind: bind?.into_inner(),
            pool: pool?,
            routes,
            backlog,
        })
    }
}
