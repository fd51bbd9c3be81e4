//! Sample expressions: what of a connection HAProxy looks at
//! (configuration manual, 7.3 "Fetching samples" and 7.1.3 "Converters").

/// What an expression looks at, and what it makes of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Fetch {
    pub(super) field: Field,
    /// Converters behind it: name and arguments.
    pub(super) converters: Vec<(String, Vec<String>)>,
}

/// What there is to look at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Field {
    /// The client's address.
    Source,
    /// A field of CONNECT by HAProxy's name.
    Connect(String),
    /// A field of CONNACK by HAProxy's name or number.
    Connack(String),
    /// Whether the first bytes are MQTT.
    Valid,
    /// Anything else.
    Other,
}

/// Reads an expression such as
/// `req.payload(0,0),mqtt_field_value(connect,client_identifier),lower`.
pub(super) fn fetch(text: &str) -> Fetch {
    let mut calls = calls(text).into_iter();
    let sample = calls.next().unwrap_or_default();
    let payload = ["req.payload", "payload", "res.payload"].contains(&sample.0.as_str());
    let mut converters: Vec<_> = calls.collect();
    let field = match (sample.0.as_str(), converters.first()) {
        ("src", _) => Field::Source,
        (_, Some((name, args))) if payload => match (name.as_str(), args.as_slice()) {
            ("mqtt_is_valid", []) => Field::Valid,
            ("mqtt_field_value", [packet, field]) => match packet.to_lowercase().as_str() {
                "connect" | "1" => Field::Connect(field.clone()),
                "connack" | "2" => Field::Connack(field.clone()),
                _ => Field::Other,
            },
            _ => Field::Other,
        },
        _ => Field::Other,
    };
    if matches!(field, Field::Valid | Field::Connect(_) | Field::Connack(_)) {
        converters.remove(0);
    }
    Fetch { field, converters }
}

/// `a(1,2),b` as names with arguments.
fn calls(text: &str) -> Vec<(String, Vec<String>)> {
    let mut calls = Vec::new();
    let mut depth = 0_usize;
    let mut start = 0;
    let mut push = |call: &str| {
        let (name, args) = call.split_once('(').unwrap_or((call, ""));
        let args = args.strip_suffix(')').unwrap_or(args);
        let args = match args {
            "" => Vec::new(),
            args => args.split(',').map(|arg| arg.trim().to_owned()).collect(),
        };
        calls.push((name.trim().to_owned(), args));
    };
    for (at, c) in text.char_indices() {
        match c {
            '(' => depth += 1,
            ')' => depth = depth.saturating_sub(1),
            ',' if depth == 0 => {
                push(&text[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    push(&text[start..]);
    calls
}

/// What a pool's key is made of, as `[pool.NAME.key]` says it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Key {
    pub(super) from: &'static str,
    /// `match` and `template`.
    pub(super) pattern: Option<(String, &'static str)>,
}

impl Key {
    /// The key that a pool has when it does not say.
    pub(super) fn is_default(&self) -> bool {
        self.from == "client_id" && self.pattern.is_none()
    }
}

impl Fetch {
    /// The key that this expression is; what there is none for, in words.
    pub(super) fn key(&self) -> Result<Key, String> {
        let from = match &self.field {
            Field::Source => "source",
            Field::Connect(field) => match field.as_str() {
                "client_identifier" => "client_id",
                "username" => "username",
                "will_topic" => "will_topic",
                "password" => return Err("a password is no key here".to_owned()),
                other => return Err(format!("{other} of CONNECT is no key here")),
            },
            _ => {
                let known = "client id, username, will topic, source address";
                return Err(format!("it is not one of the keys there are: {known}"));
            }
        };
        let pattern = match self.converters.as_slice() {
            [] => None,
            [(name, args)] => match (name.as_str(), args.as_slice()) {
                ("field", [n, sep]) if n == "1" => Some(format!("^([^{}]*)", class(sep)?)),
                ("word", [n, sep]) if n == "1" => {
                    let sep = class(sep)?;
                    Some(format!("^[{sep}]*([^{sep}]+)"))
                }
                _ => {
                    return Err(format!(
                        "there is nothing like the converter {name} for keys"
                    ));
                }
            },
            _ => return Err("a key is made with one converter at most".to_owned()),
        };
        let pattern = pattern.map(|pattern| (pattern, "$1"));
        Ok(Key { from, pattern })
    }
}

/// The characters of `separators` for a class of a regular expression.
fn class(separators: &str) -> Result<String, String> {
    match !separators.is_empty() && separators.chars().all(|c| c.is_ascii_punctuation()) {
        true => Ok(separators.chars().flat_map(|c| ['\\', c]).collect()),
        false => Err(format!("{separators:?} as a separator is not understood")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(text: &str) -> Result<(&'static str, Option<String>), String> {
        let key = fetch(text).key()?;
        Ok((key.from, key.pattern.map(|(pattern, _)| pattern)))
    }

    #[test]
    fn keys() {
        for payload in ["req.payload(0,0)", "payload(0,0)", "req.payload(0, 0)"] {
            for packet in ["connect", "CONNECT", "1"] {
                let text = format!("{payload},mqtt_field_value({packet},client_identifier)");
                assert_eq!(key(&text), Ok(("client_id", None)), "{text}");
            }
        }
        let field = |rest: &str| key(&format!("req.payload(0,0),mqtt_field_value(connect,{rest}"));
        assert_eq!(field("username)"), Ok(("username", None)));
        assert_eq!(field("will_topic)"), Ok(("will_topic", None)));
        assert_eq!(key("src"), Ok(("source", None)));
        let first = Some("^([^\\:]*)".to_owned());
        assert_eq!(field("username),field(1,:)"), Ok(("username", first)));
        for bad in [
            "password)",
            "username),lower",
            "username),word(2,:)",
            "username),field(1,a)",
        ] {
            assert!(field(bad).is_err(), "{bad}");
        }
        assert!(key("req.payload(0,0)").is_err());
        assert!(key("").is_err());
        assert!(key("((,)),(").is_err());
    }

    #[test]
    fn other_samples() {
        let of = |text: &str| fetch(text).field;
        assert_eq!(of("req.payload(0,0),mqtt_is_valid"), Field::Valid);
        let assigned = "res.payload(0,0),mqtt_field_value(connack,assigned_client_identifier)";
        assert!(matches!(of(assigned), Field::Connack(_)));
        assert_eq!(of("req.ssl_hello_type"), Field::Other);
    }
}
