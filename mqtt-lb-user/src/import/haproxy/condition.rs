//! Conditions of `use_backend` as those of routes (configuration manual, 7.1 and 7.2).

use std::collections::{BTreeMap, BTreeSet};

use super::fetch::{Field, fetch};
use crate::import::pattern::{Compare, expression};

/// The tests of each `acl` by name; one of them has to hold.
pub(super) type Acls<'a> = BTreeMap<&'a str, Vec<&'a [String]>>;

/// What a route asks for; all of it has to hold.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Conditions {
    pub(super) level: Option<BTreeSet<u8>>,
    pub(super) client_id: Option<String>,
    pub(super) username: Option<String>,
}

/// One of the conditions.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Test {
    Level(BTreeSet<u8>),
    ClientId(String),
    Username(String),
}

/// The routes that the words behind `if` stand for: one for each side of an `or`.
///
/// # Errors
/// Why routes cannot ask for it.
pub(super) fn routes(words: &[String], acls: &Acls<'_>) -> Result<Vec<Conditions>, String> {
    let sides = words.split(|word| word == "or" || word == "||");
    sides.map(|side| all_of(side, acls)).collect()
}

fn all_of(words: &[String], acls: &Acls<'_>) -> Result<Conditions, String> {
    let mut all = Conditions::default();
    let mut rest = words;
    while let Some((word, behind)) = rest.split_first() {
        rest = behind;
        let tests = match word.as_str() {
            "TRUE" => continue,
            word if word.starts_with('!') => {
                return Err("routes cannot ask for what is not".to_owned());
            }
            "{" => {
                let end = rest.iter().position(|word| word == "}");
                let end = end.ok_or("its { is not closed")?;
                let inner = &rest[..end];
                rest = &rest[end + 1..];
                vec![test(inner)?]
            }
            name => {
                let tests = acls
                    .get(name)
                    .ok_or_else(|| format!("there is no acl {name} here"))?;
                let tests: Result<_, String> = tests.iter().map(|words| test(words)).collect();
                tests?
            }
        };
        all.add(one_of(tests)?)?;
    }
    match all == Conditions::default() {
        true => Err("a condition is missing".to_owned()),
        false => Ok(all),
    }
}

impl Conditions {
    fn add(&mut self, test: Test) -> Result<(), String> {
        let twice = match test {
            Test::Level(levels) => self.level.replace(levels).is_some(),
            Test::ClientId(pattern) => self.client_id.replace(pattern).is_some(),
            Test::Username(pattern) => self.username.replace(pattern).is_some(),
        };
        match twice {
            true => Err("a route asks for each field once".to_owned()),
            false => Ok(()),
        }
    }
}

/// The test that holds when one of `tests` does.
fn one_of(tests: Vec<Test>) -> Result<Test, String> {
    let either = |a: &str, b: &str| format!("(?:{a})|(?:{b})");
    let joined = tests.into_iter().map(Ok).reduce(|a, b| match (a?, b?) {
        (Test::Level(a), Test::Level(b)) => Ok(Test::Level(&a | &b)),
        (Test::ClientId(a), Test::ClientId(b)) => Ok(Test::ClientId(either(&a, &b))),
        (Test::Username(a), Test::Username(b)) => Ok(Test::Username(either(&a, &b))),
        _ => Err("one acl looks at several fields".to_owned()),
    });
    joined.unwrap_or_else(|| Err("an acl without a test".to_owned()))
}

