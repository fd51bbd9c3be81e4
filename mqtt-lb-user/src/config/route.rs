//! `[[listener.NAME.route]]`: clients of a listener that go to another pool.

use toml::Spanned;
use toml::de::DeValue;

use super::pattern::Pattern;
use super::section::Section;
use super::value::{Read, expected, integer, string};

/// The pool of some of a listener's clients; all the conditions that are there hold
/// for them.
#[derive(Debug, Clone, PartialEq)]
pub struct Route {
    /// Name of the pool.
    pub pool: String,
    /// Protocol levels, without a bridge's high bit; `None` for any.
    pub level: Option<Vec<u8>>,
    /// What is found in the client id.
    pub client_id: Option<Pattern>,
    /// What is found in the username; a client without one has none of it.
    pub username: Option<Pattern>,
}

impl Route {
    /// Reads the routes in their order; `pools` are the names of the pools in the file.
    pub(super) fn read_list(sections: Vec<Section<'_>>, pools: &[&str]) -> Vec<Self> {
        let routes = sections.into_iter();
        routes.filter_map(|s| Self::read(s, pools)).collect()
    }

    fn read(mut section: Section<'_>, pools: &[&str]) -> Option<Self> {
        let pool = read_pool(&mut section, pools);
        if !["level", "client_id", "username"]
            .map(|key| section.has(key))
            .contains(&true)
        {
            section.missing(
                "a route without a condition takes every client: \
                 add level, client_id or username, or make it the listener's pool",
            );
        }
        let level = section.get("level", read_levels);
        let client_id = section.get("client_id", Pattern::read);
        let username = section.get("username", Pattern::read);
        section.finish();
        Some(Self {
            pool: pool?,
            level: level.map(Spanned::into_inner),
            client_id: client_id.map(Spanned::into_inner),
            username: username.map(Spanned::into_inner),
        })
    }
}

/// Reads `pool`, which must be the name of one in the file.
pub(super) fn read_pool(section: &mut Section<'_>, pools: &[&str]) -> Option<String> {
    let pool = section.require("pool", "\"NAME\"", string)?;
    if !pools.contains(&pool.get_ref().as_str()) {
        let known = match pools {
            [] => "the file has no pool".to_owned(),
            pools => format!("pools here: {}", pools.join(", ")),
        };
        let message = format!("there is no pool {:?} ({known})", pool.get_ref());
        section.dangling("pool", pool.span(), &message);
    }
    Some(pool.into_inner())
}

fn read_levels(value: &DeValue<'_>) -> Read<Vec<u8>> {
    let level = integer(3..=5);
    match value {
        DeValue::Array(array) if !array.is_empty() => {
            array.iter().map(|item| level(item.get_ref())).collect()
        }
        DeValue::Array(_) => Err("names no level: write some of [3, 4, 5]".to_owned()),
        _ => Err(expected("a list such as [3, 4]", value)),
    }
}
