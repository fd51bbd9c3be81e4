//! `map` blocks over fields of CONNECT, for a `proxy_pass` to their variable: routes.

use super::Reader;
use super::syntax::Directive;
use crate::import::note::Said;
use crate::import::pattern::{Compare, expression};

/// Where a variable leads.
#[derive(Debug, Default)]
pub(super) struct Routes {
    /// For clients of whom nothing else is said.
    pub(super) default: Option<(String, Said)>,
    /// The condition by its key, its expression and where it leads, in order.
    pub(super) routes: Vec<(&'static str, String, String, Said)>,
}

/// Whether routes can stand for the map of `variable`, and its block.
pub(super) fn map<'a>(reader: &Reader<'a>, variable: &str) -> Option<&'a Directive> {
    let mut blocks = reader.stream.iter();
    let map = |d: &&&Directive| matches!(d.words().as_slice(), ["map", from, to] if *to == variable && field(from).is_some());
    blocks.find(map).copied()
}

fn field(variable: &str) -> Option<&'static str> {
    match variable.replace(['{', '}'], "").as_str() {
        "$mqtt_preread_clientid" => Some("client_id"),
        "$mqtt_preread_username" => Some("username"),
        _ => None,
    }
}

/// Reads a map; what routes cannot ask for is noted.
pub(super) fn read(reader: &mut Reader<'_>, block: &Directive) -> Routes {
    let mut all = Routes::default();
    let Some(key) = block.words.get(1).and_then(|from| field(from)) else {
        return all;
    };
    let mut expressions = Vec::new();
    for line in block.inner() {
        let said = &line.said;
        match line.words().as_slice() {
            ["default", to] => all.default = Some(((*to).to_owned(), said.clone())),
            ["hostnames" | "volatile" | "include", ..] => {
                reader
                    .draft
                    .notes
                    .not_taken(said, "routes have nothing like it");
            }
            [from, to] => {
                let (compare, ignore_case, pattern) = match from.strip_prefix('~') {
                    Some(pattern) => match pattern.strip_prefix('*') {
                        Some(pattern) => (Compare::Match, true, pattern),
                        None => (Compare::Match, false, pattern),
                    },
                    // nginx compares strings without regard to their case.
                    None => (
                        Compare::Equal,
                        true,
                        from.strip_prefix('\\').unwrap_or(from),
                    ),
                };
                let pattern = expression(compare, ignore_case, &[pattern]);
                let route = (key, pattern, (*to).to_owned(), said.clone());
                match compare {
                    Compare::Match => expressions.push(route),
                    // They go before the expressions, as in nginx.
                    _ => all.routes.push(route),
                }
            }
            _ => reader.draft.notes.not_taken(said, "it is not understood"),
        }
    }
    all.routes.extend(expressions);
    all
}
