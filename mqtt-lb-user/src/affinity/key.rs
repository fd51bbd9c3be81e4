//! What a client is known by in its pool.
//!
//! A [`KeySpec`] takes one field of the client, cuts it, and makes the key of what is
//! left. A client without the field, or of whose field nothing is left, is treated as
//! one with an empty id: [`EmptyClientId`] says how.

use std::borrow::Cow;
use std::net::IpAddr;

use super::{Client, Fields};
use crate::config::{EmptyClientId, KeyField, KeySpec, Part, Template};

/// The longest key: as long as the longest field of MQTT (MQTT 5.0 §1.5.4). Only a
/// template that repeats a group can make a longer one, which is none.
const LONGEST: usize = 65_535;

/// What a client is routed by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Key {
    /// Its key, or its source address in place of an empty one.
    Stick(Vec<u8>),
    /// Nothing: it is balanced anew each time.
    None,
}

impl Key {
    /// The key of a client; `None` when the pool rejects those without one.
    #[must_use]
    pub fn of(spec: &KeySpec, empty: EmptyClientId, client: &Fields<'_>) -> Option<Self> {
        if let Some(key) = field(&spec.from, client).and_then(|value| shape(spec, &value)) {
            return Some(Self::Stick(key));
        }
        match empty {
            EmptyClientId::Balance => Some(Self::None),
            // The NUL, which MQTT forbids in a string, keeps the two kinds apart.
            EmptyClientId::Source => Some(Self::Stick(format!("\0{}", client.source).into_bytes())),
            EmptyClientId::Reject => None,
        }
    }

    /// The key of a client of which only the id is known; `None` where the id does
    /// not make one.
    #[must_use]
    pub fn of_client_id(spec: &KeySpec, id: &[u8]) -> Option<Vec<u8>> {
        match spec.from {
            KeyField::ClientId => shape(spec, id),
            _ => None,
        }
    }

    /// The client, as the pool's routing wants to know it.
    #[must_use]
    pub fn client(&self, source: IpAddr) -> Client<'_> {
        Client {
            key: self.bytes(),
            source,
        }
    }

    /// The key for the stick table and the balance.
    #[must_use]
    pub fn bytes(&self) -> Option<&[u8]> {
        match self {
            Self::Stick(key) => Some(key),
            Self::None => None,
        }
    }
}

fn field<'a>(from: &KeyField, client: &Fields<'a>) -> Option<Cow<'a, [u8]>> {
    match from {
        KeyField::ClientId => Some(client.client_id.into()),
        KeyField::Username => client.username.map(Cow::from),
        KeyField::WillTopic => client.will_topic.map(Cow::from),
        KeyField::Source => Some(client.source.to_string().into_bytes().into()),
        KeyField::UserProperty(name) => client.user_property(name).map(Cow::from),
    }
}

/// The key that a field makes; `None` when nothing is left of it.
fn shape(spec: &KeySpec, value: &[u8]) -> Option<Vec<u8>> {
    let value = value
        .strip_prefix(spec.strip_prefix.as_bytes())
        .unwrap_or(value);
    let value = value
        .strip_suffix(spec.strip_suffix.as_bytes())
        .unwrap_or(value);
    if value.is_empty() {
        return None;
    }
    let key = match &spec.pattern {
        None => expand(&spec.template, |_| Some(value))?,
        Some(pattern) => match pattern.regex().captures(value) {
            Some(groups) => expand(&spec.template, |group| Some(groups.get(group)?.as_bytes()))?,
            None => value.to_vec(),
        },
    };
    Some(key).filter(|key| !key.is_empty())
}