/// Reads `EXPRESSION FLAGS PATTERNS`.
fn test(words: &[String]) -> Result<Test, String> {
    let (sample, mut rest) = words.split_first().ok_or("a condition is empty")?;
    let fetch = fetch(sample);
    let field = match &fetch.field {
        Field::Connect(field) if fetch.converters.is_empty() => field.as_str(),
        _ => {
            return Err(format!(
                "{sample} is not a field that routes look at: {FIELDS}"
            ));
        }
    };
    let mut compare = Some(Compare::Equal);
    let mut ignore_case = false;
    while let Some((flag, behind)) = rest.split_first() {
        rest = match (flag.as_str(), behind) {
            ("-i", behind) => {
                ignore_case = true;
                behind
            }
            ("-m", [method, behind @ ..]) => {
                compare = match method.as_str() {
                    "str" | "int" => Some(Compare::Equal),
                    "beg" => Some(Compare::Begin),
                    "end" => Some(Compare::End),
                    "sub" => Some(Compare::Contain),
                    "reg" => Some(Compare::Match),
                    "found" => None,
                    other => return Err(format!("-m {other} is nothing that routes do")),
                };
                behind
            }
            ("--", behind) => {
                rest = behind;
                break;
            }
            (flag, _) if flag.starts_with('-') => {
                return Err(format!("the flag {flag} is not understood"));
            }
            _ => break,
        };
    }
    let patterns: Vec<&str> = rest.iter().map(String::as_str).collect();
    let pattern = || match compare {
        None => Ok("^".to_owned()),
        Some(_) if patterns.is_empty() => Err("it compares with nothing".to_owned()),
        Some(compare) => Ok(expression(compare, ignore_case, &patterns)),
    };
    match field {
        "client_identifier" => pattern().map(Test::ClientId),
        "username" => pattern().map(Test::Username),
        "protocol_version" if compare == Some(Compare::Equal) && !patterns.is_empty() => {
            let levels: Result<BTreeSet<u8>, _> = patterns.iter().map(|p| p.parse()).collect();
            let levels = levels.map_err(|_| "a protocol level is a number".to_owned())?;
            Ok(Test::Level(levels))
        }
        _ => Err(format!(
            "{field} is not a field that routes look at: {FIELDS}"
        )),
    }
}

const FIELDS: &str = "protocol level, client id, username";

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<String> {
        let field = |name: &str| format!("req.payload(0,0),mqtt_field_value(connect,{name})");
        let text = text.replace("ID", &field("client_identifier"));
        let text = text.replace("USER", &field("username"));
        let text = text.replace("LEVEL", &field("protocol_version"));
        text.split(' ').map(str::to_owned).collect()
    }

    fn read(text: &str) -> Result<Vec<String>, String> {
        let (old, both) = (words("LEVEL -m str 3 4"), words("ID -m beg x"));
        let (user, more) = (words("USER a"), words("USER b"));
        let acls: Acls<'_> = [
            ("old", vec![&old[..]]),
            ("ab", vec![&user[..], &more[..]]),
            ("mixed", vec![&user[..], &both[..]]),
        ]
        .into();
        let show = |c: Conditions| {
            let level = c.level.map(|level| format!("{level:?}"));
            [level, c.client_id, c.username]
                .map(Option::unwrap_or_default)
                .join(" ")
        };
        Ok(routes(&words(text), &acls)?.into_iter().map(show).collect())
    }

    #[test]
    fn what_routes_can_ask_for() {
        for (text, routes) in [
            ("{ ID -m beg dev- }", vec![r" ^dev\- "]),
            ("{ ID -i -m end a b }", vec![" (?i)(?:a|b)$ "]),
            ("{ USER -m reg ^t[0-9]+ }", vec!["  ^t[0-9]+"]),
            ("{ USER -m found }", vec!["  ^"]),
            ("{ USER -- -x }", vec![r"  ^\-x$"]),
            ("old", vec!["{3, 4}  "]),
            ("old { ID x }", vec!["{3, 4} ^x$ "]),
            ("old or { ID x }", vec!["{3, 4}  ", " ^x$ "]),
            ("ab", vec!["  (?:^a$)|(?:^b$)"]),
        ] {
            let routes = routes.into_iter().map(str::to_owned).collect();
            assert_eq!(read(text), Ok(routes), "{text}");
        }
    }

    #[test]
    fn what_routes_cannot_ask_for() {
        for text in [
            "!old",
            "!{ ID x }",
            "{ src 10.0.0.0/8 }",
            "{ ID x",
            "nobody",
            "mixed",
            "TRUE",
            "{ }",
            "{ ID }",
            "{ ID -f /x }",
            "{ ID -m len 3 }",
            "{ ID x } { ID y }",
            "{ LEVEL x }",
            "or",
            "{ ID,lower x }",
        ] {
            assert!(read(text).is_err(), "{text}: {:?}", read(text));
        }
    }
}
