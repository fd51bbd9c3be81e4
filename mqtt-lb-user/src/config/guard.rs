//! `[guard]`: what a source prefix may spend on new connections.

use std::net::IpAddr;

use ipnet::IpNet;
use toml::de::DeValue;

use super::section::Section;
use super::splice::{Attach, interfaces};
use super::value::{Read, choice, expected, integer, or_off, size, string};

/// Networks that may be allowed: the room of the kernel's table.
const MOST_ALLOWED: usize = 1024;

/// The guard in front of the listeners.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Guard {
    /// SYNs per second that a prefix may send for ever; `None` switches the guard off.
    pub rate: Option<u32>,
    /// SYNs that it may send at once.
    pub burst: u32,
    /// Bits of an IPv4 address that make the prefix.
    pub ipv4_prefix: u8,
    /// Bits of an IPv6 address that make the prefix.
    pub ipv6_prefix: u8,
    /// Networks that are never stopped.
    pub allow: Vec<IpNet>,
    /// Prefixes that are remembered; the one that was quiet longest makes room.
    pub size: u32,
    /// Where the program hooks into the interfaces.
    pub attach: Attach,
    /// Names of the interfaces; all Ethernet and loopback ones when empty.
    pub interfaces: Vec<String>,
}

impl Default for Guard {
    fn default() -> Self {
        Self {
            rate: None,
            burst: 1000,
            ipv4_prefix: 32,
            ipv6_prefix: 64,
            allow: Vec::new(),
            size: 64 << 10,
            attach: Attach::Auto,
            interfaces: Vec::new(),
        }
    }
}

impl Guard {
    pub(super) fn read(mut section: Section<'_>) -> Self {
        let default = Self::default();
        let rate = section.get("rate", or_off(integer(1..=1_000_000)));
        let guard = Self {
            rate: rate.map_or(default.rate, toml::Spanned::into_inner),
            burst: section.or("burst", default.burst, integer(1..=1_000_000)),
            ipv4_prefix: section.or("ipv4_prefix", default.ipv4_prefix, integer(1..=32)),
            ipv6_prefix: section.or("ipv6_prefix", default.ipv6_prefix, integer(1..=128)),
            allow: section.or("allow", default.allow, networks),
            size: section.or("size", default.size, size(1 << 10..=16 << 20)),
            attach: section.or("attach", default.attach, choice),
            interfaces: section.or("interfaces", default.interfaces, interfaces),
        };
        section.finish();
        guard
    }
}

/// Reads `allow`.
fn networks(value: &DeValue<'_>) -> Read<Vec<IpNet>> {
    let DeValue::Array(array) = value else {
        return Err(expected("a list such as [\"10.0.0.0/8\"]", value));
    };
    if array.len() > MOST_ALLOWED {
        return Err(format!(
            "has {} networks: at most {MOST_ALLOWED} are possible",
            array.len()
        ));
    }
    let network = |item: &toml::Spanned<DeValue<'_>>| {
        let text = string(item.get_ref())?;
        let read = text
            .parse::<IpNet>()
            .or_else(|_| text.parse().map(|ip: IpAddr| ip.into()));
        read.map(|network| network.trunc()).map_err(|_| {
            format!("{text:?} is not a network: write one such as \"10.0.0.0/8\" or \"fd00::/8\"")
        })
    };
    array.iter().map(network).collect()
}

#[cfg(test)]
mod tests {
    use crate::config::parse;

    const REST: &str = "[listener.m]\nbind = \"0.0.0.0:1883\"\npool = \"p\"\n[pool.p]\n\
                        [[pool.p.backend]]\nname = \"b\"\naddress = \"10.0.0.1:1883\"\n";

    fn read(keys: &str) -> Result<super::Guard, String> {
        let text = format!("[guard]\n{keys}\n{REST}");
        parse("f", &text)
            .map(|config| config.guard)
            .map_err(|error| error.to_string())
    }

    #[test]
    fn networks_are_cut_to_their_prefix() {
        let guard = read("rate = 5\nallow = [\"10.1.2.3/8\", \"192.0.2.1\", \"fd00::1/8\"]");
        let guard = guard.expect("valid");
        assert_eq!(guard.rate, Some(5));
        let allow: Vec<_> = guard.allow.iter().map(ToString::to_string).collect();
        assert_eq!(allow, ["10.0.0.0/8", "192.0.2.1/32", "fd00::/8"]);
        assert_eq!(read("rate = \"off\"").expect("valid").rate, None);
    }

    #[test]
    fn what_is_no_network_is_named() {
        let error = read("allow = [\"10.0.0.0/33\"]").expect_err("no network");
        assert!(
            error.contains("\"10.0.0.0/33\" is not a network: write one"),
            "{error}"
        );
        let error = read("rate = 0").expect_err("out of range");
        assert!(
            error.contains("guard.rate: 0 is out of range: allowed is 1"),
            "{error}"
        );
    }
}
