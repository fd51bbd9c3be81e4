//! `[[pool.NAME.backend]]`: one broker node.

use std::collections::BTreeSet;
use std::net::SocketAddr;

use toml::de::DeValue;

use super::clash::Addresses;
use super::section::{Place, Section};
use super::value::{Read, address, boolean, integer, size, string};

/// The share of new clients of a backend that does not say otherwise.
const DEFAULT_WEIGHT: u32 = 1;

/// The greatest weight, as in HAProxy.
pub const MAX_WEIGHT: u32 = 256;

/// One broker node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Backend {
    /// Name in logs, tables and commands; unique within the pool.
    pub name: String,
    /// Address and port of its MQTT listener.
    pub address: SocketAddr,
    /// Share of new clients relative to the others; 0 takes none.
    pub weight: u32,
    /// Connections it may have; `None` sets no limit.
    pub maxconn: Option<u64>,
    /// It is used when no other backend of the pool takes a client.
    pub backup: bool,
}

impl Backend {
    /// A backend that has every default.
    pub fn new(name: &str, address: SocketAddr) -> Self {
        Self {
            name: name.to_owned(),
            address,
            weight: DEFAULT_WEIGHT,
            maxconn: None,
            backup: false,
        }
    }

    /// Reads the backends of the pool `pool`; two of one name are reported.
    pub(super) fn read_list(
        sections: Vec<Section<'_>>,
        pool: &str,
        addresses: &mut Addresses<Place>,
    ) -> Vec<Self> {
        let mut names = BTreeSet::new();
        let mut backends = Vec::new();
        for mut section in sections {
            let name = section.require("name", "\"emqx1\"", name);
            let address = section.require("address", "\"10.0.0.1:1883\"", broker);
            let weight = section.or("weight", DEFAULT_WEIGHT, integer(0..=MAX_WEIGHT));
            let maxconn = section.or("maxconn", 0, size(0..=1 << 30));
            let backup = section.or("backup", false, boolean);
            if let Some(name) = name.as_ref().filter(|n| !names.insert(n.get_ref().clone())) {
                let message = format!(
                    "{:?} is already the name of a backend of this pool: take another one",
                    name.get_ref()
                );
                section.wrong("name", name.span(), &message);
            }
            if let Some(address) = &address {
                let place = section.place("address", address.span());
                let name = name.as_ref().map_or("without a name", |n| n.get_ref());
                addresses.backend(pool, name, *address.get_ref(), place);
            }
            section.finish();
            if let (Some(name), Some(address)) = (name, address) {
                backends.push(Self {
                    name: name.into_inner(),
                    address: address.into_inner(),
                    weight,
                    maxconn: Some(maxconn).filter(|most| *most > 0),
                    backup,
                });
            }
        }
        backends
    }
}

fn name(value: &DeValue<'_>) -> Read<String> {
    let name = string(value)?;
    check_name(&name)?;
    Ok(name)
}

/// Whether a listener, pool or backend may have this name.
///
/// Names stand in commands (`POOL/BACKEND`), log lines and metric labels.
///
/// # Errors
/// One line: which characters a name may have.
pub(super) fn check_name(name: &str) -> Read<()> {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || b"-_.:".contains(&b);
    match name.len() {
        1..=64 if name.bytes().all(allowed) => Ok(()),
        _ => Err(format!(
            "{name:?} is not a name: use 1 to 64 letters, digits and - _ . :"
        )),
    }
}

fn broker(value: &DeValue<'_>) -> Read<SocketAddr> {
    let address = address(value)?;
    check_broker(address)?;
    Ok(address)
}

/// Whether a broker can have this address.
///
/// # Errors
/// One line: the address is the wildcard or a multicast address.
pub(super) fn check_broker(address: SocketAddr) -> Read<()> {
    if address.ip().is_unspecified() || address.ip().is_multicast() {
        return Err(format!(
            "{address} is not the address of one host: write the broker's own address"
        ));
    }
    Ok(())
}