/// Puts a template together; a group that took no part in the match is empty. `None`
/// when that is longer than any key.
fn expand<'a>(
    template: &'a Template,
    group: impl Fn(usize) -> Option<&'a [u8]>,
) -> Option<Vec<u8>> {
    let mut key = Vec::new();
    for part in template.parts() {
        let bytes = match part {
            Part::Text(text) => text.as_bytes(),
            Part::Group(number) => group(*number).unwrap_or_default(),
        };
        if key.len() + bytes.len() > LONGEST {
            return None;
        }
        key.extend_from_slice(bytes);
    }
    Some(key)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Pattern;

    const SOURCE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 7));

    fn client() -> Fields<'static> {
        Fields {
            username: Some(b"ann"),
            will_topic: Some(b"site/7/gone"),
            user_properties: vec![(b"tenant", b"t1"), (b"tenant", b"t2"), (b"empty", b"")],
            ..Fields::new(b"c0", SOURCE)
        }
    }

    fn from(from: KeyField) -> KeySpec {
        KeySpec {
            from,
            ..KeySpec::default()
        }
    }

    fn matching(pattern: &str, template: &str) -> KeySpec {
        let pattern = Pattern::new(pattern).unwrap();
        KeySpec {
            template: Template::new(template, Some(&pattern)).unwrap(),
            pattern: Some(pattern),
            ..KeySpec::default()
        }
    }

    fn key(spec: &KeySpec, client: &Fields<'_>) -> Option<Vec<u8>> {
        let key = Key::of(spec, EmptyClientId::Balance, client).unwrap();
        key.bytes().map(<[u8]>::to_vec)
    }

    fn of_id(spec: &KeySpec, id: &[u8]) -> Option<Vec<u8>> {
        let key = key(spec, &Fields::new(id, SOURCE));
        assert_eq!(key, Key::of_client_id(spec, id));
        key
    }

    #[test]
    fn each_field_can_be_the_key() {
        let property = |name: &str| KeyField::UserProperty(name.to_owned());
        let cases: &[(KeyField, &[u8])] = &[
            (KeyField::ClientId, b"c0"),
            (KeyField::Username, b"ann"),
            (KeyField::WillTopic, b"site/7/gone"),
            (KeyField::Source, b"192.0.2.7"),
            (property("tenant"), b"t1"),
        ];
        for (field, expected) in cases {
            let spec = from(field.clone());
            assert_eq!(key(&spec, &client()).as_deref(), Some(*expected));
        }
        for absent in ["Tenant", "empty"] {
            assert_eq!(key(&from(property(absent)), &client()), None, "{absent}");
        }
    }

    #[test]
    fn a_client_without_the_field_is_one_with_an_empty_id() {
        let bare = Fields::new(b"c0", SOURCE);
        let empty = Fields {
            username: Some(b""),
            ..bare.clone()
        };
        let spec = from(KeyField::Username);
        for client in [&bare, &empty] {
            let of = |empty| Key::of(&spec, empty, client);
            assert_eq!(of(EmptyClientId::Balance), Some(Key::None));
            assert_eq!(of(EmptyClientId::Reject), None);
            let source = Key::Stick(b"\x00192.0.2.7".to_vec());
            assert_eq!(of(EmptyClientId::Source), Some(source));
        }
        assert_eq!(Key::of_client_id(&spec, b"c0"), None);
    }

    #[test]
    fn the_default_key_is_the_whole_id_byte_for_byte() {
        for id in [&b"c0"[..], b"a\0b", b"\xff\xfe", b" x ", &[b'y'; 65_535]] {
            assert_eq!(of_id(&KeySpec::default(), id).as_deref(), Some(id));
        }
        assert_eq!(of_id(&KeySpec::default(), b""), None);
    }

    #[test]
    fn prefix_and_suffix_are_stripped_where_they_are() {
        let spec = KeySpec {
            strip_prefix: "dev:".to_owned(),
            strip_suffix: "@x".to_owned(),
            ..KeySpec::default()
        };
        let cases: &[(&[u8], Option<&[u8]>)] = &[
            (b"dev:7@x", Some(b"7")),
            (b"dev:dev:7", Some(b"dev:7")),
            (b"7@x", Some(b"7")),
            (b"edev:7@xy", Some(b"edev:7@xy")),
            (b"dev:@x", None),
        ];
        for (id, expected) in cases {
            assert_eq!(of_id(&spec, id).as_deref(), *expected);
        }
    }

    #[test]
    fn groups_of_the_match_make_the_key() {
        let spec = matching("^(?<site>[^/]+)/(?:v([0-9])/)?", "$2:${site}");
        let cases: &[(&[u8], &[u8])] = &[
            (b"hall/v2/pump", b"2:hall"),
            (b"hall/pump", b":hall"),
            (b"pump", b"pump"),
            (b"\xff/", b":\xff"),
        ];
        for (id, expected) in cases {
            let spec = match id.first() {
                Some(0xff) => matching("^((?-u:[^/])+)/", ":$1"),
                _ => spec.clone(),
            };
            assert_eq!(of_id(&spec, id).as_deref(), Some(*expected));
        }
        assert_eq!(of_id(&matching("x*", "$0"), b"pump"), None, "empty match");
    }

    #[test]
    fn a_template_works_without_a_match() {
        let spec = KeySpec {
            template: Template::new("eu-$0", None).unwrap(),
            ..KeySpec::default()
        };
        assert_eq!(of_id(&spec, b"7").as_deref(), Some(&b"eu-7"[..]));
        assert_eq!(of_id(&spec, b""), None, "nothing is not made something");
    }

    #[test]
    fn a_key_that_grows_beyond_any_field_is_none() {
        let spec = matching("(?s-u)^.*$", "$0$0");
        assert_eq!(of_id(&spec, &[b'a'; 32_767]).unwrap().len(), 65_534);
        assert_eq!(of_id(&spec, &[b'a'; 32_768]), None);
    }
}
