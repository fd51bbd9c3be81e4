//! `[pool.NAME.key]`: what a pool knows its clients by.

use clap::ValueEnum;
use toml::Spanned;

use super::pattern::Pattern;
use super::section::Section;
use super::template::Template;
use super::value::{choice, string};

/// What a pool knows its clients by; without the section, by the client id.
#[derive(Debug, Clone, PartialEq)]
pub struct KeySpec {
    /// The field that the key is made of.
    pub from: KeyField,
    /// Taken off the front of the field where it stands there.
    pub strip_prefix: String,
    /// Taken off the end of what is left where it stands there.
    pub strip_suffix: String,
    /// What of the rest makes the key; a rest that does not match is the key, whole.
    pub pattern: Option<Pattern>,
    /// How the key is put together of the match.
    pub template: Template,
}

/// A field that can be a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeyField {
    /// The client id.
    ClientId,
    /// The username.
    Username,
    /// The topic of the will.
    WillTopic,
    /// The client's IP address.
    Source,
    /// The user property of this name (MQTT 5.0 §3.1.2.11.8), the first of several.
    UserProperty(String),
}

/// The words of `from`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "snake_case")]
enum From {
    ClientId,
    Username,
    WillTopic,
    Source,
    UserProperty,
}

impl Default for KeySpec {
    /// The whole client id.
    fn default() -> Self {
        Self {
            from: KeyField::ClientId,
            strip_prefix: String::new(),
            strip_suffix: String::new(),
            pattern: None,
            template: Template::default(),
        }
    }
}

impl KeySpec {
    pub(super) fn read(mut section: Section<'_>) -> Self {
        let from = section.or("from", From::ClientId, choice);
        let property = read_property(&mut section, from == From::UserProperty);
        let default = Self::default();
        let strip_prefix = section.or("strip_prefix", default.strip_prefix, string);
        let strip_suffix = section.or("strip_suffix", default.strip_suffix, string);
        let pattern = section.get("match", |value| match value.as_str() {
            Some("") => Ok(None),
            _ => Pattern::read(value).map(Some),
        });
        // A template cannot be judged by a match that is wrong itself.
        let judge = pattern.is_some() || !section.has("match");
        let pattern = pattern.and_then(Spanned::into_inner);
        let template = section.or("template", default.template, |value| {
            let text = string(value)?;
            match Template::new(&text, pattern.as_ref()) {
                Err(_) if !judge => Ok(Template::default()),
                read => read,
            }
        });
        let spec = Self {
            from: match from {
                From::ClientId => KeyField::ClientId,
                From::Username => KeyField::Username,
                From::WillTopic => KeyField::WillTopic,
                From::Source => KeyField::Source,
                From::UserProperty => KeyField::UserProperty(property),
            },
            strip_prefix,
            strip_suffix,
            pattern,
            template,
        };
        section.finish();
        spec
    }
}

/// The name of a user property: there when it is `wanted`, and only then.
fn read_property(section: &mut Section<'_>, wanted: bool) -> String {
    let property = section.get("property", string);
    match &property {
        None if wanted && !section.has("property") => {
            section.missing("property is missing: add property = \"NAME\"");
        }
        Some(name) if wanted && name.get_ref().is_empty() => {
            section.wrong("property", name.span(), "is empty: write the name of one");
        }
        Some(name) if !wanted && !name.get_ref().is_empty() => {
            let message = "is for from = \"user_property\" only: remove it, or change from";
            section.wrong("property", name.span(), message);
        }
        _ => {}
    }
    property.map_or_else(String::new, Spanned::into_inner)
}
